import { StoreError, type LogLevel } from '@plexus/engine/ports'
import type { Logger } from 'pino'
import { createLog } from './log.ts'
import { StartError } from './start-error.ts'

/** A stop that takes longer is cut short. */
const STOP_LIMIT_MS = 5_000

/**
 * Aborts at the first signal, and when the process that started this one is gone. Later ones change nothing. SIGHUP calls
 * `reload`, unless the process has a terminal, which says so when it is closed.
 */
function stopSignal(reload: () => void): AbortSignal {
  const controller = new AbortController()
  const stop = (): void => controller.abort(new StartError('stopped'))
  for (const name of ['SIGINT', 'SIGTERM', 'disconnect'] as const) process.on(name, stop)
  process.on('SIGHUP', process.stdin.isTTY || process.stderr.isTTY ? stop : reload)
  return controller.signal
}

export interface App extends AsyncDisposable {
  /** Reads anew what may change while it runs. */
  reload?(): void
  /** Rejects, with a StartError for what the person who started it can mend, when it is to stop by itself. */
  readonly ended?: Promise<never>
}

/**
 * The main function of a process: starts, waits for a signal, stops, exits. A StartError is said in one line, and so are a
 * full disk and a StartError of `read`, which reads the command line and answers `undefined` when that asks for help.
 */
export async function runMain<Config>(init: {
  readonly name: string
  readonly help: string
  readonly read: () => Config | undefined
  /** What is logged; read anew at SIGHUP. */
  readonly logLevel: (config: Config) => LogLevel
  /** Starts, and tells the person who started it. */
  readonly start: (config: Config, log: Logger, stop: AbortSignal) => Promise<App>
}): Promise<never> {
  // What the process keeps is for its owner only, whichever library writes it.
  process.umask(0o077)
  const config = said(init.name, 2, init.read)
  if (config === undefined) {
    console.log(init.help)
    process.exit(0)
  }
  const log = createLog(init.logLevel(config))
  process.on('uncaughtException', (error) => {
    // libp2p throws this out of a timer when a stream closes while it drains (js-libp2p issue 3415); it harms nothing.
    if (error.name === 'StreamStateError') {
      log.warn({ err: error }, 'a stream closed while it drained')
      return
    }
    log.fatal({ err: error }, 'uncaught')
    process.exit(1)
  })
  let app: App | undefined
  const stop = stopSignal(() => {
    try {
      log.level = init.logLevel(init.read() ?? config)
    } catch (error) {
      if (!(error instanceof StartError)) throw error
      log.warn({ error: error.message }, 'the configuration could not be read anew')
    }
    app?.reload?.()
    log.info({ logLevel: log.level }, 'the configuration was read anew')
  })
  try {
    app = await init.start(config, log, stop)
    const stopped = new Promise<void>((resolve) => {
      if (stop.aborted) resolve()
      else stop.addEventListener('abort', () => resolve(), { once: true })
    })
    try {
      await Promise.race([stopped, ...(app.ended === undefined ? [] : [app.ended])])
    } finally {
      setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref()
      await app[Symbol.asyncDispose]()
    }
  } catch (error) {
    said(init.name, 1, () => {
      throw error
    })
  }
  process.exit(0)
}

/** Runs, and says a StartError, or that the disk is full. @throws what else is thrown */
function said<T>(name: string, code: number, run: () => T): T {
  try {
    return run()
  } catch (error) {
    const line = isFull(error) ? DISK_FULL : error instanceof StartError ? error.message : undefined
    if (line === undefined) throw error
    console.error(`${name}: ${line}`)
    return process.exit(code)
  }
}

/** Nothing of the data folder is to be deleted then, whatever else its error advises. */
const DISK_FULL = 'the disk of the data folder is full: make room, then start again; nothing is lost'
/** Of the system: no room on the disk, none for this user, none in this file. */
const FULL_CODES: readonly unknown[] = ['ENOSPC', 'EDQUOT', 'EFBIG']
/** Of SQLite, https://sqlite.org/rescode.html#full */
const SQLITE_FULL = 13

function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof StoreError && error.code === 'full') return true
  if ('errcode' in error && error.errcode === SQLITE_FULL) return true
  return ('code' in error && FULL_CODES.includes(error.code)) || isFull(error.cause)
}

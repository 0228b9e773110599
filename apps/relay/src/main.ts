import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startRelayApp } from './app.ts'
import { type Flags, HELP, readFlags } from './flags.ts'
import { createLog } from './log.ts'
import { StartError } from './start-error.ts'
import { buildWeb } from './web-build.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
/** A stop that takes longer is cut short. */
const STOP_LIMIT_MS = 5_000

// What the relay keeps is for its owner only, whichever library writes it.
process.umask(0o077)
const log = createLog()

process.on('uncaughtException', (error) => {
  // libp2p throws this out of a timer when a stream closes while it drains (js-libp2p issue 3415); it harms nothing.
  if (error.name === 'StreamStateError') {
    log.warn({ err: error }, 'a stream closed while it drained')
    return
  }
  log.fatal({ err: error }, 'uncaught')
  process.exit(1)
})

/** Aborts at the first signal, and when the process that started this one is gone. Later ones change nothing. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) {
    process.on(name, () => stop.abort(new StartError('stopped')))
  }
  return stop.signal
}

async function run(flags: Flags): Promise<void> {
  const stop = stopSignal()
  const app = await startRelayApp({ log, build: () => buildWeb(ROOT, stop) }, flags)
  console.log(`Plexus is at ${app.address}`)
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }))
  setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref()
  await app[Symbol.asyncDispose]()
}

function readCommandLine(): Flags | undefined {
  try {
    return readFlags(process.argv.slice(2), join(ROOT, 'data'))
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    console.error(`plexus: ${error.message}`)
    return process.exit(2)
  }
}

const flags = readCommandLine()
if (flags === undefined) {
  console.log(HELP)
} else {
  try {
    await run(flags)
    process.exit(0)
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    console.error(`plexus: ${error.message}`)
    process.exit(1)
  }
}

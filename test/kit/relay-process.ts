import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const START_LIMIT_MS = 60_000

export type RelayProcessInit = {
  /** The data folder: a second process on the same one comes back at the same address, as the same peer. */
  readonly data: string
  /** Default 0 on an empty data folder: any free port. Give `null` to leave the flag out. */
  readonly port?: number | null
  readonly args?: readonly string[]
}

/** A relay in a process of its own, as `npm start` runs it. */
export interface RelayProcess extends AsyncDisposable {
  /** Where to open the web app, with a trailing slash. */
  readonly address: string
  readonly pid: number
  /** Standard output and error so far. */
  output(): string
  /** Sends the signal and waits until the process is gone. A number is its exit code, a string the fatal signal. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>
}

/** Starts the relay and waits until it says its address. */
export async function startRelay(init: RelayProcessInit): Promise<RelayProcess> {
  const port = init.port === undefined ? 0 : init.port
  const flags = [
    '--data',
    init.data,
    ...(port === null ? [] : ['--port', String(port)]),
    ...(init.args ?? []),
  ]
  const child = spawn(process.execPath, [join(ROOT, 'apps', 'relay', 'src', 'main.ts'), ...flags], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 1))
  })
  const seen = watchOutput(child)
  const address = await Promise.race([
    seen.match(/^Plexus is at (\S+)$/m),
    ended.then((code) => `ended with ${code}`),
    new Promise<string>((resolve) =>
      setTimeout(() => resolve('said no address in time'), START_LIMIT_MS).unref(),
    ),
  ])
  if (!address.startsWith('http')) {
    child.kill('SIGKILL')
    throw new Error(`the relay ${address}:\n${seen.text()}`)
  }
  const stop = (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> => {
    child.kill(signal)
    return ended
  }
  return {
    address,
    pid: child.pid ?? 0,
    output: () => seen.text(),
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

/** Collects what a process writes; `match` resolves with the first group once the pattern is there. */
export function watchOutput(child: ChildProcess): {
  text(): string
  match(pattern: RegExp): Promise<string>
} {
  let text = ''
  const waiting = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      for (const check of waiting) check()
    })
  }
  return {
    text: () => text,
    match: (pattern) =>
      new Promise((resolve) => {
        const check = (): void => {
          const [, group] = pattern.exec(text) ?? []
          if (group === undefined) return
          waiting.delete(check)
          resolve(group)
        }
        waiting.add(check)
        check()
      }),
  }
}

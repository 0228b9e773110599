/** Programs of ours in processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { BUNDLE_FLAGS, bundleOf } from '../../scripts/bundle.mjs'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const START_LIMIT_MS = 60_000

export interface Program extends AsyncDisposable {
  readonly pid: number
  /** What the pattern found in its output. */
  readonly said: string
  /** Standard output and error so far. */
  output(): string
  /** Sends the signal and waits until the process is gone. A number is its exit code, a string the fatal signal. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>
}

/** Runs apps/`app` as `scripts/run.mjs` does, and waits until its output matches. @throws with the output when it does not. */
export async function startProgram(init: {
  readonly app: 'node' | 'relay'
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly ready: RegExp
  /** Blocks that a file of it may have, as `ulimit -f` counts them; no bound by default. */
  readonly fileBlocks?: number | undefined
}): Promise<Program> {
  const program = [...BUNDLE_FLAGS, bundleOf(init.app, process.execPath)]
  const command = [process.execPath, ...program, ...init.args]
  const [file = '', ...args] = init.fileBlocks === undefined ? command : limited(command, init.fileBlocks)
  const child = spawn(file, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...init.env },
  })
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal ?? 1))
  })
  const seen = watchOutput(child)
  const said = await Promise.race([
    seen.match(init.ready),
    ended.then(() => undefined),
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), START_LIMIT_MS).unref()),
  ])
  if (said === undefined) {
    child.kill('SIGKILL')
    throw new Error(`apps/${init.app} ended with ${await ended}:\n${seen.text()}`)
  }
  const stop = (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> => {
    child.kill(signal)
    return ended
  }
  return {
    pid: child.pid ?? 0,
    said,
    output: () => seen.text(),
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

/** The command, writing no file beyond so many blocks (512 bytes, or 1024 where the shell counts so). */
export function limited(command: readonly string[], fileBlocks: number): readonly string[] {
  return ['/bin/sh', '-c', `ulimit -f ${fileBlocks} && exec "$@"`, 'sh', ...command]
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

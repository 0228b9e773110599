import { type ChildProcess, spawn } from 'node:child_process'
import { performance } from 'node:perf_hooks'

/** How a command ended: seconds, and either its exit code or that it had to be stopped. */
export type Outcome = {
  readonly code: number
  readonly seconds: number
  readonly stopped: boolean
  readonly output: string
}

export type CommandOptions = {
  readonly cwd: string
  /** Seconds after which the command and its children are stopped. */
  readonly limit: number
  /** Shows the output as it comes instead of keeping it. */
  readonly live: boolean
  readonly signal: AbortSignal
}

/** Output beyond this is cut in the middle of nowhere; it bounds the memory of a runaway command. */
const MAX_OUTPUT_CHARS = 8 * 1024 * 1024
const GRACE_MS = 5_000

/** Runs a command in a process group of its own, so that a stop reaches its children too. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<Outcome> {
  const start = performance.now()
  const child = spawn(command, args, {
    cwd: options.cwd,
    detached: true,
    stdio: ['ignore', options.live ? 'inherit' : 'pipe', options.live ? 'inherit' : 'pipe'],
    env: { ...process.env, FORCE_COLOR: process.stdout.isTTY ? '1' : '0' },
  })
  const chunks: string[] = []
  let kept = 0
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      if (kept < MAX_OUTPUT_CHARS) chunks.push(text)
      kept += text.length
    })
  }
  return new Promise((resolve) => {
    let stopped = false
    const stop = (): void => {
      stopped = true
      killGroup(child, 'SIGTERM')
      setTimeout(() => killGroup(child, 'SIGKILL'), GRACE_MS).unref()
    }
    const timer = setTimeout(stop, options.limit * 1000)
    options.signal.addEventListener('abort', stop, { once: true })
    const finish = (code: number): void => {
      clearTimeout(timer)
      options.signal.removeEventListener('abort', stop)
      // A child that outlived its parent would hold a port or a core of the next group.
      killGroup(child, 'SIGKILL')
      resolve({ code, seconds: (performance.now() - start) / 1000, stopped, output: chunks.join('') })
    }
    child.on('error', (error) => {
      chunks.push(`${error.message}\n`)
      finish(127)
    })
    child.on('exit', (code) => {
      // Grandchildren may keep the pipes open; what they write after this is nobody's result.
      setTimeout(() => finish(code ?? 1), 50)
    })
  })
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    // ESRCH: the whole group has ended.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

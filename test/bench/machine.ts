import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'

export type Machine = {
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly platform: string
  readonly node: string
}

export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1e9),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
  }
}

/** The average number of processes that ran or wanted to in the last minute. */
export function loadNow(): number {
  return Number((loadavg()[0] ?? 0).toFixed(2))
}

/** Memory of a process, as the kernel counts it. */
export function residentMb(pid: number): number {
  const [, kB = ''] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return (Number(kB) * 1_024) / 1e6
}

/** Above this many waiting processes per core before the start, the figures say more about others. */
const BUSY_PER_CORE = 0.5

export function loadWords(before: number, { cores }: Machine): string {
  const words = `load average ${before} on ${cores} cores before the start`
  return before > cores * BUSY_PER_CORE ? `${words}: BUSY, a quiet machine does better` : words
}

/**
 * `npm run sim`: random runs of many nodes, each told whole by its seed. Ends with 1 when a run failed.
 *
 *   npm run sim                                    1,000 runs from seed 1
 *   npm run sim -- --runs 10000 --seed 5000        10,000 runs from seed 5000
 *   npm run sim -- --runs 1 --seed 17              one run again
 *   npm run sim -- --workers 1 --version 12
 *   npm run sim -- --byzantine                     with a member that cheats, and a stock homeserver
 *   npm run sim -- --network --nodes 1000          people who come and go, with relays of which one lies
 *   npm run sim -- --fanout --nodes 200            how the events of a room of 200 nodes spread, a fifth of which passes nothing on
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { measureFanOut } from './fan-out.ts'
import { linesOf } from './network/report.ts'
import { runNetwork } from './network/run.ts'
import { replayCommand, runSimulation, type RunReport } from './run.ts'

type Share = {
  readonly seed: number
  readonly runs: number
  readonly step: number
  readonly version: string | undefined
  readonly byzantine: boolean
}

/** Runs between two lines of progress. */
const PROGRESS_RUNS = 250

function wholeNumber(text: string, name: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} ${text} is no whole number`)
  return value
}

/** Every `step`-th seed, so that the workers end together. */
async function work({ seed, runs, step, version, byzantine }: Share): Promise<void> {
  for (let done = 0; done < runs; done += step) {
    const report = await runSimulation({
      seed: seed + done,
      byzantine,
      ...(version === undefined ? {} : { version }),
    })
    parentPort?.postMessage(report, [])
  }
}

function share(given: Share, onReport: (report: RunReport) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: given })
    worker.on('message', onReport)
    worker.on('error', reject)
    worker.on('exit', () => resolve())
  })
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string', default: String(availableParallelism()) },
      version: { type: 'string' },
      byzantine: { type: 'boolean', default: false },
      fanout: { type: 'boolean', default: false },
      network: { type: 'boolean', default: false },
      minutes: { type: 'string', default: '20' },
      nodes: { type: 'string', default: '200' },
    },
  })
  if (values.fanout) {
    const nodes = wholeNumber(values.nodes, 'nodes')
    console.log(await measureFanOut({ nodes, seed: wholeNumber(values.seed, 'seed') }))
    return
  }
  if (values.network) {
    await network(values)
    return
  }
  const runs = wholeNumber(values.runs, 'runs')
  const seed = wholeNumber(values.seed, 'seed')
  const workers = Math.max(1, Math.min(wholeNumber(values.workers, 'workers'), runs))
  const { version, byzantine } = values
  const given = { byzantine, ...(version === undefined ? {} : { version }) }
  const start = performance.now()
  const reports: RunReport[] = []
  const rate = (): string => ((reports.length * 1_000) / (performance.now() - start)).toFixed(2)
  const failures = (): readonly RunReport[] => reports.filter(({ failure }) => failure !== undefined)
  const onReport = (report: RunReport): void => {
    reports.push(report)
    if (report.failure !== undefined)
      console.error(`seed ${report.seed} failed: ${report.failure}\n  ${replayCommand(report, given)}`)
    if (reports.length % PROGRESS_RUNS === 0)
      console.error(`${reports.length} of ${runs} runs, ${rate()} a second, ${failures().length} failed`)
  }
  const shares = Array.from({ length: workers }, (_, index) => ({
    seed: seed + index,
    runs: runs - index,
    step: workers,
    version,
    byzantine,
  }))
  await Promise.all(shares.map((each) => share(each, onReport)))
  summarize(reports, seed, rate())
  if (failures().length > 0 || reports.length < runs) process.exitCode = 1
}

async function network(values: { nodes: string; minutes: string; seed: string }): Promise<void> {
  const start = performance.now()
  const progress = (line: string): void => {
    const [seconds, mb] = [(performance.now() - start) / 1_000, process.memoryUsage().heapUsed / 1e6]
    console.error(`${seconds.toFixed(0)} s, ${mb.toFixed(0)} MB: ${line}`)
  }
  const report = await runNetwork({
    nodes: wholeNumber(values.nodes, 'nodes'),
    minutes: wholeNumber(values.minutes, 'minutes'),
    seed: wholeNumber(values.seed, 'seed'),
    progress,
  })
  for (const line of linesOf(report)) console.log(line)
  if (report.failure !== undefined) process.exitCode = 1
}

function summarize(reports: readonly RunReport[], seed: number, rate: string): void {
  const sum = (of: (report: RunReport) => number): string =>
    reports.reduce((total, report) => total + of(report), 0).toLocaleString('en')
  const share = (of: (report: RunReport) => boolean): string =>
    `${((100 * reports.filter(of).length) / Math.max(reports.length, 1)).toFixed(1)} %`
  console.log(`${reports.length} runs from seed ${seed}, ${rate} a second`)
  console.log(`failed           ${reports.filter(({ failure }) => failure !== undefined).length}`)
  console.log(`diverged         ${share(({ diverged }) => diverged > 0)} of the runs`)
  console.log(`had conflicts    ${share(({ conflicts }) => conflicts > 0)} of the runs`)
  console.log(`without members  ${share(({ partial }) => partial > 0)} of the runs`)
  console.log(`conflicts        ${sum(({ conflicts }) => conflicts)} resolved`)
  console.log(`events           ${sum(({ events }) => events)}`)
  console.log(
    `crashes          ${sum(({ crashes }) => crashes)}, restarts ${sum(({ restarts }) => restarts)}`,
  )
  console.log(
    `requests         ${sum(({ requests }) => requests)}, of which ${sum(({ lost }) => lost)} not answered`,
  )
  console.log(`asked by clients ${sum(({ done }) => done)} done, ${sum(({ refused }) => refused)} refused`)
  const [only] = reports
  if (reports.length === 1 && only !== undefined) console.log(`trace            ${only.trace}`)
}

await (isMainThread ? main() : work(workerData as Share))

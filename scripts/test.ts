/**
 * `npm test`: every check and test, group by group, with one summary at the end.
 *
 *   npm test                        all groups
 *   npm run check                   the static ones
 *   npm test -- node packages/core  one group; what follows its name goes to Vitest
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findChromium, howToGetChromium } from './chromium.ts'
import { type Outcome, runCommand } from './command.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const BIN = join(ROOT, 'node_modules', '.bin')
/** A group is stopped after this many times its budget: a limit against hanging, with room for a slow or busy machine. */
const TOLERANCE = 3

/** `budget` in seconds on two cores. A check counts as one test; a Vitest group counts what Vitest counts. */
type Group = {
  readonly name: string
  readonly kind: 'check' | 'vitest'
  readonly command: string
  readonly args: readonly string[]
  readonly budget: number
  readonly browser: boolean
}

const check = (name: string, budget: number, command: string, ...args: string[]): Group => ({
  name,
  kind: 'check',
  command: join(BIN, command),
  args,
  budget,
  browser: false,
})

/** `projects`: those of vitest.config.ts, the one of its name unless given. */
const vitest = (name: string, budget: number, browser: boolean, projects = [name]): Group => ({
  name,
  kind: 'vitest',
  command: join(BIN, 'vitest'),
  args: ['run', ...projects.flatMap((project) => ['--project', project])],
  budget,
  browser,
})

/** The budgets add up to some eleven minutes. */
const GROUPS: readonly Group[] = [
  check('format', 5, 'oxfmt', '--check'),
  check('lint', 30, 'oxlint', '--type-aware', '--deny-warnings'),
  check('types', 30, 'tsc', '-b'),
  check('unused', 15, 'knip', '--no-config-hints'),
  // Else each of the tests that start an app would make it at the same time.
  check('bundle', 20, 'node', 'scripts/bundle.mjs', 'node', 'relay'),
  vitest('node', 240, false, ['node', 'mock']),
  vitest('browser', 40, true),
  check('web', 45, 'node', 'scripts/build-web.ts'),
  vitest('e2e', 220, true),
]
/** Longer ones, which run when they are named. */
const LONG: readonly Group[] = [
  vitest('interop', 600, false),
  vitest('scenarios', 1_800, true),
  vitest('two-servers', 600, false),
]
const STATIC: readonly string[] = ['format', 'lint', 'types', 'unused']

type Result = {
  readonly group: Group
  readonly seconds: number
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** What its tests have counted. */
  readonly covered: readonly string[]
  /** Why the group failed as a whole, if it did. */
  readonly why?: string
}

type VitestReport = {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[]
  }[]
}

/** Tests with such a title count what they cover. */
const COVERED = /^\d+ of \d+ .*\bcovered\b/

type Counts = Pick<Result, 'passed' | 'failed' | 'skipped' | 'covered'>

function vitestCounts(reportFile: string, outcome: Outcome): Counts {
  let text: string
  try {
    text = readFileSync(reportFile, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return { passed: 0, failed: outcome.code === 0 ? 0 : 1, skipped: 0, covered: [] }
  }
  const report = JSON.parse(text) as VitestReport
  const failed = Math.max(report.numFailedTests, outcome.code === 0 ? 0 : 1)
  const skipped = report.numPendingTests + report.numTodoTests
  const covered = report.testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .flatMap(({ title, status }) => (status === 'passed' && COVERED.test(title) ? [title] : []))
  return { passed: report.numPassedTests, failed, skipped, covered }
}

function reasonOf(group: Group, outcome: Outcome): string | undefined {
  if (outcome.stopped) return `stopped after ${outcome.seconds.toFixed(0)} s, budget ${group.budget} s`
  if (outcome.code !== 0) return `exit ${outcome.code}`
  return undefined
}

async function runGroup(group: Group, filters: readonly string[], signal: AbortSignal): Promise<Result> {
  const scratch = mkdtempSync(join(tmpdir(), 'plexus-test-'))
  const report = join(scratch, 'report.json')
  const live = filters.length > 0
  process.stdout.write(`${group.name.padEnd(8)} … ${live ? '\n' : ''}`)
  const extra =
    group.kind === 'vitest' ? ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`] : []
  const outcome = await runCommand(group.command, [...group.args, ...extra, ...filters], {
    cwd: ROOT,
    limit: group.budget * TOLERANCE,
    live,
    signal,
  })
  const why = reasonOf(group, outcome)
  const failedCheck = why === undefined ? 0 : 1
  const counts =
    group.kind === 'vitest'
      ? vitestCounts(report, outcome)
      : { passed: 1 - failedCheck, failed: failedCheck, skipped: 0, covered: [] }
  rmSync(scratch, { recursive: true, force: true })
  const result = { group, seconds: outcome.seconds, ...counts, ...(why === undefined ? {} : { why }) }
  process.stdout.write(`${verdict(result)} in ${outcome.seconds.toFixed(1)} s\n`)
  if (why !== undefined && !live) process.stdout.write(`\n${outcome.output.trimEnd()}\n\n`)
  return result
}

function verdict({ group, passed, failed, skipped, covered, why }: Result): string {
  if (group.kind === 'check') return why === undefined ? 'ok' : `FAILED (${why})`
  const counts = [`${passed} passed`, `${failed} failed`, `${skipped} skipped`, ...covered].join(', ')
  return why === undefined ? counts : `FAILED (${why}): ${counts}`
}

function summary(results: readonly Result[]): string {
  const rows = results.map((result) => [
    result.group.name.padEnd(10),
    `${result.seconds.toFixed(1)} s`.padStart(9),
    `${result.group.budget} s`.padStart(8),
    `  ${verdict(result)}${result.seconds > result.group.budget ? ', over its budget' : ''}`,
  ])
  const sum = (of: (result: Result) => number): number =>
    results.reduce((total, result) => total + of(result), 0)
  const total = [
    'all'.padEnd(10),
    `${sum((r) => r.seconds).toFixed(1)} s`.padStart(9),
    `${sum((r) => r.group.budget)} s`.padStart(8),
  ]
  return [
    ['group'.padEnd(10), 'time'.padStart(9), 'budget'.padStart(8), '  result'].join(''),
    ...[...rows, total].map((row) => row.join('')),
    `${sum((r) => r.passed)} passed, ${sum((r) => r.failed)} failed, ${sum((r) => r.skipped)} skipped`,
  ].join('\n')
}

/** The groups that the arguments name, or a line about what is wrong with them. */
function select(args: readonly string[]): { groups: readonly Group[]; filters: readonly string[] } | string {
  const [first, ...filters] = args
  if (first === undefined) return { groups: GROUPS, filters: [] }
  if (first === '--checks' && filters.length === 0) {
    return { groups: GROUPS.filter(({ name }) => STATIC.includes(name)), filters: [] }
  }
  const group = [...GROUPS, ...LONG].find(({ name }) => name === first)
  const names = [...GROUPS, ...LONG].map(({ name }) => name).join(', ')
  if (group === undefined)
    return `unknown group ${first}; the groups are ${names}, or --checks for the static ones`
  // The pages of end-to-end tests come from the built app.
  const web = GROUPS.filter(({ name }) => name === 'web' && first === 'e2e')
  if (filters.length > 0 && group.kind === 'check') return `${first} takes no further arguments`
  return { groups: [...web, group], filters }
}

async function main(): Promise<number> {
  const selected = select(process.argv.slice(2))
  if (typeof selected === 'string') {
    console.error(selected)
    return 2
  }
  const { groups, filters } = selected
  if (groups.some(({ browser }) => browser) && findChromium() === undefined) {
    console.error(`${howToGetChromium()} (without a browser: npm run check, npm test -- node)`)
    return 1
  }
  const interrupt = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) {
    process.once(signal, () => interrupt.abort())
  }
  const results: Result[] = []
  for (const group of groups) {
    if (interrupt.signal.aborted) break
    results.push(await runGroup(group, group.kind === 'vitest' ? filters : [], interrupt.signal))
  }
  console.log(`\n${summary(results)}`)
  if (interrupt.signal.aborted) return 130
  return results.every(({ failed }) => failed === 0) ? 0 : 1
}

process.exit(await main())

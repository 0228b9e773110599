/**
 * `npm run conformance`: Complement, the conformance suite of Matrix homeservers, against the headless node.
 *
 *   npm run conformance
 *   npm run conformance -- --csapi                  the Client-Server API alone
 *   npm run conformance -- --run TestLogin          tests by their name, a regular expression
 *   npm run conformance -- --list                   writes what passed to passing.txt
 *
 * Needs Go, which fetches Complement through the Go module proxy. Each homeserver is a process on loopback. Fails when
 * a test that passing.txt lists does not pass.
 */
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { judge, readOutcomes } from './judge.ts'
import { addHooks } from './hooks.ts'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const WORK = fileURLToPath(new URL('../../node_modules/.conformance', import.meta.url))
const PASSING = join(HERE, 'passing.txt')
const COPY = join(WORK, 'complement')
const COMPLEMENT = 'github.com/matrix-org/complement'
const COMMIT = '50044edb'
const LIMIT = '60m'

/** The folder of Complement in Go's module cache. @throws Error with what Go said. */
function fetchComplement(): string {
  const args = ['mod', 'download', '-json', `${COMPLEMENT}@${COMMIT}`]
  const { error, stdout } = spawnSync('go', args, { cwd: WORK, encoding: 'utf8' })
  if (error !== undefined) throw new Error('this needs Go, 1.25 or newer, on the PATH', { cause: error })
  const { Dir, Error: why } = JSON.parse(stdout) as { Dir?: string; Error?: string }
  if (Dir === undefined) throw new Error(`Go cannot fetch Complement: ${why}`)
  return Dir
}

/** A copy of Complement with our deployer: Go lets nobody overlay files of its module cache. */
function prepare(): void {
  rmSync(WORK, { recursive: true, force: true })
  mkdirSync(WORK, { recursive: true })
  cpSync(fetchComplement(), COPY, { recursive: true })
  // What Go fetched is read-only.
  for (const name of ['.', ...readdirSync(COPY, { recursive: true, encoding: 'utf8' })])
    chmodSync(join(COPY, name), 0o755)
  const testMain = join(COPY, 'test_main.go')
  writeFileSync(testMain, addHooks(readFileSync(testMain, 'utf8')))
  copyFileSync(join(HERE, 'proc_deployer.go'), join(COPY, 'proc_deployer.go'))
}

async function run(args: readonly string[]): Promise<readonly string[]> {
  const child = spawn('go', ['test', ...args], {
    cwd: COPY,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      COMPLEMENT_BASE_IMAGE: 'none',
      COMPLEMENT_PROC_CMD: join(HERE, 'start.ts'),
      COMPLEMENT_PROC_FED: 'ports',
      COMPLEMENT_PROC_DIR: join(WORK, 'servers'),
      COMPLEMENT_HOSTNAME_RUNNING_COMPLEMENT: 'localhost',
      COMPLEMENT_ENABLE_DIRTY_RUNS: '1',
      COMPLEMENT_SPAWN_HS_TIMEOUT_SECS: '30',
    },
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => child.kill(signal))
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) lines.push(line)
  return lines
}

const { values } = parseArgs({
  options: { csapi: { type: 'boolean' }, run: { type: 'string' }, list: { type: 'boolean' } },
})
const tests = values.csapi === true ? ['./tests/csapi'] : ['./tests/csapi', './tests']
prepare()
const lines = await run([
  '-p=1',
  '-count=1',
  `-timeout=${LIMIT}`,
  '-json',
  ...(values.run === undefined ? [] : ['-run', values.run]),
  ...tests,
])
writeFileSync(join(WORK, 'output.jsonl'), lines.join('\n'))
const outcomes = readOutcomes(lines)
const listed = existsSync(PASSING) ? readFileSync(PASSING, 'utf8').split('\n').filter(Boolean) : []
const { failed, text } = judge(outcomes, listed, values.csapi !== true && values.run === undefined)
console.log(text)
if (values.list === true) {
  const passed = [...outcomes].filter(([, outcome]) => outcome === 'pass').map(([name]) => `${name}\n`)
  writeFileSync(PASSING, passed.toSorted().join(''))
}
process.exitCode = failed ? 1 : 0

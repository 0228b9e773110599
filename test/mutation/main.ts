/**
 * `npm run mutation`: changes the room core in thousands of small ways, one at a time, and looks whether a test fails.
 *
 *   npm run mutation
 *   npm run mutation -- packages/core/src/redact.ts     only there
 *
 * Fails when too few mutants are killed, or one survives that survivors.json does not list with its reason.
 */
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PartialStrykerOptions } from '@stryker-mutator/api/core'
import { Stryker } from '@stryker-mutator/core'
import { judge, type Survivor } from './judge.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** What decides over events: auth rules, state resolution, redaction, format, and the verdict itself. */
const MUTATED: readonly string[] = [
  'packages/core/src/{auth,resolve}/**/*.ts',
  'packages/core/src/{decide,format,redact}.ts',
]

process.chdir(ROOT)
const chosen = process.argv.slice(2)
/** With those of the runner, which the types do not know. */
const options: PartialStrykerOptions & { vitest: { configFile: string; related: boolean } } = {
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'test/mutation/vitest.config.ts', related: false },
  coverageAnalysis: 'perTest',
  mutate: [...(chosen.length > 0 ? chosen : MUTATED), '!**/*.test.ts'],
  // The mutated copy needs the core alone.
  ignorePatterns: ['apps', 'packages/*', '!packages/core', 'test/*', '!test/mutation', '!test/vectors'],
  // Its TypeScript preprocessor wants an API that TypeScript 7 does not have; nothing here needs it.
  tsconfigFile: 'none',
  packageManager: 'pnpm',
  reporters: ['progress-append-only'],
  concurrency: 2,
  tempDirName: 'node_modules/.stryker',
  allowConsoleColors: false,
}
const results = await new Stryker(options).runMutationTest()

const listed = JSON.parse(readFileSync(join(ROOT, 'test/mutation/survivors.json'), 'utf8')) as Survivor[]
const mutants = results.map(({ fileName, location: { start, end }, mutatorName, replacement, status }) => {
  const line = readFileSync(fileName, 'utf8').split('\n')[start.line - 1] ?? ''
  return {
    file: relative(ROOT, fileName),
    line: line.trim(),
    original: start.line === end.line ? line.slice(start.column - 1, end.column - 1) : line.trim(),
    mutator: mutatorName,
    replacement: replacement ?? '',
    status,
  }
})
const { failed, text } = judge(mutants, listed, chosen.length === 0)
console.log(text)
process.exitCode = failed ? 1 : 0

import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'
import { launchOptions } from './scripts/chromium.ts'

// What a context in memory stores never meets the disk, so browser tests run on a profile, a new one for each run.
const profile = join(tmpdir(), `plexus-browser-${process.pid}`)
process.on('exit', () => rmSync(profile, { recursive: true, force: true }))

/** A busy machine may need more than the second that is the default. */
const EXPECT = { poll: { timeout: 20_000 } }

/** The longest, longest first: one that began last would run alone at the end. */
const LONG: readonly string[] = [
  'crash.e2e',
  'two-people.e2e',
  'p2p.e2e',
  'hostile.e2e',
  'three-people.e2e',
  'store-crash.e2e',
  'node-crash',
  'simulation',
  'visibility-matrix',
  'resolve.property',
  'node-app',
  'fuzz',
  'node-federation',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification): number => {
      // A process that files share ends where one comes between them that shares none.
      if (project.name === 'mock') return -1
      const index = LONG.findIndex((name) => moduleId.includes(`/${name}.`))
      return index === -1 ? LONG.length : index
    }
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    maxWorkers: 2,
    silent: 'passed-only',
    projects: [
      {
        test: {
          name: 'node',
          include: ['packages/**/*.test.ts', 'apps/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: ['**/*.{browser,e2e,interop,mock,pair,scenario}.test.ts', '**/node_modules/**'],
          // What is tested keeps no state of its modules, so files may share it: loaded once, and compiled.
          isolate: false,
          // Limits against hanging, with room for a busy machine; what is slow shows in the budget of the group.
          testTimeout: 30_000,
          hookTimeout: 60_000,
          expect: EXPECT,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          // They put something in place of modules, each in a process of its own.
          name: 'mock',
          include: ['{packages,apps,test}/**/*.mock.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          expect: EXPECT,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'browser',
          include: ['{packages,apps,test}/**/*.browser.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: EXPECT,
          sequence: { groupOrder: 1 },
          // One profile cannot be shared by parallel sessions.
          fileParallelism: false,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            instances: [{ browser: 'chromium' }],
            provider: playwright({ launchOptions: launchOptions(), persistentContext: profile }),
          },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.e2e.test.ts'],
          maxWorkers: 2,
          // Limits against hanging: the longest kill a browser twenty times.
          testTimeout: 240_000,
          expect: EXPECT,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          // Browsers over slow lines, many times: `npm run scenarios`.
          name: 'scenarios',
          include: ['test/scenarios/*.scenario.test.ts'],
          maxWorkers: 1,
          expect: EXPECT,
          sequence: { groupOrder: 4 },
        },
      },
      {
        test: {
          // What two servers do with each other, over either carrier: `npm run two-servers`.
          name: 'two-servers',
          include: ['test/two-servers/*.pair.test.ts'],
          maxWorkers: 2,
          testTimeout: 90_000,
          hookTimeout: 90_000,
          sequence: { groupOrder: 5 },
        },
      },
      {
        test: {
          // Stock software against the headless node: `npm run interop`.
          name: 'interop',
          include: ['test/interop/**/*.interop.test.ts'],
          globalSetup: ['test/interop/synapse/install.ts'],
          maxWorkers: 1,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
})

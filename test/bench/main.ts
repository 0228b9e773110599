/**
 * `npm run bench`: how fast and how large Plexus is on this machine. Prints a table and writes bench-results.json.
 *
 *   npm run bench
 *   npm run bench -- --quick             few repetitions
 *   npm run bench -- --only delivery     one section; may be given several times
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { findChromium, howToGetChromium } from '../../scripts/chromium.ts'
import { catchUp } from './catch-up.ts'
import { clientApi } from './client-api.ts'
import { decideSection } from './decide.ts'
import { delivery } from './delivery.ts'
import { discovery } from './discovery.ts'
import { federation } from './federation.ts'
import type { Figure } from './figures.ts'
import { flood } from './flood.ts'
import { inboundIdb } from './inbound-idb.ts'
import { inboundSqlite } from './inbound-sqlite.ts'
import { largeJoin } from './large-join.ts'
import { loadBytes } from './load-bytes.ts'
import { loadNow, loadWords, thisMachine } from './machine.ts'
import { mailbox } from './mailbox.ts'
import { memory } from './memory.ts'
import { printTable, writeResults } from './report.ts'
import { resolveSection } from './resolve.ts'
import type { Section } from './section.ts'
import { signUpSection } from './sign-up.ts'
import { synapseJoin } from './synapse-join.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const RESULTS = join(ROOT, 'bench-results.json')

const SECTIONS: readonly Section[] = [
  loadBytes,
  signUpSection,
  delivery,
  inboundSqlite,
  inboundIdb,
  federation,
  catchUp,
  memory,
  largeJoin,
  synapseJoin,
  resolveSection,
  decideSection,
  clientApi,
  mailbox,
  flood,
  discovery,
]

async function measure(section: Section, quick: boolean): Promise<readonly Figure[]> {
  const start = performance.now()
  const note = (words: string): void => console.error(`${section.name}: ${words}`)
  note('…')
  const figures = await section.run({ quick, note })
  note(`done in ${((performance.now() - start) / 1_000).toFixed(1)} s`)
  return figures
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: SECTIONS.map(({ name }) => name) },
    },
  })
  const { quick, only } = values
  const unknown = only.filter((name) => !SECTIONS.some((section) => section.name === name))
  if (unknown.length > 0) {
    const names = SECTIONS.map(({ name }) => name).join(', ')
    throw new Error(`no section ${unknown.join(', ')}; there are ${names}`)
  }
  const chosen = SECTIONS.filter(({ name }) => only.includes(name))
  if (chosen.some(({ inNode }) => inNode !== true)) {
    if (findChromium() === undefined) throw new Error(howToGetChromium())
    // Here, so that no section waits for it.
    execFileSync(process.execPath, [join(ROOT, 'scripts', 'build-web.ts')], { cwd: ROOT, stdio: 'inherit' })
  }
  const machine = thisMachine()
  const before = loadNow()
  console.error(loadWords(before, machine))
  const figures: Figure[] = []
  const failed: string[] = []
  for (const section of chosen) {
    try {
      figures.push(...(await measure(section, quick)))
    } catch (error) {
      // What the others found is worth having.
      console.error(`${section.name}:`, error)
      failed.push(section.name)
    }
  }
  console.log('')
  printTable(figures)
  console.log(
    `\n${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB; ${loadWords(before, machine)}`,
  )
  const load = { before, after: loadNow() }
  writeResults(RESULTS, { when: new Date().toISOString(), quick, machine, load, failed, figures })
  console.log(`written to ${RESULTS}`)
  if (failed.length > 0) throw new Error(`not measured: ${failed.join(', ')}`)
}

await main()

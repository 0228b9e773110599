/** Many nodes, forks, crashes and a bad network: in the end all agree. `npm run sim` runs more seeds. */
import { describe, expect, it } from 'vitest'
import { runSimulation } from './run.ts'

/** As many as take well under a minute on a busy machine. */
const SEEDS: readonly number[] = Array.from({ length: 40 }, (_, index) => index + 1)

describe('five nodes', () => {
  it.each(SEEDS)('agree after whatever happened, seed %i', async (seed) => {
    const report = await runSimulation({ seed })
    expect(report.failure).toBeUndefined()
    expect(report.diverged).toBeGreaterThan(0)
    expect(report.conflicts).toBeGreaterThan(0)
  })

  it('are in the room without its members for a time in some runs', async () => {
    const report = await runSimulation({ seed: 2, crowd: 60 })
    expect(report.failure).toBeUndefined()
    expect(report.partial).toBeGreaterThan(10)
  })

  it('do the same again for the same seed, and something else for another', async () => {
    const [first, again, other] = [
      await runSimulation({ seed: 5 }),
      await runSimulation({ seed: 5 }),
      await runSimulation({ seed: 6 }),
    ]
    expect(again).toEqual(first)
    expect(other.trace).not.toBe(first.trace)
  })

  it('are more in some runs', async () => {
    const report = await runSimulation({ seed: 1, nodes: 8, steps: 100 })
    expect(report.failure).toBeUndefined()
  })
})

/** As many as take some ten seconds: `npm run sim -- --byzantine` runs more. */
const BYZANTINE_SEEDS: readonly number[] = Array.from({ length: 8 }, (_, index) => index + 1)

describe('five nodes of which one cheats and one is a stock homeserver', () => {
  it.each(BYZANTINE_SEEDS)('agree on what the rules allow, within bounds, seed %i', async (seed) => {
    const report = await runSimulation({ seed, byzantine: true })
    expect(report.failure).toBeUndefined()
    expect(report.diverged).toBeGreaterThan(0)
  })
})

/** Nodes that come and go, with relays of which one lies. `npm run sim -- --network` runs more of them, for longer. */
import { describe, expect, it } from 'vitest'
import { runNetwork } from './network/run.ts'

describe('a network of people who come and go', { timeout: 60_000 }, () => {
  it('loses nothing that it acknowledged', async () => {
    const report = await runNetwork({ seed: 1, nodes: 12, minutes: 3 })
    expect(report.failure).toBeUndefined()
    expect(report.delays.woken.length).toBeGreaterThan(50)
  })

  it('does the same again for the same seed', async () => {
    const run = { seed: 2, nodes: 3, minutes: 1 }
    expect(await runNetwork(run)).toEqual(await runNetwork(run))
  })

  it('fails where all relays keep mail for themselves', async () => {
    const { failure } = await runNetwork({ seed: 1, nodes: 6, minutes: 0, liars: 4, lie: () => [] })
    expect(failure).toMatch(/lacks message \d+ of \d+, who is gone/)
  })
})

/** The simulation notices what is broken on purpose. */
import type { Fate, Sent } from '../kit/loopback.ts'
import { describe, expect, it } from 'vitest'
import { runSimulation } from './run.ts'

/** Not every run needs what is broken here. */
const SEEDS: readonly number[] = Array.from({ length: 12 }, (_, index) => index + 8)

async function firstFailure(sabotage: (sent: Sent) => Fate | undefined): Promise<string | undefined> {
  for (const seed of SEEDS) {
    const { failure } = await runSimulation({ seed, sabotage })
    if (failure !== undefined) return failure
  }
  return undefined
}

describe('the simulation', { timeout: 60_000 }, () => {
  it('fails when no gap can be filled', async () => {
    const paths = /\/v1\/(?:get_missing_events|backfill|event|state|state_ids)\//
    const failure = await firstFailure(({ uri }) => (paths.test(uri) ? { lose: 'request' } : undefined))
    expect(failure).toBeDefined()
  })

  it('fails when what is missed is not asked for', async () => {
    const failure = await firstFailure(({ uri }) =>
      uri.includes('/v1/event/') ? { lose: 'request' } : undefined,
    )
    expect(failure).toBeDefined()
  })

  it('fails when events do not arrive', async () => {
    const failure = await firstFailure(({ uri }) =>
      uri.includes('/v1/send/') ? { lose: 'request' } : undefined,
    )
    expect(failure).toBeDefined()
  })

  it('fails when nothing diverged', async () => {
    const { failure } = await runSimulation({ seed: 1, fork: false, steps: 0 })
    expect(failure).toMatch(/never had different heads/)
  })
})

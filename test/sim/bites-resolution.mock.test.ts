/** The simulation notices a state resolution that depends on the order of its inputs. */
import type { Resolution, StateMap } from '@plexus/core'
import { expect, it, vi } from 'vitest'
import { runSimulation } from './run.ts'

vi.mock(import('@plexus/core'), async (original) => {
  const core = await original()
  let calls = 0
  return {
    ...core,
    resolve(version, states, view): Resolution {
      const result = core.resolve(version, states, view)
      if (result.kind !== 'resolved' || states.length < 2) return result
      calls += 1
      // Who comes first wins, and that is somebody else each time.
      const state: StateMap = new Map([...result.state, ...(states[calls % states.length] ?? [])])
      return { ...result, state }
    },
  }
})

/** Not every run needs a resolution whose order matters: one of eight agrees in the end. */
const SEEDS: readonly number[] = Array.from({ length: 8 }, (_, index) => index + 1)

it('a run fails when resolution depends on the order of its inputs', { timeout: 60_000 }, async () => {
  const failures: (string | undefined)[] = []
  for (const seed of SEEDS) {
    const { failure } = await runSimulation({ seed })
    failures.push(failure)
    if (failure?.includes('different states') === true) return
  }
  expect.fail(`no run noticed it: ${failures.join(', ')}`)
})

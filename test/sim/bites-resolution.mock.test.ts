/** The simulation notices a state resolution that depends on the order of its inputs. */
import type { Resolution, StateMap } from '@plexus/core'
import { describe, expect, it, vi } from 'vitest'
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

describe('a run', () => {
  it.each([1, 2, 3])('fails when resolution depends on the order of its inputs, seed %i', async (seed) => {
    const { failure } = await runSimulation({ seed })
    expect(failure).toMatch(/different states/)
  })
})

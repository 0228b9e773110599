import type { JsonObject, ServerName } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { createEduFaults, FAULT_PATIENCE_MS, MAX_FAILING_EDUS, type EduFaults } from './edu-faults.ts'

describe('EDUs that fail by a fault of this node', () => {
  const alice = 'alice.example' as ServerName
  let now: number
  let faults: EduFaults

  beforeEach(() => {
    now = 1_000_000
    faults = createEduFaults({ now: () => now, after: () => () => undefined })
  })

  const edu = (n: number): JsonObject => ({ edu_type: 'm.test', content: { n } })

  it('are given up once they have failed for a while, each by itself', () => {
    expect(faults.failed(alice, edu(1))).toBe(false)
    now += FAULT_PATIENCE_MS - 1
    expect([faults.failed(alice, edu(1)), faults.failed(alice, edu(2))]).toEqual([false, false])
    now += 1
    expect([faults.failed(alice, edu(1)), faults.failed(alice, edu(2))]).toEqual([true, false])
  })

  it('have all their time again once they were applied', () => {
    faults.failed(alice, edu(1))
    now += FAULT_PATIENCE_MS
    faults.applied(alice, edu(1))
    expect(faults.failed(alice, edu(1))).toBe(false)
  })

  it('are so many at most that are remembered', () => {
    for (let n = 0; n <= MAX_FAILING_EDUS; n += 1) faults.failed(alice, edu(n))
    now += FAULT_PATIENCE_MS
    expect([faults.failed(alice, edu(1)), faults.failed(alice, edu(0))]).toEqual([true, false])
  })
})

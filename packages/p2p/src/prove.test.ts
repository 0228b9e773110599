import type { ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { createProver, MAX_PROOF_MS, MAX_PROOFS_OF_RELAY } from './prove.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'
import { MAX_PROOF_BITS } from './wire/limits.ts'
import { isProof } from './wire/proof.ts'

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const subjectAt = (relay: string) => ({ relay, recipient: 'bob.example.org' as ServerName, mailHash: 'hash' })
/** More than anybody finds. */
const NEVER = MAX_PROOF_BITS + 1

function start() {
  const clock = createVirtualClock(Date.UTC(2026, 0, 1))
  const stop = new AbortController()
  const prover = createProver(clock, stop.signal)
  const turns = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      clock.advance(0)
      await settle()
    }
  }
  return { clock, stop, prover, turns }
}

describe('the work for strangers', () => {
  it('is what the relay checks', async () => {
    const { prover } = start()
    const { day, nonce } = await prover.prove(subjectAt('a'), 4)
    expect(isProof({ ...subjectAt('a'), day }, nonce, 4)).toBe(true)
  })

  it('for one relay waits for none for another', async () => {
    const { prover, stop, turns } = start()
    const endless = prover.prove(subjectAt('greedy'), NEVER).catch((error: unknown) => error)
    await prover.prove(subjectAt('honest'), 4)
    stop.abort(new Error('stopped'))
    await turns(1)
    expect(await endless).toBeInstanceOf(Error)
  })

  it('ends in time, and the next one begins', async () => {
    const { prover, clock, turns } = start()
    const outcomes: unknown[] = []
    const note = (outcome: unknown): void => void outcomes.push(outcome)
    prover.prove(subjectAt('greedy'), NEVER).catch(note)
    prover.prove(subjectAt('greedy'), 0).then(note, note)
    await turns(3)
    expect(outcomes).toEqual([])
    clock.advance(MAX_PROOF_MS + 1)
    await turns(2)
    expect(outcomes).toMatchObject([{ name: 'CarrierError', code: 'timeout' }, { nonce: 0 }])
  })

  it('waits in a line of so many', async () => {
    const { prover, stop, turns } = start()
    const waiting = Array.from({ length: MAX_PROOFS_OF_RELAY }, () =>
      prover.prove(subjectAt('greedy'), NEVER).catch(() => undefined),
    )
    await expect(prover.prove(subjectAt('greedy'), 0)).rejects.toMatchObject({ code: 'unreachable' })
    expect(await prover.prove(subjectAt('honest'), 0)).toMatchObject({ nonce: 0 })
    stop.abort(new Error('stopped'))
    await turns(1)
    await Promise.all(waiting)
    expect(await prover.prove(subjectAt('greedy'), 0).catch(() => 'stopped')).toBe('stopped')
  })
})

import { createHash } from 'node:crypto'
import type { ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { MAX_PROOF_BITS } from './limits.ts'
import { dayOf, isProof, PROOF_DAY_MS, searchProof, type ProofSubject } from './proof.ts'

const SUBJECT: ProofSubject = {
  relay: '12D3KooWRelay',
  recipient: 'someone.example' as ServerName,
  mailHash: 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0',
  day: 20_000,
}
const BITS = 10

describe('a proof of work', () => {
  const nonce = searchProof(SUBJECT, BITS, { from: 0, count: 100_000 }) ?? Number.NaN

  it('is the hash that its description says', () => {
    const text =
      'plexus mail proof 1\n{"day":20000,"mailHash":"ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0","recipient":"someone.example","relay":"12D3KooWRelay"}'
    const counter = Buffer.alloc(8)
    counter.writeBigUInt64BE(BigInt(nonce))
    const seed = createHash('sha256').update(text).digest()
    const hash = createHash('sha256').update(seed).update(counter).digest()
    expect(hash.readUInt32BE(0) >>> (32 - BITS)).toBe(0)
    expect(isProof(SUBJECT, nonce, BITS)).toBe(true)
  })

  it('is the first one, and only where it is searched for', () => {
    const smaller = Array.from({ length: nonce }, (_, n) => isProof(SUBJECT, n, BITS))
    expect(smaller).not.toContain(true)
    expect(searchProof(SUBJECT, BITS, { from: 0, count: nonce })).toBeUndefined()
    expect(searchProof(SUBJECT, BITS, { from: nonce, count: 1 })).toBe(nonce)
  })

  it.each([
    { relay: '12D3KooWOther' },
    { recipient: 'other.example' as ServerName },
    { mailHash: 'other' },
    { day: 20_001 },
  ])('serves no other %o', (change) => {
    expect(isProof({ ...SUBJECT, ...change }, nonce, BITS)).toBe(false)
  })

  it('without bits is any number, and beyond the most nobody has one to show', () => {
    expect(isProof(SUBJECT, 0, 0)).toBe(true)
    expect(isProof(SUBJECT, 2 ** 53 - 1, 0)).toBe(true)
    expect(isProof(SUBJECT, nonce, MAX_PROOF_BITS + 1)).toBe(false)
  })

  it('is of a day that begins at midnight', () => {
    expect(dayOf(20_000 * PROOF_DAY_MS)).toBe(20_000)
    expect(dayOf(20_000 * PROOF_DAY_MS - 1)).toBe(19_999)
  })
})

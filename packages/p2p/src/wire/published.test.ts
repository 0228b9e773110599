import { accountRecords, MAX_RECORD_BYTES } from '@plexus/core/names'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createTestPublisher } from '../testing/records.ts'
import {
  createDhtRules,
  decodeDhtKey,
  decodePublished,
  DHT_NAMESPACE,
  encodeDhtKey,
  encodePublished,
} from './published.ts'
import { decodeKeyedRecord, encodeKeyedRecord } from './relay.ts'

const NOW = Date.UTC(2026, 0, 1)
const owner = createTestPublisher(NOW)
const published = (sequence: number) => ({ key: owner.key, signed: owner.record(sequence) })
const { validators, selectors } = createDhtRules(() => NOW)
const validate = async (key: Uint8Array, value: Uint8Array): Promise<void> =>
  validators[DHT_NAMESPACE]?.(key, value)

describe('a published record', () => {
  it('is the same after the way through the DHT and through a relay', () => {
    const record = published(1)
    expect(decodePublished(owner.key, encodePublished(record), NOW)).toEqual(record)
    expect(decodeKeyedRecord(encodeKeyedRecord(record), NOW)).toEqual(record)
    expect(decodeDhtKey(encodeDhtKey(owner.key))).toBe(owner.key)
  })

  it('counts under its own key, within its size and until it expires', () => {
    const bytes = encodePublished(published(1))
    expect(decodePublished(createTestPublisher(NOW).key, bytes, NOW)).toBeUndefined()
    expect(decodePublished(owner.key, bytes, NOW + 3_600_000)).toBeUndefined()
    const long = JSON.stringify({
      ...accountRecords.json(owner.record(1)),
      more: 'x'.repeat(MAX_RECORD_BYTES),
    })
    expect(decodePublished(owner.key, new TextEncoder().encode(long), NOW)).toBeUndefined()
  })

  it('is validated by the DHT, which selects the newest', async () => {
    const key = encodeDhtKey(owner.key)
    const values = [1, 3, 2].map((sequence) => encodePublished(published(sequence)))
    await expect(validate(key, values[0] ?? key)).resolves.toBeUndefined()
    await expect(validate(encodeDhtKey(createTestPublisher(NOW).key), values[0] ?? key)).rejects.toThrow(
      'not a sound',
    )
    expect(selectors[DHT_NAMESPACE]?.(key, [new Uint8Array(3), ...values])).toBe(2)
  })

  it('is no other bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.uint8Array(), async (key, value) => {
        expect(decodeDhtKey(key)).toBeUndefined()
        expect(decodePublished(owner.key, value, NOW)).toBeUndefined()
        await expect(validate(key, value)).rejects.toThrow('not a sound')
      }),
    )
  })
})

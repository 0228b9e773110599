import fc from 'fast-check'
import type { JsonObject, JsonValue, ServerName, UserId } from '@plexus/core'
import { MAX_SHELF_DEVICES, MAX_SHELF_BYTES, type SignedShelf } from '@plexus/core/names'
import { beforeAll, describe, expect, it } from 'vitest'
import { createAccount } from '../testing/accounts.ts'
import { MAX_SHELF_KEY_BYTES, MAX_SHELF_KEYS } from './limits.ts'
import { encodeJson } from './message.ts'
import {
  decodeShelfAnswer,
  decodeShelfCounts,
  decodeShelfQuestion,
  decodeStock,
  encodeShelfAnswer,
  encodeShelfCounts,
  encodeShelfQuestion,
  encodeStock,
} from './shelf.ts'

let name: ServerName
let user: UserId
const key = (text = 'k'): JsonObject => ({ 'signed_curve25519:AAAA': { key: text } })
const shelfOf = (list: JsonObject): SignedShelf => ({
  record: { name, sequence: 1, expires: 2, user, list },
  signature: 'c2ln',
})
const devices = (count: number): JsonObject => ({
  devices: Array.from({ length: count }, (_, n) => ({ device_id: `D${n}` })),
})

beforeAll(async () => {
  ;({ name } = await createAccount())
  user = `@ada:${name}` as UserId
})

describe('frames about key shelves', () => {
  it('come back as they went', () => {
    const stock = {
      shelf: shelfOf(devices(2)),
      keys: { D0: { add: [key('1'), key('2')], fallback: key('f') }, D1: { add: [] } },
    }
    expect(decodeStock(encodeStock(stock))).toEqual(stock)
    const counts = { D0: { left: 3, fallbackUsed: true } }
    expect(decodeShelfCounts(encodeShelfCounts(counts))).toEqual(counts)
    const question = { recipient: name, user, devices: ['D0', 'D1'] }
    expect(decodeShelfQuestion(encodeShelfQuestion(question))).toEqual(question)
    const answer = { shelf: shelfOf(devices(1)), keys: { D0: key() } }
    expect(decodeShelfAnswer(encodeShelfAnswer(answer))).toEqual(answer)
  })

  it('hold no more than their bounds', () => {
    const stockOf = (list: JsonObject, keys: JsonValue): Uint8Array =>
      encodeJson({ shelf: { record: { ...shelfOf(list).record, list }, signature: 'c2ln' }, keys })
    const many = (length: number): JsonObject[] => Array.from({ length }, () => key())
    expect(decodeStock(stockOf(devices(MAX_SHELF_DEVICES), {}))).toBeDefined()
    expect(decodeStock(stockOf(devices(MAX_SHELF_DEVICES + 1), {}))).toBeUndefined()
    const listOf = (text: string): JsonObject => ({ ...devices(1), x: text })
    const room = MAX_SHELF_BYTES - encodeJson(listOf('')).length
    expect(decodeStock(stockOf(listOf('x'.repeat(room)), {}))).toBeDefined()
    expect(decodeStock(stockOf(listOf('x'.repeat(room + 1)), {}))).toBeUndefined()
    expect(decodeStock(stockOf(listOf('\u20ac'.repeat(room / 2)), {}))).toBeUndefined()
    expect(decodeStock(stockOf(devices(1), { D0: { add: many(MAX_SHELF_KEYS) } }))).toBeDefined()
    expect(decodeStock(stockOf(devices(1), { D0: { add: many(MAX_SHELF_KEYS + 1) } }))).toBeUndefined()
    const long = { D0: { add: [key('\u20ac'.repeat(MAX_SHELF_KEY_BYTES / 3))] } }
    expect(decodeStock(stockOf(devices(1), long))).toBeUndefined()
    expect(decodeStock(stockOf({ devices: [{ device_id: 'A' }, { device_id: 'A' }] }, {}))).toBeUndefined()
    const ask = (count: number): Uint8Array =>
      encodeShelfQuestion({ recipient: name, user, devices: Array.from({ length: count }, () => 'D') })
    expect(decodeShelfQuestion(ask(MAX_SHELF_DEVICES))).toBeDefined()
    expect(decodeShelfQuestion(ask(MAX_SHELF_DEVICES + 1))).toBeUndefined()
    const foreign = { ...shelfOf(devices(1)).record, user: '@ada:example.org' }
    expect(
      decodeShelfAnswer(encodeJson({ shelf: { record: foreign, signature: 'c2ln' }, keys: {} })),
    ).toBeUndefined()
  })

  it('are never read out of anything else', () => {
    for (const decode of [decodeStock, decodeShelfCounts, decodeShelfQuestion, decodeShelfAnswer]) {
      fc.assert(fc.property(fc.uint8Array(), (bytes) => decode(bytes) === undefined))
      fc.assert(
        fc.property(fc.jsonValue(), (value) => {
          decode(encodeJson(value))
        }),
      )
    }
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_JSON_DEPTH } from './canonical-json.ts'
import { checkFormat, MAX_AUTH_EVENTS, MAX_PDU_BYTES, MAX_PREV_EVENTS, parseReferences } from './format.ts'
import { contentHash } from './hash.ts'
import type { JsonObject, JsonValue } from './json.ts'
import type { EventReference } from './pdu.ts'
import { createTestRoom, message, requireVersion, topic } from './testing/rooms.ts'

/** Random rooms take a while on a busy machine. */
const PROPERTY_MS = 60_000

const V12 = requireVersion('12')
const room = createTestRoom()
const event = room.build({ ...message('@alice:a', 'hello'), prev: [room.create] })
const V1 = requireVersion('1')
const oldRoom = createTestRoom({ version: V1 })
const first = oldRoom.build({ ...message('@alice:a', 'hello'), prev: [oldRoom.create] })
const id = (n: number): string => `$${String(n).padStart(43, 'a')}`
const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => id(n))

/** The event with a right hash after a change. */
function rehashed(change: JsonObject): JsonObject {
  const changed = { ...event.pdu, ...change }
  return { ...changed, hashes: { sha256: contentHash(changed) } }
}

function outcome(raw: JsonValue): string {
  const verdict = checkFormat(V12, raw)
  return verdict.kind === 'ok' ? 'ok' : [verdict.why.code, verdict.why.field].join(' ').trim()
}

const sized = (bytes: number): JsonObject => {
  const empty = JSON.stringify(rehashed({ content: { body: '' } })).length
  return rehashed({ content: { body: 'x'.repeat(bytes - empty) } })
}
const nested = (depth: number): JsonValue => {
  let value: JsonValue = 1
  for (let i = 0; i < depth; i += 1) value = [value]
  return value
}

describe('checkFormat', () => {
  it('takes an event, drops unsigned, and says its id and room', () => {
    const verdict = checkFormat(V12, { ...event.pdu, unsigned: { age: 0.5 } })
    expect(verdict).toEqual({
      kind: 'ok',
      pdu: event.pdu,
      eventId: event.id,
      roomId: room.roomId,
      contentHashOk: true,
    })
  })

  it('names the room of a create event by its hash', () => {
    const verdict = checkFormat(V12, room.create.pdu)
    expect(verdict).toMatchObject({ kind: 'ok', eventId: room.create.id, roomId: room.roomId })
    expect(room.roomId.slice(1)).toBe(room.create.id.slice(1))
  })

  it('gives the redacted event where the content hash does not match', () => {
    for (const hash of ['', 'x', contentHash({}), `${event.pdu.hashes.sha256}!`]) {
      const verdict = checkFormat(V12, { ...event.pdu, hashes: { sha256: hash }, extra: 1 })
      expect(verdict).toMatchObject({ kind: 'ok', contentHashOk: false, pdu: { content: {} } })
      if (verdict.kind === 'ok') expect(verdict.pdu['extra']).toBeUndefined()
    }
    const forged = checkFormat(V12, { ...event.pdu, content: { body: 'forged' } })
    expect(forged).toMatchObject({
      kind: 'ok',
      eventId: event.id,
      contentHashOk: false,
      pdu: { content: {} },
    })
  })

  it('reads the content hash after decoding', () => {
    const padded = { ...event.pdu, hashes: { sha256: `${event.pdu.hashes.sha256}=` } }
    expect(checkFormat(V12, padded)).toMatchObject({ contentHashOk: true })
  })

  it.each<[string, string, JsonObject]>([
    ['ok', 'another top-level key', { extra: [1] }],
    ['ok', 'a type of 255 bytes', { type: 'x'.repeat(255) }],
    ['ok', 'a state key of 255 bytes', { state_key: 'x'.repeat(255) }],
    ['ok', 'a type of 255 code points', { type: '😀'.repeat(255) }],
    ['invalid type', 'a type of 256 code points', { type: '😀'.repeat(256) }],
    ['ok', 'a historical sender', { sender: '@Alice X:a' }],
    ['ok', `${MAX_PREV_EVENTS} prev_events`, { prev_events: ids(MAX_PREV_EVENTS) }],
    ['ok', `${MAX_AUTH_EVENTS} auth_events`, { auth_events: ids(MAX_AUTH_EVENTS) }],
    ['ok', 'depth 0', { depth: 0 }],
    ['ok', 'the earliest time', { origin_server_ts: Number.MIN_SAFE_INTEGER }],
    ['ok', 'the latest time', { origin_server_ts: Number.MAX_SAFE_INTEGER }],
    ['ok', 'the greatest depth', { depth: Number.MAX_SAFE_INTEGER }],
    ['ok', 'another hash beside', { hashes: { sha256: 'x', md5: 'y' } }],
    ['missing type', 'no type', { type: undefined }],
    ['wrong type type', 'a type that is no string', { type: 1 }],
    ['invalid type', 'a long type', { type: 'x'.repeat(256) }],
    ['missing sender', 'no sender', { sender: undefined }],
    ['invalid sender', 'a sender without server', { sender: '@alice' }],
    ['invalid sender', 'a long sender', { sender: `@${'x'.repeat(253)}:a` }],
    ['missing room_id', 'no room', { room_id: undefined }],
    ['invalid room_id', 'a bad room', { room_id: '!x' }],
    ['wrong type room_id', 'a room of null', { room_id: null }],
    ['invalid state_key', 'a long state key', { state_key: 'x'.repeat(256) }],
    ['wrong type state_key', 'a state key of null', { state_key: null }],
    ['missing content', 'no content', { content: undefined }],
    ['wrong type content', 'content of an array', { content: [] }],
    ['missing origin_server_ts', 'no time', { origin_server_ts: undefined }],
    ['wrong type origin_server_ts', 'a time as text', { origin_server_ts: '1' }],
    ['not canonical', 'a fraction', { origin_server_ts: 1.5 }],
    ['not canonical', 'a large integer', { origin_server_ts: 2 ** 53 }],
    ['not canonical', 'a fraction in the content', { content: { x: [0.1] } }],
    ['not canonical', 'a lone surrogate', { content: { x: '\ud800' } }],
    ['not canonical', 'deep nesting', { content: { x: nested(MAX_JSON_DEPTH) } }],
    ['not canonical', 'very deep nesting', { content: { x: nested(50_000) } }],
    ['missing depth', 'no depth', { depth: undefined }],
    ['invalid depth', 'a negative depth', { depth: -1 }],
    ['missing prev_events', 'no prev_events', { prev_events: undefined }],
    ['wrong type prev_events', 'prev_events of an object', { prev_events: {} }],
    ['too large prev_events', 'too many prev_events', { prev_events: ids(MAX_PREV_EVENTS + 1) }],
    ['invalid prev_events', 'prev_events of version 1', { prev_events: [[id(1), {}]] }],
    ['invalid prev_events', 'a prev_event that is no hash', { prev_events: ['$x:server'] }],
    ['missing auth_events', 'no auth_events', { auth_events: undefined }],
    ['too large auth_events', 'too many auth_events', { auth_events: ids(MAX_AUTH_EVENTS + 1) }],
    ['invalid auth_events', 'auth_events of null', { auth_events: [null] }],
    ['missing hashes', 'no hashes', { hashes: undefined }],
    ['wrong type hashes', 'hashes without sha256', { hashes: {} }],
    ['wrong type hashes', 'hashes as text', { hashes: 'x' }],
    ['missing signatures', 'no signatures', { signatures: undefined }],
    ['wrong type signatures', 'a signature that is no string', { signatures: { a: { one: 'x', two: 1 } } }],
    ['wrong type signatures', 'signatures of an array', { signatures: [] }],
    ['wrong type signatures', 'signatures without keys', { signatures: { a: 'x' } }],
    ['wrong type signatures', 'signatures that are no text', { signatures: { a: { 'ed25519:1': 1 } } }],
  ])('answers %s for %s', (expected, _about, change) => {
    expect(outcome({ ...event.pdu, ...change })).toBe(expected)
  })

  it.each([null, 1, 'x', true, [], [event.pdu]])('refuses %j', (value) => {
    expect(outcome(value as JsonValue)).toBe('not an object')
  })

  it.each<[string, string, JsonObject]>([
    ['ok', 'a reference', { prev_events: [['$x:a', { sha256: 'x' }]] }],
    ['invalid prev_events', 'a reference without id', { prev_events: [['x', { sha256: 'x' }]] }],
    [
      'invalid prev_events',
      'a reference of which the id is a number',
      { prev_events: [[1, { sha256: 'x' }]] },
    ],
    ['invalid prev_events', 'a reference without hash', { prev_events: [['$x:a', {}]] }],
    ['invalid prev_events', 'a reference of three', { prev_events: [['$x:a', { sha256: 'x' }, 1]] }],
    ['invalid auth_events', 'an id alone', { auth_events: ['$x:a'] }],
    ['invalid event_id', 'an id without server', { event_id: '$x' }],
    ['missing event_id', 'no id', { event_id: undefined }],
    ['wrong type depth', 'a fraction', { depth: 1.5 }],
    ['invalid depth', 'more than digits can be kept of', { depth: 2 ** 60 }],
    ['invalid origin_server_ts', 'a time before all', { origin_server_ts: -(2 ** 60) }],
  ])('says %s for %s in version 1', (expected, _, change) => {
    const verdict = checkFormat(V1, { ...first.pdu, ...change })
    expect(verdict.kind === 'ok' ? 'ok' : `${verdict.why.code} ${verdict.why.field}`).toBe(expected)
  })

  it('takes an event of exactly the largest size', () => {
    expect(outcome(sized(MAX_PDU_BYTES))).toBe('ok')
    expect(outcome(sized(MAX_PDU_BYTES + 1))).toBe('too large')
    // unsigned does not count
    expect(outcome({ ...sized(MAX_PDU_BYTES), unsigned: { x: 'x'.repeat(1000) } })).toBe('ok')
  })

  it('leaves it to the auth rules that a create event has no room_id', () => {
    expect(outcome({ ...room.create.pdu, room_id: room.roomId })).toBe('ok')
  })

  it(
    'never throws, whatever stands where',
    () => {
      const keys = fc.constantFrom(...Object.keys(event.pdu), 'state_key', 'unsigned', '__proto__', 'extra')
      const state = room.build({ ...topic('@alice:a', 'x'), prev: [room.create] }).pdu
      fc.assert(
        fc.property(
          fc.constantFrom(event.pdu, state, room.create.pdu),
          keys,
          fc.jsonValue(),
          (pdu, key, value) => {
            const raw = JSON.parse(JSON.stringify({ ...pdu, [key]: value })) as JsonValue
            const verdict = checkFormat(V12, raw)
            expect(['ok', 'drop']).toContain(verdict.kind)
            expect(checkFormat(V12, raw)).toEqual(verdict)
            expect(checkFormat(V12, value as JsonValue).kind).toBe('drop')
          },
        ),
        { numRuns: 1_000 },
      )
    },
    PROPERTY_MS,
  )
})

describe('parseReferences', () => {
  const parse = (value: JsonValue | undefined, most = 3): readonly EventReference[] | undefined =>
    parseReferences(V12, value, most)

  it('takes a list of references in the form of the version, as long as it may be', () => {
    expect(parse(ids(3))).toEqual(ids(3))
    expect(parse([])).toEqual([])
    expect(parseReferences(V1, [['$x:a', { sha256: 'x' }]], 3)).toEqual([['$x:a', { sha256: 'x' }]])
  })

  it('takes nothing else', () => {
    for (const value of [undefined, null, {}, 'x', ids(4), [...ids(1), 'x'], [['$x:a', { sha256: 'x' }]]])
      expect(parse(value)).toBeUndefined()
    expect(parseReferences(V1, ids(1), 3)).toBeUndefined()
  })
})

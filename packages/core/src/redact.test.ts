import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { eventIdOf } from './hash.ts'
import type { JsonObject, JsonValue } from './json.ts'
import type { Pdu } from './pdu.ts'
import { redact } from './redact.ts'
import { requireVersion } from './testing/rooms.ts'

const V12 = requireVersion('12')

function event(type: string, content: JsonObject, extra: JsonObject = {}): Pdu {
  return {
    type,
    sender: '@a:b',
    room_id: '!r',
    state_key: '',
    content,
    origin_server_ts: 1,
    depth: 2,
    prev_events: [],
    auth_events: [],
    hashes: { sha256: '' },
    signatures: {},
    ...extra,
  } as unknown as Pdu
}

const levels = {
  ban: 1,
  events: { a: 1 },
  events_default: 1,
  invite: 1,
  kick: 1,
  redact: 1,
  state_default: 1,
  users: { '@a:b': 1 },
  users_default: 1,
}

describe('redact in room version 12', () => {
  it.each<[string, JsonObject, JsonObject]>([
    ['m.room.message', { body: 'x', membership: 'join' }, {}],
    ['m.room.member', { membership: 'join', displayname: 'x', reason: 'y' }, { membership: 'join' }],
    [
      'm.room.member',
      { membership: 'join', join_authorised_via_users_server: '@c:d', avatar_url: 'x' },
      { membership: 'join', join_authorised_via_users_server: '@c:d' },
    ],
    [
      'm.room.member',
      { membership: 'invite', third_party_invite: { display_name: 'x', signed: { token: 't', extra: 1 } } },
      { membership: 'invite', third_party_invite: { signed: { token: 't', extra: 1 } } },
    ],
    ['m.room.member', { third_party_invite: { display_name: 'x' } }, { third_party_invite: {} }],
    ['m.room.member', { third_party_invite: 'x' }, {}],
    ['m.room.create', { room_version: '12', anything: [1] }, { room_version: '12', anything: [1] }],
    [
      'm.room.join_rules',
      { join_rule: 'restricted', allow: [{ type: 'x' }], extra: 1 },
      { join_rule: 'restricted', allow: [{ type: 'x' }] },
    ],
    ['m.room.power_levels', { ...levels, notifications: { room: 1 }, extra: 1 }, levels],
    [
      'm.room.history_visibility',
      { history_visibility: 'shared', extra: 1 },
      { history_visibility: 'shared' },
    ],
    ['m.room.redaction', { redacts: '$x', reason: 'spam' }, { redacts: '$x' }],
    ['m.room.aliases', { aliases: ['#a:b'] }, {}],
    ['m.room.third_party_invite', { public_key: 'x' }, {}],
    ['constructor', { body: 'x' }, {}],
  ])('keeps of %s what the rules name', (type, content, kept) => {
    expect(redact(V12, event(type, content)).content).toEqual(kept)
  })

  it('keeps the top-level keys of the list and no others', () => {
    const extra = {
      event_id: '$e',
      origin: 'b',
      redacts: '$x',
      membership: 'join',
      prev_state: [],
      age: 1,
      unsigned: {},
    }
    expect(Object.keys(redact(V12, event('m.room.message', {}, extra))).sort()).toEqual([
      'auth_events',
      'content',
      'depth',
      'event_id',
      'hashes',
      'origin_server_ts',
      'prev_events',
      'room_id',
      'sender',
      'signatures',
      'state_key',
      'type',
    ])
  })

  it('is idempotent and leaves the event id', () => {
    const types = [...V12.redaction.content.keys(), 'm.room.message']
    const value = fc.jsonValue()
    const keys = fc.constantFrom(
      'membership',
      'third_party_invite',
      'signed',
      'users',
      'redacts',
      'body',
      '__proto__',
    )
    const integer = fc.integer()
    fc.assert(
      fc.property(
        fc.constantFrom(...types),
        fc.dictionary(keys, fc.oneof(integer, value)),
        (type, content) => {
          const before = event(type, JSON.parse(JSON.stringify(content, integersOnly)) as JsonObject)
          const once = redact(V12, before)
          expect(redact(V12, once)).toEqual(once)
          expect(eventIdOf(V12, once)).toBe(eventIdOf(V12, before))
        },
      ),
    )
  })
})

const integersOnly = (_key: string, value: JsonValue): JsonValue =>
  typeof value === 'number' && (!Number.isSafeInteger(value) || Object.is(value, -0)) ? 0 : value

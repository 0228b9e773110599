/** Ids of and references to events in each form. */
import { describe, expect, it } from 'vitest'
import { checkFormat } from './format.ts'
import { areCopies, eventIdOf, referenceTo, signingBytes } from './hash.ts'
import type { JsonObject, JsonValue } from './json.ts'
import { authEventIds, prevEventIds } from './pdu.ts'
import { ROOM_VERSIONS } from './room-version.ts'
import { requiredSigners } from './sign.ts'
import { createTestRoom, join, member, message, requireVersion, type TestRoom } from './testing/rooms.ts'
import type { Pdu } from './pdu.ts'

const roomOf = (id: string): TestRoom => createTestRoom({ version: requireVersion(id), creator: '@alice:a' })
const EVERY = ROOM_VERSIONS.map((id) => [id] as const)
const FIELD = new Set(['1', '2'])

describe.each(EVERY)('version %s', (id) => {
  const version = requireVersion(id)

  it('gives ids in its form', () => {
    const ids = Array.from({ length: 20 }, (_, n) => roomOf(id).add({ ...join('@alice:a'), ts: n }).id)
    for (const eventId of ids) {
      if (FIELD.has(id)) expect(eventId).toMatch(/^\$\d+:a$/)
      else expect(eventId).toMatch(id === '3' ? /^\$[A-Za-z0-9+/]{43}$/ : /^\$[A-Za-z0-9_-]{43}$/)
    }
    // In twenty hashes both alphabets show.
    if (!FIELD.has(id)) expect(ids.join('')).toMatch(id === '3' ? /[+/]/ : /[_-]/)
  })

  it('refers to events as the version does, and reads that back', () => {
    const room = roomOf(id)
    const first = room.add(join('@alice:a'))
    const next = room.build(message('@alice:a', 'x'))
    expect(next.pdu.prev_events).toEqual([referenceTo(version, first)])
    expect(prevEventIds(next.pdu)).toEqual([first.id])
    expect(authEventIds(next.pdu)).toContain(first.id)
    const format = checkFormat(version, next.pdu)
    expect(format).toMatchObject({ kind: 'ok', eventId: next.id, roomId: room.roomId, contentHashOk: true })
  })

  it('drops references and ids of another form', () => {
    const room = roomOf(id)
    const { pdu } = room.add(join('@alice:a'))
    const refused = (change: JsonObject): void => {
      expect(checkFormat(version, { ...pdu, ...change })).toMatchObject({ kind: 'drop' })
    }
    const hashed = ['$x:a', { sha256: 'aGFzaA' }]
    for (const field of ['prev_events', 'auth_events']) {
      const others: JsonValue[] = FIELD.has(id)
        ? ['$x:a', ['$x:a'], ['$x:a', {}], ['$x:a', { sha256: 1 }], ['x', { sha256: '' }], [...hashed, 1], 1]
        : [hashed, '$x:a', 1, '$short']
      for (const other of others) refused({ [field]: [other] })
      refused({ [field]: 'x' })
      refused({ [field]: Array.from({ length: 21 }, () => (FIELD.has(id) ? hashed : room.create.id)) })
    }
    if (FIELD.has(id)) for (const wrong of [undefined, 1, 'x', '$x', '$x:a b']) refused({ event_id: wrong })
  })

  it('takes a number with a fraction only where the version is lenient', () => {
    const { pdu } = roomOf(id).add(join('@alice:a'))
    const event = { ...pdu, content: { ...pdu.content, x: 50.57 } } as JsonValue
    expect(checkFormat(version, event).kind).toBe(Number(id) < 6 ? 'ok' : 'drop')
  })

  it('takes no fraction for a depth or a time', () => {
    const { pdu } = roomOf(id).add(join('@alice:a'))
    for (const field of ['depth', 'origin_server_ts']) {
      expect(checkFormat(version, { ...pdu, [field]: 1.5 }).kind).toBe('drop')
    }
  })

  it('has the servers sign that the version asks for', () => {
    const room = roomOf(id)
    const joined = room.build(
      member('@bob:b', '@bob:b', 'join', { join_authorised_via_users_server: '@carol:c' }),
    )
    const pdu = { ...joined.pdu, ...(FIELD.has(id) ? { event_id: '$x:d' } : {}) } as Pdu
    const expected = ['b', ...(FIELD.has(id) ? ['d'] : []), ...(Number(id) >= 8 ? ['c'] : [])]
    expect(requiredSigners(version, pdu)).toEqual(expected)
  })

  it('tells copies of an event from others of its id', () => {
    const { pdu } = roomOf(id).add(join('@alice:a'))
    expect(areCopies(version, pdu, { ...pdu, signatures: {}, unsigned: { age: 1 } })).toBe(true)
    expect(areCopies(version, pdu, { ...pdu, content: { ...pdu.content, displayname: 'x' } })).toBe(true)
    const other = { ...pdu, content: { membership: 'leave' } }
    // Where the id is a hash, no other has it.
    expect(areCopies(version, pdu, other)).toBe(!FIELD.has(id))
    expect(eventIdOf(version, pdu) === eventIdOf(version, other)).toBe(FIELD.has(id))
    expect(signingBytes(version, other)).not.toEqual(signingBytes(version, pdu))
  })
})

/** The create event, the first join and `auth_events` in every version; the other rules are in test/vectors/auth.json. */
import { describe, expect, it } from 'vitest'
import { createKnownEvents } from '../known-events.ts'
import type { AuthView } from '../pdu.ts'
import { resolve } from '../resolve/resolve.ts'
import { ROOM_VERSIONS } from '../room-version.ts'
import { memberKey, stateKey } from '../state.ts'
import { ALICE, BOB } from '../testing/auth-cases.ts'
import { altered, decideIn, idAt, outcome } from '../testing/decisions.ts'
import {
  createTestRoom,
  join,
  joinRule,
  levels as levelsOf,
  member,
  message,
  requireVersion,
  topic,
  type Made,
  type TestRoom,
} from '../testing/rooms.ts'

/** What is in the room, and more that was accepted. */
function viewOf(room: TestRoom, ...more: readonly Made[]): AuthView {
  const view = createKnownEvents()
  for (const { id } of room.all()) {
    const event = room.view.get(id)
    if (event !== undefined) view.add(event)
  }
  for (const made of more) view.add({ ...made, verdict: 'accepted' })
  return view
}

describe('the create event', () => {
  // Below version 12 an event names it, and its sender may have made another one.
  it.each(ROOM_VERSIONS.slice(0, 11))('that counts is that of the state in version %s', (id) => {
    const room = createTestRoom({ version: requireVersion(id), content: { 'm.federate': false } })
    room.add(join(ALICE))
    const open = room.add(joinRule(ALICE, 'public'))
    const content = { ...room.create.pdu.content, 'm.federate': true }
    const change = { content, event_id: '$other:a' }
    const other = altered(room, room.create, change)
    const joining = room.build({ ...join(BOB), auth: [other, open] })
    const view = viewOf(room, other)
    expect(outcome(decideIn(room, joining, { view }))).toBe(`reject: v${id} auth 3`)
  })
})

it.each(ROOM_VERSIONS.slice(0, 11))('a room of version %s begins once', (id) => {
  const room = createTestRoom({ version: requireVersion(id) })
  const other = altered(room, room.create, { origin_server_ts: 7, event_id: '$other:a' })
  expect(other.id).not.toBe(room.create.id)
  expect(outcome(decideIn(room, other))).toBe('drop: wrong room')
  expect(outcome(decideIn(room, room.create))).toBe('accept')
})

it('resolution by depth, too, takes the create event of the state', () => {
  const room = createTestRoom({ version: requireVersion('1'), content: { 'm.federate': false } })
  const alice = room.add(join(ALICE))
  const free = room.add(levelsOf(ALICE, { users: { [ALICE]: 100 }, state_default: 0 }))
  const content = { ...room.create.pdu.content, 'm.federate': true }
  const other = altered(room, room.create, { content, event_id: '$other:a' })
  const bob = room.build({ ...join(BOB), auth: [other] })
  const older = room.add({ ...topic(ALICE, 'a'), auth: [room.create, alice, free] })
  const newer = room.build({ ...topic(BOB, 'b'), auth: [other, bob, free] })
  const view = viewOf(room, other, bob, newer)
  const both = new Map([...room.state(), [memberKey(BOB), bob.id] as const])
  const sets = [older, newer].map(({ id }) => new Map(both).set(stateKey('m.room.topic', ''), id))
  const resolution = resolve(room.version, sets, view)
  expect(resolution.kind === 'resolved' && idAt(resolution.state, 'm.room.topic')).toBe(older.id)
})

describe('auth_events', () => {
  it.each(ROOM_VERSIONS)('must hold the create event in version %s, unless the room id does', (id) => {
    const room = createTestRoom({ version: requireVersion(id) })
    const first = room.add(join(ALICE))
    const { decision } = room.decide({ ...message(ALICE, 'x'), auth: [first] })
    if (id === '12') expect(decision.kind).toBe('accept')
    else expect(decision).toMatchObject({ kind: 'reject', why: { rule: `v${id} auth 2.4` } })
  })

  it.each(ROOM_VERSIONS)('may not be doubled, stray or rejected in version %s', (id) => {
    const room = createTestRoom({ version: requireVersion(id) })
    const create = id === '12' ? [] : [room.create]
    const first = room.add(join(ALICE))
    const rule = id === '12' ? 3 : 2
    const again = room.decide({ ...message(ALICE, 'x'), auth: [...create, first, first] }).decision
    expect(again).toMatchObject({ why: { rule: `v${id} auth ${rule}.1` } })
    const said = room.add({ ...message(ALICE, 'y') })
    const stray = room.decide({ ...message(ALICE, 'x'), auth: [...create, first, said] }).decision
    expect(stray).toMatchObject({ why: { rule: `v${id} auth ${rule}.2` } })
    const refused = room.add(member(BOB, BOB, 'join'))
    const onRefused = room.decide({ ...message(BOB, 'x'), auth: [...create, refused] }).decision
    expect(onRefused).toMatchObject({ why: { rule: `v${id} auth ${rule}.3` } })
  })
})

describe('the first join', () => {
  it.each(ROOM_VERSIONS)('is the creator’s in version %s', (id) => {
    const version = requireVersion(id)
    const room = createTestRoom({ version })
    expect(room.decide(join(BOB)).decision.kind).toBe('reject')
    expect(room.decide({ ...join(ALICE), prev: [room.create] }).decision.kind).toBe('accept')
  })

  it.each(ROOM_VERSIONS.slice(0, 10))('is that of content.creator in version %s', (id) => {
    const room = createTestRoom({ version: requireVersion(id), content: { creator: BOB } })
    expect(room.decide({ ...join(ALICE), prev: [room.create] }).decision.kind).toBe('reject')
    expect(room.decide({ ...join(BOB), prev: [room.create] }).decision.kind).toBe('accept')
  })
})

/** In what the authorisation rules of the versions before 12 differ, and how each of their lists numbers them. */
import { describe, expect, it } from 'vitest'
import type { EventId } from '../ids.ts'
import type { JsonObject } from '../json.ts'
import { ROOM_VERSIONS } from '../room-version.ts'
import { ALICE, BOB, CAROL, DAVE, joined, membership, send, set, verdict } from '../testing/auth-cases.ts'
import type { Event, Setting } from '../testing/auth-cases.ts'
import { memberKey, stateKey } from '../state.ts'
import { altered, decideIn, idAt, outcome } from '../testing/decisions.ts'
import { resolve } from '../resolve/resolve.ts'
import {
  createTestRoom,
  join,
  joinRule,
  levels as levelsOf,
  member,
  message,
  requireVersion,
  topic,
} from '../testing/rooms.ts'

/** By version: the rule that refuses, or 'allowed'. A missing version answers as the one before it in the table. */
type Expected = Readonly<Record<string, string>>

function expectedOf(table: Expected, version: string): string | undefined {
  let last: string | undefined
  for (const id of ROOM_VERSIONS) {
    last = table[id] ?? last
    if (id === version) return last
  }
  return undefined
}

function check(about: string, table: Expected, setting: Setting, event: Event): void {
  describe(about, () => {
    it.each(ROOM_VERSIONS.map((id) => [id, expectedOf(table, id)] as const))(
      'version %s: %s',
      (id, expected) => {
        expect(verdict(setting, event, requireVersion(id))).toBe(expected)
      },
    )
  })
}

const create = (content: JsonObject = {}, extra: JsonObject = {}): Event => ({
  ...set(ALICE, 'm.room.create', { creator: ALICE, ...content }),
  extra,
})
check('a create event in a room of another server', { 1: '1.2' }, {}, create({}, { room_id: '!x:b' }))
check('a create event without room id', { 1: '1.2', 12: 'allowed' }, {}, create({}, { room_id: undefined }))
check(
  'a create event in a room of its server',
  { 1: 'allowed', 12: '1.2' },
  {},
  create({}, { room_id: '!x:a' }),
)
check('a create event with something before it', { 1: '1.1' }, {}, create({}, { prev_events: ['$x'] }))
describe('a create event of an unknown version', () => {
  it.each(ROOM_VERSIONS)('version %s', (id) => {
    const extra = { room_id: id === '12' ? undefined : '!x:a' }
    expect(verdict({}, create({ room_version: '99' }, extra), requireVersion(id))).toBe('1.3')
  })
})

describe('create without creator', () => {
  it.each(ROOM_VERSIONS.filter((id) => id !== '12'))('version %s', (id) => {
    const event = { ...set(ALICE, 'm.room.create'), extra: { room_id: '!x:a' } }
    expect(verdict({}, event, requireVersion(id))).toBe(id === '11' ? 'allowed' : '1.4')
  })
})

check(
  'another server where the room does not federate',
  { 1: '3', 12: '4' },
  { create: { 'm.federate': false }, members: joined },
  send(BOB),
)

const high = { members: joined, levels: { users: { [BOB]: 10 } } }
check(
  'aliases of the sender’s server',
  { 1: 'allowed', 6: '7', 12: '8' },
  high,
  set(BOB, 'm.room.aliases', {}, 'b'),
)
check('aliases of another server', { 1: '4.2', 6: '7', 12: '8' }, high, set(BOB, 'm.room.aliases', {}, 'a'))
check('aliases without state key', { 1: '4.1', 6: 'allowed' }, high, send(BOB, 'm.room.aliases'))

check(
  'a membership without membership',
  { 1: '5.1', 6: '4.1', 12: '5.1' },
  {},
  set(BOB, 'm.room.member', {}, BOB),
)
check(
  'an unknown membership',
  { 1: '5.6', 6: '4.6', 7: '4.7', 8: '4.8', 12: '5.8' },
  {},
  membership(BOB, BOB, 'x'),
)
check(
  'joining somebody else',
  { 1: '5.2.2', 6: '4.2.2', 8: '4.3.2', 12: '5.3.2' },
  {},
  membership(BOB, CAROL, 'join'),
)
check(
  'joining while banned',
  { 1: '5.2.3', 6: '4.2.3', 8: '4.3.3', 12: '5.3.3' },
  { members: { [BOB]: 'ban' } },
  membership(BOB, BOB, 'join'),
)
check(
  'joining uninvited',
  { 1: '5.2.6', 6: '4.2.6', 8: '4.3.7', 12: '5.3.7' },
  {},
  membership(BOB, BOB, 'join'),
)
check('joining in public', { 1: 'allowed' }, { joinRule: 'public' }, membership(BOB, BOB, 'join'))

const invited = { [BOB]: 'invite' }
check(
  'joining invited where one can knock',
  { 1: '5.2.6', 6: '4.2.6', 7: 'allowed' },
  { joinRule: 'knock', members: invited },
  membership(BOB, BOB, 'join'),
)
check(
  'joining invited, restricted',
  { 1: '5.2.6', 6: '4.2.6', 8: 'allowed' },
  { joinRule: 'restricted', members: invited },
  membership(BOB, BOB, 'join'),
)
check(
  'joining invited, knock_restricted',
  { 1: '5.2.6', 6: '4.2.6', 8: '4.3.7', 10: 'allowed' },
  { joinRule: 'knock_restricted', members: invited },
  membership(BOB, BOB, 'join'),
)
const authorised = (user: string): Event => ({
  ...membership(BOB, BOB, 'join', { join_authorised_via_users_server: user }),
  extra: { signatures: { a: {}, d: {} } },
})
check(
  'joining by a member, restricted',
  { 1: '5.2.6', 6: '4.2.6', 8: 'allowed' },
  { joinRule: 'restricted' },
  authorised(ALICE),
)
check(
  'joining by a stranger, restricted',
  { 1: '5.2.6', 6: '4.2.6', 8: '4.3.5.2', 12: '5.3.5.2' },
  { joinRule: 'restricted' },
  authorised(DAVE),
)
check(
  'joining by a server that did not sign',
  { 1: 'allowed', 8: '4.2.1', 12: '5.2.1' },
  { joinRule: 'public' },
  { ...authorised(ALICE), extra: {} },
)

check('knocking', { 1: '5.6', 6: '4.6', 7: 'allowed' }, { joinRule: 'knock' }, membership(BOB, BOB, 'knock'))
check(
  'knocking, knock_restricted',
  { 1: '5.6', 6: '4.6', 7: '4.6.1', 8: '4.7.1', 10: 'allowed' },
  { joinRule: 'knock_restricted' },
  membership(BOB, BOB, 'knock'),
)
check(
  'knocking in public',
  { 1: '5.6', 6: '4.6', 7: '4.6.1', 8: '4.7.1', 12: '5.7.1' },
  { joinRule: 'public' },
  membership(BOB, BOB, 'knock'),
)
check(
  'knocking for somebody else',
  { 1: '5.6', 6: '4.6', 7: '4.6.2', 8: '4.7.2', 12: '5.7.2' },
  { joinRule: 'knock' },
  membership(BOB, CAROL, 'knock'),
)
check(
  'knocking while banned',
  { 1: '5.6', 6: '4.6', 7: '4.6.4', 8: '4.7.4', 12: '5.7.4' },
  { joinRule: 'knock', members: { [BOB]: 'ban' } },
  membership(BOB, BOB, 'knock'),
)

check(
  'inviting from outside',
  { 1: '5.3.2', 6: '4.3.2', 8: '4.4.2', 12: '5.4.2' },
  {},
  membership(BOB, CAROL, 'invite'),
)
check(
  'inviting a member',
  { 1: '5.3.3', 6: '4.3.3', 8: '4.4.3', 12: '5.4.3' },
  { members: joined },
  membership(BOB, CAROL, 'invite'),
)
check(
  'inviting below the level',
  { 1: '5.3.5', 6: '4.3.5', 8: '4.4.5', 12: '5.4.5' },
  { members: joined, levels: { invite: 1 } },
  membership(BOB, DAVE, 'invite'),
)
check(
  'inviting by a token of nobody',
  { 1: '5.3.1.5', 6: '4.3.1.5', 8: '4.4.1.5', 12: '5.4.1.5' },
  { members: joined },
  membership(BOB, DAVE, 'invite', { third_party_invite: { signed: { mxid: DAVE, token: 't' } } }),
)

check(
  'leaving from outside',
  { 1: '5.4.1', 6: '4.4.1', 8: '4.5.1', 12: '5.5.1' },
  {},
  membership(BOB, BOB, 'leave'),
)
check(
  'kicking from outside',
  { 1: '5.4.2', 6: '4.4.2', 8: '4.5.2', 12: '5.5.2' },
  {},
  membership(BOB, CAROL, 'leave'),
)
check(
  'unbanning below the level',
  { 1: '5.4.3', 6: '4.4.3', 8: '4.5.3', 12: '5.5.3' },
  { members: { ...joined, [DAVE]: 'ban' } },
  membership(BOB, DAVE, 'leave'),
)
check(
  'kicking below the level',
  { 1: '5.4.5', 6: '4.4.5', 8: '4.5.5', 12: '5.5.5' },
  { members: joined },
  membership(BOB, CAROL, 'leave'),
)
check(
  'banning from outside',
  { 1: '5.5.1', 6: '4.5.1', 8: '4.6.1', 12: '5.6.1' },
  {},
  membership(BOB, CAROL, 'ban'),
)
check(
  'banning below the level',
  { 1: '5.5.3', 6: '4.5.3', 8: '4.6.3', 12: '5.6.3' },
  { members: joined },
  membership(BOB, CAROL, 'ban'),
)

check('sending from outside', { 1: '6', 6: '5', 12: '6' }, {}, send(BOB))
check(
  'a third-party invite below the level',
  { 1: '7.1', 6: '6.1', 12: '7.1' },
  { members: joined, levels: { invite: 1 } },
  set(BOB, 'm.room.third_party_invite', {}, 't'),
)
check('state below the level', { 1: '8', 6: '7', 12: '8' }, { members: joined }, set(BOB, 'm.room.topic'))
check(
  'another user’s state',
  { 1: '9', 6: '8', 12: '9' },
  { members: joined, levels: { state_default: 0 } },
  set(BOB, 'x', {}, CAROL),
)

// Without power levels the creator has 100, or in version 12 more than anybody.
check('the creator’s own level, without power levels', { 1: 'allowed' }, {}, set(ALICE, 'm.room.topic'))
check(
  'a level above the creator’s',
  { 1: '8', 6: '7', 12: 'allowed' },
  { levels: { users: { [ALICE]: 100 }, events: { x: 101 } } },
  send(ALICE, 'x'),
)

const levels = (content: JsonObject): Event => set(ALICE, 'm.room.power_levels', content)
check('a level as text', { 1: 'allowed', 10: '9.1', 12: '10.1' }, {}, levels({ ban: '50' }))
check(
  'a level of a type as text',
  { 1: 'allowed', 10: '9.2', 12: '10.2' },
  {},
  levels({ events: { x: '50' } }),
)
check(
  'a user’s level as text',
  { 1: 'allowed', 10: '9.3', 12: '10.3' },
  {},
  levels({ users: { [BOB]: ' +050 ' } }),
)
check(
  'a user’s level as text that is no integer',
  { 1: '10.1', 6: '9.1', 10: '9.3', 12: '10.3' },
  {},
  levels({ users: { [BOB]: '5.0' } }),
)
check(
  'a user’s level with a fraction',
  { 1: 'allowed', 6: '9.1', 10: '9.3', 12: '10.3' },
  {},
  levels({ users: { [BOB]: 50.57 } }),
)
check(
  'a user’s level as text beyond the integers of JSON',
  { 1: 'allowed', 10: '9.3', 12: '10.3' },
  {},
  levels({ users: { [BOB]: '99999999999999999999' } }),
)
check(
  'a user’s level beyond the integers of JSON',
  { 1: 'allowed', 6: '9.1', 10: '9.3', 12: '10.3' },
  {},
  levels({ users: { [BOB]: 1e300 } }),
)
check(
  'a user’s level as text beyond any number',
  { 1: '10.1', 6: '9.1', 10: '9.3', 12: '10.3' },
  {},
  levels({ users: { [BOB]: '9'.repeat(400) } }),
)
check(
  'a user’s level that is none',
  { 1: '10.1', 6: '9.1', 10: '9.3', 12: '10.3' },
  {},
  levels({ users: { [BOB]: null } }),
)
check(
  'a level of who is no user',
  { 1: '10.1', 6: '9.1', 10: '9.3', 12: '10.3' },
  {},
  levels({ users: { bob: 1 } }),
)
check('the creator among the users', { 1: 'allowed', 12: '10.4' }, {}, levels({ users: { [ALICE]: 100 } }))

const bobAt50: Setting = {
  members: joined,
  levels: {
    users: { [BOB]: '50', [CAROL]: 50 },
    ban: '60',
    events: { high: 60 },
    notifications: { room: 60 },
  },
}
const withNumbers: Setting = {
  members: joined,
  levels: { users: { [BOB]: 50, [CAROL]: 50 }, ban: 60, events: { high: 60 }, notifications: { room: 60 } },
}
const change = (content: JsonObject): Event =>
  set(BOB, 'm.room.power_levels', { ...withNumbers.levels, ...content })
check(
  'lowering what is above',
  { 1: '10.3.1', 6: '9.3.1', 10: '9.5.1', 12: '10.6.1' },
  withNumbers,
  change({ ban: 50 }),
)
check(
  'raising above oneself',
  { 1: '10.3.2', 6: '9.3.2', 10: '9.5.2', 12: '10.6.2' },
  withNumbers,
  change({ kick: 51 }),
)
check(
  'lowering a type that is above',
  { 1: '10.4.1', 6: '9.4.1', 10: '9.6.1', 12: '10.7.1' },
  withNumbers,
  change({ events: {} }),
)
check(
  'raising a type above oneself',
  { 1: '10.5.1', 6: '9.5.1', 10: '9.7.1', 12: '10.8.1' },
  withNumbers,
  change({ events: { high: 60, x: 51 } }),
)
check(
  'lowering a notification that is above',
  { 1: 'allowed', 6: '9.4.1', 10: '9.6.1', 12: '10.7.1' },
  withNumbers,
  change({ notifications: {} }),
)
check(
  'lowering an equal',
  { 1: '10.6.1', 6: '9.6.1', 10: '9.8.1', 12: '10.9.1' },
  withNumbers,
  change({ users: { [BOB]: 50 } }),
)
check(
  'raising a user above oneself',
  { 1: '10.7.1', 6: '9.7.1', 10: '9.9.1', 12: '10.10.1' },
  withNumbers,
  change({ users: { [BOB]: 51, [CAROL]: 50 } }),
)

describe('levels as text', () => {
  it.each(['1', '5', '6', '9'])('count in version %s', (id) => {
    const version = requireVersion(id)
    const rules = id === '1' || id === '5' ? '10.3.1' : '9.3.1'
    expect(verdict(bobAt50, change({ ban: 50 }), version)).toBe(rules)
    expect(verdict(bobAt50, change({}), version)).toBe('allowed')
  })

  it('of a sender are cut off where they have a fraction', () => {
    const setting = { members: joined, levels: { users: { [BOB]: 49.99 } } }
    expect(verdict(setting, set(BOB, 'm.room.topic'), requireVersion('5'))).toBe('8')
    const enough = { members: joined, levels: { users: { [BOB]: 50.57 } } }
    expect(verdict(enough, set(BOB, 'm.room.topic'), requireVersion('5'))).toBe('allowed')
  })
})

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
    const known = { ...other, verdict: 'accepted' } as const
    const view = { get: (event: EventId) => (event === other.id ? known : room.view.get(event)) }
    expect(outcome(decideIn(room, joining, { view }))).toBe(`reject: v${id} auth 3`)
  })
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
  const claimed = new Map(
    [other, bob, newer].map((made) => [made.id, { ...made, verdict: 'accepted' } as const]),
  )
  const view = { get: (id: EventId) => claimed.get(id) ?? room.view.get(id) }
  const both = new Map([...room.state(), [memberKey(BOB), bob.id] as const])
  const sets = [older, newer].map(({ id }) => new Map(both).set(stateKey('m.room.topic', ''), id))
  const resolution = resolve(room.version, sets, view)
  expect(resolution.kind === 'resolved' && idAt(resolution.state, 'm.room.topic')).toBe(older.id)
})

describe('a redaction in versions 1 and 2', () => {
  const redaction = (target: string): Event => ({
    ...send(BOB, 'm.room.redaction'),
    extra: { redacts: target, event_id: '$r:b' },
  })
  it.each(['1', '2'])('is refused in version %s for what another server sent', (id) => {
    const version = requireVersion(id)
    expect(verdict({ members: joined }, redaction('$x:a'), version)).toBe('11.3')
    expect(verdict({ members: joined }, redaction('$x:b'), version)).toBe('allowed')
    expect(verdict({ members: joined, levels: { redact: 0 } }, redaction('$x:a'), version)).toBe('allowed')
  })

  it('is allowed from version 3 on, and decided about when it is applied', () => {
    for (const id of ROOM_VERSIONS.slice(2)) {
      expect(verdict({ members: joined }, redaction('$x:a'), requireVersion(id))).toBe('allowed')
    }
  })
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

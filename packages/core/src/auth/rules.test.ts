import { ed25519 } from '@noble/curves/ed25519.js'
import { describe, expect, it } from 'vitest'
import { encodeBase64 } from '../base64.ts'
import { signableBytes } from '../canonical-json.ts'
import type { JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import { createTestRoom, requireVersion } from '../testing/rooms.ts'
import { memberKey, POWER_LEVELS_KEY, JOIN_RULES_KEY, stateKey, type StateKey } from '../state.ts'
import { checkAuth } from './check-auth.ts'
import { MAX_INVITE_KEYS, MAX_INVITE_SIGNATURES } from './third-party.ts'

const V12 = requireVersion('12')
const ALICE = '@alice:a' // creator
const BOB = '@bob:b'
const CAROL = '@carol:c'
const DAVE = '@dave:d'

type Setting = {
  /** Membership by user id. Alice is joined. */
  readonly members?: Readonly<Record<string, string>>
  readonly levels?: JsonObject
  readonly joinRule?: string
  readonly create?: JsonObject
  /** m.room.third_party_invite events by token. */
  readonly tokens?: Readonly<Record<string, { readonly sender: string; readonly content: JsonObject }>>
}

type Event = {
  readonly type: string
  readonly sender: string
  readonly stateKey?: string | undefined
  readonly content?: JsonObject
  readonly extra?: JsonObject
}

function pduOf({ type, sender, stateKey: key, content = {}, extra = {} }: Event): Pdu {
  return {
    type,
    sender,
    room_id: room.roomId,
    ...(key === undefined ? {} : { state_key: key }),
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

const room = createTestRoom()

/** The rule that refuses the event, or 'allowed'. */
function verdict(setting: Setting, event: Event): string {
  const state = new Map<StateKey, Pdu>()
  for (const [user, membership] of Object.entries({ [ALICE]: 'join', ...setting.members })) {
    state.set(
      memberKey(user),
      pduOf({ type: 'm.room.member', sender: user, stateKey: user, content: { membership } }),
    )
  }
  if (setting.levels !== undefined) {
    state.set(
      POWER_LEVELS_KEY,
      pduOf({ type: 'm.room.power_levels', sender: ALICE, content: setting.levels }),
    )
  }
  if (setting.joinRule !== undefined) {
    const content = { join_rule: setting.joinRule }
    state.set(JOIN_RULES_KEY, pduOf({ type: 'm.room.join_rules', sender: ALICE, content }))
  }
  for (const [token, invite] of Object.entries(setting.tokens ?? {})) {
    const type = 'm.room.third_party_invite'
    state.set(stateKey(type, token), pduOf({ type, ...invite }))
  }
  const create = createTestRoom({ content: setting.create ?? {} }).create.pdu
  const failure = checkAuth(V12, pduOf(event), { create, get: (key) => state.get(key) })
  return failure === undefined ? 'allowed' : failure.rule.replace('v12 auth ', '')
}

const membership = (sender: string, target: string, to: string, content: JsonObject = {}): Event => ({
  type: 'm.room.member',
  sender,
  stateKey: target,
  content: { membership: to, ...content },
})
const send = (sender: string, type = 'm.room.message', content: JsonObject = {}): Event => ({
  type,
  sender,
  content,
})
const set = (sender: string, type: string, content: JsonObject = {}, key = ''): Event => ({
  type,
  sender,
  stateKey: key,
  content,
})
const joined = { [BOB]: 'join', [CAROL]: 'join' }

type Case = readonly [expected: string, about: string, setting: Setting, event: Event]

function check(name: string, cases: readonly Case[]): void {
  describe(name, () => {
    it.each(cases)('%s: %s', (expected, _about, setting, event) => {
      expect(verdict(setting, event)).toBe(expected)
    })
  })
}

const create = (content: JsonObject = {}, extra: JsonObject = {}): Event => ({
  ...set(ALICE, 'm.room.create', content),
  extra: { room_id: undefined, ...extra },
})

check('rule 1, m.room.create', [
  ['allowed', 'a plain one', {}, create()],
  ['1.1', 'with prev_events', {}, create({}, { prev_events: [room.create.id] })],
  ['1.2', 'with room_id', {}, create({}, { room_id: room.roomId })],
  ['allowed', 'of another version that exists', {}, create({ room_version: '9' })],
  ['1.3', 'of an unknown version', {}, create({ room_version: '99' })],
  ['1.3', 'of a version that is not a string', {}, create({ room_version: 12 })],
  ['allowed', 'with more creators', {}, create({ additional_creators: [BOB, '@:c'] })],
  ['1.4', 'creators not an array', {}, create({ additional_creators: BOB })],
  ['1.4', 'creators not strings', {}, create({ additional_creators: [1] })],
  ['1.4', 'creators not user ids', {}, create({ additional_creators: ['bob'] })],
])

check('rule 4, m.federate', [
  ['4', 'another server', { create: { 'm.federate': false }, members: joined }, send(BOB)],
  [
    'allowed',
    'the same server',
    { create: { 'm.federate': false }, members: { '@z:a': 'join' } },
    send('@z:a'),
  ],
  ['allowed', 'federation on', { create: { 'm.federate': true }, members: joined }, send(BOB)],
  ['allowed', 'not a boolean', { create: { 'm.federate': 'false' }, members: joined }, send(BOB)],
])

const open = { joinRule: 'public' }
check('rules 5.1, 5.2 and 5.8, any membership', [
  ['5.1', 'no state_key', open, { ...membership(BOB, BOB, 'join'), stateKey: undefined }],
  ['5.1', 'no membership', open, set(BOB, 'm.room.member', {}, BOB)],
  ['5.8', 'unknown membership', open, membership(BOB, BOB, 'visit')],
  ['5.8', 'membership not a string', open, set(BOB, 'm.room.member', { membership: 1 }, BOB)],
  ['5.8', 'an inherited name', open, membership(BOB, BOB, 'constructor')],
  [
    '5.2.1',
    'authorised without a signature of that server',
    open,
    membership(BOB, BOB, 'join', { join_authorised_via_users_server: ALICE }),
  ],
  [
    '5.2.1',
    'authorised by what is no user id',
    open,
    membership(BOB, BOB, 'join', { join_authorised_via_users_server: 'alice' }),
  ],
  [
    'allowed',
    'authorised with a signature',
    open,
    {
      ...membership(BOB, BOB, 'join', { join_authorised_via_users_server: ALICE }),
      extra: { signatures: { a: { 'ed25519:1': 'x' } } },
    },
  ],
])

const afterCreate = (event: Event): Event => ({ ...event, extra: { prev_events: [room.create.id] } })
const authorised = (event: Event, by: string): Event => ({
  ...event,
  content: { ...event.content, join_authorised_via_users_server: by },
  extra: { signatures: { [by.slice(by.indexOf(':') + 1)]: { 'ed25519:1': 'x' } } },
})
const join = membership(BOB, BOB, 'join')
const inviteAt50 = { invite: 50, users: { [CAROL]: 50 } }

check('rule 5.3, join', [
  ['allowed', "5.3.1 the creator's first join", {}, afterCreate(membership(ALICE, ALICE, 'join'))],
  ['5.3.7', '5.3.1 somebody else after the create event', {}, afterCreate(join)],
  [
    '5.3.2',
    '5.3.1 the creator, later',
    { members: { [ALICE]: 'leave' } },
    { ...membership(BOB, ALICE, 'join'), extra: { prev_events: [room.create.id, `$${'a'.repeat(43)}`] } },
  ],
  ['5.3.2', 'joining somebody else', open, membership(CAROL, BOB, 'join')],
  ['5.3.3', 'banned', { ...open, members: { [BOB]: 'ban' } }, join],
  ['allowed', 'public', open, join],
  ['allowed', 'public after leaving', { ...open, members: { [BOB]: 'leave' } }, join],
  ['allowed', 'invited', { joinRule: 'invite', members: { [BOB]: 'invite' } }, join],
  ['allowed', 'joined again', { joinRule: 'invite', members: { [BOB]: 'join' } }, join],
  ['5.3.7', 'not invited', { joinRule: 'invite' }, join],
  ['5.3.7', 'no join rules, not invited', {}, join],
  ['allowed', 'no join rules, invited', { members: { [BOB]: 'invite' } }, join],
  ['5.3.7', 'knocked only', { joinRule: 'knock', members: { [BOB]: 'knock' } }, join],
  ['allowed', 'knock room, invited', { joinRule: 'knock', members: { [BOB]: 'invite' } }, join],
  ['5.3.7', 'private', { joinRule: 'private', members: { [BOB]: 'invite' } }, join],
  ['5.3.7', 'unknown rule', { joinRule: 'x', members: { [BOB]: 'join' } }, join],
  ['allowed', 'restricted, invited', { joinRule: 'restricted', members: { [BOB]: 'invite' } }, join],
  ['5.3.5.2', 'restricted, nobody vouches', { joinRule: 'restricted' }, join],
  [
    'allowed',
    'restricted, a member vouches',
    { joinRule: 'restricted', members: { [CAROL]: 'join' } },
    authorised(join, CAROL),
  ],
  ['5.3.5.2', 'restricted, a stranger vouches', { joinRule: 'restricted' }, authorised(join, CAROL)],
  [
    '5.3.5.2',
    'restricted, who vouches may not invite',
    {
      joinRule: 'knock_restricted',
      members: { [CAROL]: 'join' },
      levels: { invite: 51, users: { [CAROL]: 50 } },
    },
    authorised(join, CAROL),
  ],
  [
    'allowed',
    'knock_restricted, who vouches may invite',
    { joinRule: 'knock_restricted', members: { [CAROL]: 'join' }, levels: inviteAt50 },
    authorised(join, CAROL),
  ],
  [
    '5.3.5.2',
    'knock_restricted, below the invite level',
    { joinRule: 'knock_restricted', members: { [DAVE]: 'join' }, levels: inviteAt50 },
    authorised(join, DAVE),
  ],
  [
    'allowed',
    'restricted, a creator vouches',
    { joinRule: 'restricted', levels: { invite: 100 } },
    authorised(join, ALICE),
  ],
])

const invite = membership(BOB, CAROL, 'invite')
check('rule 5.4, invite', [
  ['5.4.2', 'sender not joined', {}, invite],
  ['5.4.3', 'target joined', { members: joined }, invite],
  ['5.4.3', 'target banned', { members: { [BOB]: 'join', [CAROL]: 'ban' } }, invite],
  ['allowed', 'target knocking', { members: { [BOB]: 'join', [CAROL]: 'knock' } }, invite],
  [
    'allowed',
    'at the invite level',
    { members: { [BOB]: 'join' }, levels: { invite: 10, users: { [BOB]: 10 } } },
    invite,
  ],
  [
    '5.4.5',
    'below the invite level',
    { members: { [BOB]: 'join' }, levels: { invite: 10, users: { [BOB]: 9 } } },
    invite,
  ],
  [
    'allowed',
    'by users_default',
    { members: { [BOB]: 'join' }, levels: { invite: 10, users_default: 10 } },
    invite,
  ],
  ['allowed', 'level 0 if nobody says', { members: { [BOB]: 'join' } }, invite],
])

const seed = new Uint8Array(32).fill(7)
const inviteKey = encodeBase64(ed25519.getPublicKey(seed))
const otherKey = encodeBase64(ed25519.getPublicKey(new Uint8Array(32).fill(8)))
const sign = (fields: JsonObject): JsonObject => ({
  ...fields,
  signatures: { magic: { 'ed25519:0': encodeBase64(ed25519.sign(signableBytes(fields), seed)) } },
})
const signed = sign({ mxid: CAROL, token: 't' })
const thirdParty = (value: JsonObject | string): Event =>
  membership(BOB, CAROL, 'invite', { third_party_invite: value })
const withToken = (content: JsonObject, sender: string = BOB): Setting => ({
  tokens: { t: { sender, content } },
})
const many = (count: number): JsonObject[] => Array.from({ length: count }, () => ({ public_key: otherKey }))

check('rule 5.4.1, third-party invite', [
  [
    '5.4.1.1',
    'target banned',
    { ...withToken({ public_key: inviteKey }), members: { [CAROL]: 'ban' } },
    thirdParty({ signed }),
  ],
  ['5.4.1.2', 'no signed', withToken({ public_key: inviteKey }), thirdParty({})],
  ['5.4.1.2', 'not an object', withToken({ public_key: inviteKey }), thirdParty('x')],
  [
    '5.4.1.3',
    'no token',
    withToken({ public_key: inviteKey }),
    thirdParty({ signed: sign({ mxid: CAROL }) }),
  ],
  ['5.4.1.3', 'no mxid', withToken({ public_key: inviteKey }), thirdParty({ signed: sign({ token: 't' }) })],
  [
    '5.4.1.4',
    'for another user',
    withToken({ public_key: inviteKey }),
    thirdParty({ signed: sign({ mxid: BOB, token: 't' }) }),
  ],
  ['5.4.1.5', 'token unknown', {}, thirdParty({ signed })],
  ['5.4.1.6', 'another sender', withToken({ public_key: inviteKey }, ALICE), thirdParty({ signed })],
  ['allowed', 'signed by public_key', withToken({ public_key: inviteKey }), thirdParty({ signed })],
  [
    'allowed',
    'signed by one of public_keys',
    withToken({ public_keys: [{ public_key: otherKey }, { public_key: inviteKey }] }),
    thirdParty({ signed }),
  ],
  ['5.4.1.8', 'signed by another key', withToken({ public_key: otherKey }), thirdParty({ signed })],
  ['5.4.1.8', 'emptied after use', withToken({}), thirdParty({ signed })],
  [
    '5.4.1.8',
    'changed after signing',
    withToken({ public_key: inviteKey }),
    thirdParty({ signed: { ...signed, x: 1 } }),
  ],
  [
    '5.4.1.8',
    'no signatures',
    withToken({ public_key: inviteKey }),
    thirdParty({ signed: { mxid: CAROL, token: 't' } }),
  ],
  [
    'allowed',
    `key number ${MAX_INVITE_KEYS}`,
    withToken({ public_keys: [...many(MAX_INVITE_KEYS - 1), { public_key: inviteKey }] }),
    thirdParty({ signed }),
  ],
  [
    '5.4.1.8',
    `key number ${MAX_INVITE_KEYS + 1}`,
    withToken({ public_keys: [...many(MAX_INVITE_KEYS), { public_key: inviteKey }] }),
    thirdParty({ signed }),
  ],
])

it('tries a bounded number of signatures of a third-party invite', () => {
  const good = (signed['signatures'] as JsonObject)['magic'] as JsonObject
  const bad = Object.fromEntries(
    Array.from({ length: MAX_INVITE_SIGNATURES }, (_, i) => [
      `ed25519:x${i}`,
      encodeBase64(new Uint8Array(64)),
    ]),
  )
  const setting = withToken({ public_key: inviteKey })
  const before = { ...signed, signatures: { magic: { ...good, ...bad } } }
  const behind = { ...signed, signatures: { magic: { ...bad, ...good } } }
  expect(verdict(setting, thirdParty({ signed: before }))).toBe('allowed')
  expect(verdict(setting, thirdParty({ signed: behind }))).toBe('5.4.1.8')
})

const leave = membership(BOB, BOB, 'leave')
const kick = membership(BOB, CAROL, 'leave')
check('rule 5.5, leave', [
  ['allowed', 'joined', { members: { [BOB]: 'join' } }, leave],
  ['allowed', 'invited', { members: { [BOB]: 'invite' } }, leave],
  ['allowed', 'knocking', { members: { [BOB]: 'knock' } }, leave],
  ['5.5.1', 'never there', {}, leave],
  ['5.5.1', 'left', { members: { [BOB]: 'leave' } }, leave],
  ['5.5.1', 'banned', { members: { [BOB]: 'ban' } }, leave],
  ['5.5.2', 'kick by a stranger', { members: { [CAROL]: 'join' } }, kick],
  ['allowed', 'kick', { members: joined, levels: { users: { [BOB]: 50, [CAROL]: 49 } } }, kick],
  ['5.5.5', 'kick of an equal', { members: joined, levels: { users: { [BOB]: 50, [CAROL]: 50 } } }, kick],
  ['5.5.5', 'below the kick level', { members: joined, levels: { users: { [BOB]: 49 } } }, kick],
  [
    '5.5.5',
    'kick of a creator',
    { members: joined, levels: { users: { [BOB]: 100 } } },
    membership(BOB, ALICE, 'leave'),
  ],
  [
    '5.5.3',
    'unban below the ban level',
    { members: { [BOB]: 'join', [CAROL]: 'ban' }, levels: { ban: 60, users: { [BOB]: 50 } } },
    kick,
  ],
  [
    'allowed',
    'unban',
    { members: { [BOB]: 'join', [CAROL]: 'ban' }, levels: { users: { [BOB]: 50 } } },
    kick,
  ],
  [
    '5.5.5',
    'unban below the kick level',
    { members: { [BOB]: 'join', [CAROL]: 'ban' }, levels: { ban: 0, users: { [BOB]: 10 } } },
    kick,
  ],
])

const ban = membership(BOB, CAROL, 'ban')
check('rule 5.6, ban', [
  ['5.6.1', 'by a stranger', { levels: { users: { [BOB]: 100 } } }, ban],
  ['allowed', 'of a lower user', { members: joined, levels: { users: { [BOB]: 50 } } }, ban],
  [
    'allowed',
    'of a user who is not there',
    { members: { [BOB]: 'join' }, levels: { users: { [BOB]: 50 } } },
    ban,
  ],
  ['5.6.3', 'of an equal', { members: joined, levels: { users: { [BOB]: 50, [CAROL]: 50 } } }, ban],
  ['5.6.3', 'below the ban level', { members: joined, levels: { users: { [BOB]: 49 } } }, ban],
  ['5.6.3', 'without power levels', { members: joined }, ban],
  ['allowed', 'by a creator without power levels', { members: joined }, membership(ALICE, BOB, 'ban')],
  [
    '5.6.3',
    'of one creator by another',
    { members: joined, create: { additional_creators: [BOB] } },
    membership(BOB, ALICE, 'ban'),
  ],
])

const knock = membership(BOB, BOB, 'knock')
check('rule 5.7, knock', [
  ['5.7.1', 'invite only', { joinRule: 'invite' }, knock],
  ['5.7.1', 'restricted', { joinRule: 'restricted' }, knock],
  ['5.7.2', 'for somebody else', { joinRule: 'knock' }, membership(BOB, CAROL, 'knock')],
  ['allowed', 'knock', { joinRule: 'knock' }, knock],
  ['allowed', 'knock again', { joinRule: 'knock', members: { [BOB]: 'knock' } }, knock],
  ['allowed', 'knock_restricted', { joinRule: 'knock_restricted', members: { [BOB]: 'leave' } }, knock],
  ['5.7.4', 'banned', { joinRule: 'knock', members: { [BOB]: 'ban' } }, knock],
  ['5.7.4', 'invited', { joinRule: 'knock', members: { [BOB]: 'invite' } }, knock],
  ['5.7.4', 'joined', { joinRule: 'knock', members: { [BOB]: 'join' } }, knock],
])

check('rules 6 to 9', [
  ['6', 'not joined', {}, send(BOB)],
  ['6', 'invited only', { members: { [BOB]: 'invite' } }, send(BOB)],
  ['allowed', 'joined', { members: joined }, send(BOB)],
  [
    '7.1',
    'third-party invite below the level',
    { members: joined, levels: { invite: 1 } },
    set(BOB, 'm.room.third_party_invite', {}, 't'),
  ],
  [
    'allowed',
    'third-party invite, though state needs 50',
    { members: joined },
    set(BOB, 'm.room.third_party_invite', {}, 't'),
  ],
  ['8', 'state without levels', { members: joined }, set(BOB, 'm.room.topic')],
  ['allowed', 'state of a creator without levels', {}, set(ALICE, 'm.room.topic')],
  [
    'allowed',
    'state of an additional creator',
    { members: joined, create: { additional_creators: [BOB] } },
    set(BOB, 'm.room.topic'),
  ],
  ['8', 'below events_default', { members: joined, levels: { events_default: 1 } }, send(BOB)],
  [
    'allowed',
    'at state_default',
    { members: joined, levels: { state_default: 0 } },
    set(BOB, 'm.room.topic'),
  ],
  [
    '8',
    'below the level of the type',
    { members: joined, levels: { events: { 'm.room.message': 1 } } },
    send(BOB),
  ],
  [
    'allowed',
    'at the level of the type',
    { members: joined, levels: { events: { 'm.room.topic': 0 } } },
    set(BOB, 'm.room.topic'),
  ],
  [
    'allowed',
    'a redaction needs no redact level',
    { members: joined },
    send(BOB, 'm.room.redaction', { redacts: room.create.id }),
  ],
  [
    'allowed',
    'a type that objects inherit',
    { members: joined, levels: { events: {} } },
    send(BOB, 'constructor'),
  ],
  [
    '9',
    "another user's id as state key",
    { members: joined, levels: { state_default: 0 } },
    set(BOB, 'x', {}, CAROL),
  ],
  [
    'allowed',
    'own id as state key',
    { members: joined, levels: { state_default: 0 } },
    set(BOB, 'x', {}, BOB),
  ],
  ['9', 'any state key with @', {}, set(ALICE, 'x', {}, '@')],
])

const bobAt50: Setting = {
  members: joined,
  levels: {
    users: { [BOB]: 50, [CAROL]: 40, [DAVE]: 50 },
    kick: 50,
    ban: 60,
    events: { high: 60, low: 40 },
    notifications: { room: 60 },
  },
}
const change = (content: JsonObject): Event =>
  set(BOB, 'm.room.power_levels', { ...bobAt50.levels, ...content })
const users = bobAt50.levels?.['users'] as JsonObject
const without = (map: JsonObject, key: string): JsonObject =>
  Object.fromEntries(Object.entries(map).filter(([name]) => name !== key))

check('rule 10, power levels', [
  ...['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite'].flatMap<Case>(
    (key) => [
      ['10.1', `${key} as a string`, {}, set(ALICE, 'm.room.power_levels', { [key]: '1' })],
      ['allowed', `${key} as an integer`, {}, set(ALICE, 'm.room.power_levels', { [key]: 1 })],
    ],
  ),
  ['10.2', 'events not an object', {}, set(ALICE, 'm.room.power_levels', { events: 1 })],
  ['10.2', 'events not of integers', {}, set(ALICE, 'm.room.power_levels', { events: { a: '1' } })],
  [
    '10.2',
    'notifications not of integers',
    {},
    set(ALICE, 'm.room.power_levels', { notifications: { room: null } }),
  ],
  ['10.3', 'users not an object', {}, set(ALICE, 'm.room.power_levels', { users: [] })],
  ['10.3', 'users not of integers', {}, set(ALICE, 'm.room.power_levels', { users: { [BOB]: '1' } })],
  [
    '10.3',
    'users with a key that is no user id',
    {},
    set(ALICE, 'm.room.power_levels', { users: { bob: 1 } }),
  ],
  ['10.4', 'users with the creator', {}, set(ALICE, 'm.room.power_levels', { users: { [ALICE]: 100 } })],
  [
    '10.4',
    'users with an additional creator',
    { create: { additional_creators: [BOB] } },
    set(ALICE, 'm.room.power_levels', { users: { [BOB]: 100 } }),
  ],
  ['allowed', '10.5 the first ones', {}, set(ALICE, 'm.room.power_levels', { users: { [BOB]: 1_000_000 } })],
  ['allowed', 'unchanged', bobAt50, change({})],
  ['10.6.1', 'lowers ban', bobAt50, change({ ban: 50 })],
  ['10.6.2', 'raises kick above himself', bobAt50, change({ kick: 51 })],
  ['allowed', 'lowers kick', bobAt50, change({ kick: 0 })],
  ['10.6.2', 'adds redact above himself', bobAt50, change({ redact: 51 })],
  ['allowed', 'adds redact', bobAt50, change({ redact: 50 })],
  ['10.6.1', 'removes ban', bobAt50, { ...change({}), content: without(bobAt50.levels ?? {}, 'ban') }],
  ['10.7.1', 'lowers a high event', bobAt50, change({ events: { high: 50, low: 40 } })],
  ['10.7.1', 'removes a high event', bobAt50, change({ events: { low: 40 } })],
  ['10.7.1', 'removes a high notification', bobAt50, change({ notifications: {} })],
  ['allowed', 'removes a low event', bobAt50, change({ events: { high: 60 } })],
  ['10.8.1', 'raises a low event above himself', bobAt50, change({ events: { high: 60, low: 51 } })],
  ['10.8.1', 'adds a high notification', bobAt50, change({ notifications: { room: 60, other: 51 } })],
  ['allowed', 'adds an event', bobAt50, change({ events: { high: 60, low: 40, other: 50 } })],
  ['10.9.1', 'lowers an equal', bobAt50, change({ users: { ...users, [DAVE]: 0 } })],
  ['10.9.1', 'removes an equal', bobAt50, change({ users: without(users, DAVE) })],
  ['allowed', 'removes a lower user', bobAt50, change({ users: without(users, CAROL) })],
  ['allowed', 'lowers himself', bobAt50, change({ users: { ...users, [BOB]: 0 } })],
  ['allowed', 'removes himself', bobAt50, change({ users: without(users, BOB) })],
  ['10.10.1', 'raises himself', bobAt50, change({ users: { ...users, [BOB]: 51 } })],
  ['10.10.1', 'adds a user above himself', bobAt50, change({ users: { ...users, '@eve:e': 51 } })],
  ['allowed', 'raises a lower user to his own level', bobAt50, change({ users: { ...users, [CAROL]: 50 } })],
  [
    'allowed',
    'a creator changes anything',
    bobAt50,
    set(ALICE, 'm.room.power_levels', { ban: 1000, users: { [BOB]: 0 } }),
  ],
])

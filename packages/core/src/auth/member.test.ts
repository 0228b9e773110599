import { describe, expect, it } from 'vitest'
import {
  ALICE,
  BOB,
  CAROL,
  DAVE,
  joined,
  membership,
  room,
  set,
  verdict,
  type Case,
  type Event,
} from '../testing/auth-cases.ts'

function check(name: string, cases: readonly Case[]): void {
  describe(name, () => {
    it.each(cases)('%s: %s', (expected, _about, setting, event) => {
      expect(verdict(setting, event)).toBe(expected)
    })
  })
}

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

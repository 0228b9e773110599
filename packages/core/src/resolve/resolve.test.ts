import { sha1 } from '@noble/hashes/legacy.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import { authEventIds, type AuthView } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { stateKey, type StateMap } from '../state.ts'
import { after, idAt } from '../testing/decisions.ts'
import { ALICE, BOB, CAROL, publicRoom } from '../testing/random-room.ts'
import { V12, merge, resolved } from '../testing/resolutions.ts'
import {
  createTestRoom,
  join,
  joinRule,
  levels,
  message,
  member,
  requireVersion,
  stateText,
  topic,
  type Made,
  type TestRoom,
} from '../testing/rooms.ts'
import { resolve } from './resolve.ts'

const DAVE = '@dave:d'

/** Version 12 with the state resolution of version 2, to show that a scenario needs version 2.1. */
const V2_RESOLUTION: RoomVersion = {
  ...V12,
  stateResolution: { by: 'auth', startsEmpty: false, conflictedSubgraph: false },
}

describe('resolve without conflict', () => {
  it('gives the empty state for no set, the set itself for one or equal ones', () => {
    const { room, base } = publicRoom()
    const state = after(room, base)
    expect(resolve(V12, [], room.view)).toEqual({ kind: 'resolved', state: new Map() })
    expect(resolved([state], room.view)).toBe(state)
    expect(resolve(V12, [state, new Map(state)], room.view)).toEqual({ kind: 'resolved', state })
  })

  it('finds the create event where one state lacks it', () => {
    for (const version of [V12, requireVersion('11')]) {
      const { room, base } = publicRoom(version)
      const state = after(room, base)
      const without = new Map(state)
      without.delete(stateKey('m.room.create', ''))
      expect(idAt(resolved([state, without], room.view, version), 'm.room.create')).toBe(room.create.id)
    }
  })

  it('keeps concurrent joins of different users', () => {
    const room = createTestRoom()
    room.add(join(ALICE))
    const base = room.add(joinRule(ALICE, 'public'))
    const bob = room.add({ ...join(BOB), prev: [base] })
    const carol = room.add({ ...join(CAROL), prev: [base] })
    const state = merge(room, bob, carol)
    expect(idAt(state, 'm.room.member', BOB)).toBe(bob.id)
    expect(idAt(state, 'm.room.member', CAROL)).toBe(carol.id)
  })
})

describe('resolve with conflict', () => {
  it('lets the later of two topics of one power level stand', () => {
    const { room, base } = publicRoom()
    const first = room.add({ ...topic(ALICE, 'first'), prev: [base] })
    const second = room.add({ ...topic(BOB, 'second'), prev: [base] })
    expect(idAt(merge(room, first, second), 'm.room.topic')).toBe(second.id)
  })

  it('breaks a tie of topics by event id', () => {
    const { room, base } = publicRoom()
    const ts = base.pdu.origin_server_ts + 1
    const topics = ['x', 'y', 'z'].map((text) => room.add({ ...topic(BOB, text), prev: [base], ts }))
    const largest = topics
      .map(({ id }) => id)
      .sort()
      .at(-1)
    expect(idAt(merge(room, ...topics), 'm.room.topic')).toBe(largest)
  })

  it('lets a topic on newer power levels stand, even with an older clock', () => {
    const { room, base } = publicRoom()
    const old = room.add({ ...topic(BOB, 'old'), prev: [base], ts: base.pdu.origin_server_ts + 1_000_000 })
    const raised = room.add({ ...levels(ALICE, { users: { [BOB]: 60 } }), prev: [base] })
    const fresh = room.add({ ...topic(BOB, 'fresh'), prev: [raised], ts: 1 })
    expect(idAt(merge(room, old, fresh), 'm.room.topic')).toBe(fresh.id)
  })

  it('orders by the place of the power levels in their history, whatever the clocks say', () => {
    const { room, base } = publicRoom()
    const free = { state_default: 0 }
    const histories: Made[] = [room.add({ ...levels(ALICE, free), prev: [base] })]
    for (let ban = 51; ban < 54; ban += 1)
      histories.push(room.add({ ...levels(ALICE, { ...free, ban }), prev: histories.slice(-1) }))
    const topics = histories.map((prev, i) =>
      room.add({ ...topic(BOB, String(i)), prev: [prev], ts: 100 - i }),
    )
    // Two that stand on levels which lost: their place is that of the levels before the fork.
    const fork = histories[1] ?? base
    const lost = room.add({ ...levels(ALICE, { ...free, kick: 1 }), prev: [fork], ts: 1 })
    const aside = room.add({ ...topic(BOB, 'aside'), prev: [lost], ts: 1000 })
    const [, onFork, , newest] = topics
    if (onFork === undefined || newest === undefined) throw new Error('too few topics')
    expect(idAt(merge(room, ...topics), 'm.room.topic')).toBe(newest.id)
    expect(idAt(merge(room, ...topics.slice(0, 2)), 'm.room.topic')).toBe(onFork.id)
    expect(idAt(merge(room, aside, newest), 'm.room.topic')).toBe(newest.id)
    expect(idAt(merge(room, aside, onFork, histories.at(-1) ?? base), 'm.room.topic')).toBe(aside.id)
  })

  it('does not take what a user does to himself for a power event', () => {
    const { room, base } = publicRoom()
    const fight = room.add({ ...topic(ALICE, 'early'), prev: [base], ts: base.pdu.origin_server_ts + 1 })
    const set = room.add({ ...topic(BOB, 'last words'), prev: [base], ts: base.pdu.origin_server_ts + 2 })
    const left = room.add({ ...member(BOB, BOB, 'leave'), prev: [set], ts: base.pdu.origin_server_ts + 3 })
    const state = merge(room, fight, left)
    expect(idAt(state, 'm.room.topic')).toBe(set.id)
    expect(idAt(state, 'm.room.member', BOB)).toBe(left.id)
    const marker = { type: 'x', stateKey: '', content: { membership: 'ban' }, prev: [base] }
    const byAlice = room.add({ ...marker, sender: ALICE, ts: 2 })
    const byBob = room.add({ ...marker, sender: BOB, ts: 1 })
    expect(idAt(merge(room, byAlice, byBob), 'x')).toBe(byAlice.id)
  })

  it('finds the power levels wherever they stand in auth_events', () => {
    const { room, base } = publicRoom()
    const raised = room.add({ ...levels(ALICE, { users: { [BOB]: 60 } }), prev: [base] })
    const invite = (sender: string, prev: Made, ts: number): Made => {
      const proper = room.build({ ...member(sender, DAVE, 'invite'), prev: [prev] })
      const auth = authEventIds(proper.pdu).flatMap((id) => room.view.get(id) ?? [])
      return room.add({ ...member(sender, DAVE, 'invite'), prev: [prev], ts, auth: auth.toReversed() })
    }
    const fresh = invite(ALICE, raised, 1)
    const old = invite(BOB, base, 1000)
    expect(idAt(merge(room, fresh, old), 'm.room.member', DAVE)).toBe(fresh.id)
  })

  it('does not authorise by an auth event that was rejected', () => {
    const { room, base } = publicRoom()
    const topics = ['a', 'b'].map((text) => room.add({ ...topic(BOB, text), prev: [base] }))
    const sets = topics.map((made) => after(room, made))
    const levelsId = idAt(after(room, base), 'm.room.power_levels')
    const doubting: AuthView = {
      ...room.view,
      get(id) {
        const event = room.view.get(id)
        return event === undefined || id !== levelsId ? event : { ...event, verdict: 'rejected' }
      },
    }
    expect(idAt(resolved(sets, room.view), 'm.room.topic')).toBe(topics[1]?.id)
    expect(idAt(resolved(sets, doubting), 'm.room.topic')).toBeUndefined()
  })

  it('applies a ban before what the banned user did meanwhile', () => {
    const { room, base } = publicRoom()
    const before = room.add({ ...topic(ALICE, 'before'), prev: [base] })
    const ban = room.add({ ...member(ALICE, BOB, 'ban'), prev: [before] })
    const evading = room.add({ ...topic(BOB, 'evading'), prev: [before] })
    const state = merge(room, ban, evading)
    expect(idAt(state, 'm.room.member', BOB)).toBe(ban.id)
    expect(idAt(state, 'm.room.topic')).toBe(before.id)
  })

  it('applies a demotion before what the demoted user did meanwhile', () => {
    const { room, base } = publicRoom()
    const demotion = room.add({ ...levels(ALICE, { users: { [BOB]: 0 } }), prev: [base] })
    const meanwhile = room.add({ ...member(BOB, CAROL, 'ban'), prev: [base], ts: 1 })
    const state = merge(room, demotion, meanwhile)
    expect(idAt(state, 'm.room.power_levels')).toBe(demotion.id)
    expect(room.view.get(idAt(state, 'm.room.member', CAROL) ?? base.id)?.pdu.content['membership']).toBe(
      'join',
    )
  })

  it('orders power events by level first: the ban of the stronger wins', () => {
    const { room } = publicRoom()
    const base = room.add(levels(ALICE, { users: { [BOB]: 50, [CAROL]: 60 } }))
    const byBob = room.add({
      ...levels(BOB, { users: { [BOB]: 50, [CAROL]: 60 }, kick: 40 }),
      prev: [base],
      ts: 1,
    })
    const byCarol = room.add({ ...member(CAROL, BOB, 'ban'), prev: [base] })
    const state = merge(room, byBob, byCarol)
    expect(idAt(state, 'm.room.member', BOB)).toBe(byCarol.id)
    expect(idAt(state, 'm.room.power_levels')).toBe(base.id)
  })

  it('lets a creator win over everybody', () => {
    const { room } = publicRoom()
    const base = room.add(levels(ALICE, { users: { [BOB]: Number.MAX_SAFE_INTEGER } }))
    const takeover = room.add({
      ...levels(BOB, { users: { [BOB]: Number.MAX_SAFE_INTEGER }, events_default: 100 }),
      prev: [base],
      ts: 1,
    })
    const kick = room.add({ ...member(ALICE, BOB, 'leave'), prev: [base] })
    const state = merge(room, takeover, kick)
    expect(idAt(state, 'm.room.member', BOB)).toBe(kick.id)
    expect(idAt(state, 'm.room.power_levels')).toBe(base.id)
  })

  it('applies a kick after the join that it followed', () => {
    const { room, base } = publicRoom()
    const joined = room.add({ ...join(DAVE), prev: [base] })
    const kicked = room.add({ ...member(ALICE, DAVE, 'leave'), prev: [joined] })
    const state = merge(room, joined, kicked)
    expect(idAt(state, 'm.room.member', DAVE)).toBe(kicked.id)
  })

  it('closes the room before a concurrent join', () => {
    const room = createTestRoom()
    room.add(join(ALICE))
    const base = room.add(joinRule(ALICE, 'public'))
    const closed = room.add({ ...joinRule(ALICE, 'invite'), prev: [base] })
    const late = room.add({ ...join(BOB), prev: [base], ts: 1 })
    const state = merge(room, closed, late)
    expect(idAt(state, 'm.room.join_rules')).toBe(closed.id)
    // Bob's key is in one set only, so his join is decided again, under the new rule.
    expect(idAt(state, 'm.room.member', BOB)).toBeUndefined()
  })
})

describe('step 5', () => {
  it('keeps what the states agree on, whatever was replayed at its place', () => {
    const { room, base } = publicRoom()
    const lost = room.add({ ...levels(ALICE, { users: { [BOB]: 60 } }), prev: [base] })
    const topicOfLost = room.add({ ...topic(BOB, 'x'), prev: [lost] })
    const stands = room.add({ ...levels(ALICE, { users: { [BOB]: 70 } }), prev: [base] })
    const right = after(room, stands)
    // Its topic stands on power levels that are in no state, but are replayed for it.
    const left = new Map(right).set(stateKey('m.room.topic', ''), topicOfLost.id)
    const state = resolved([left, right], room.view)
    expect(idAt(state, 'm.room.power_levels')).toBe(stands.id)
    expect(idAt(state, 'm.room.topic')).toBe(topicOfLost.id)
  })
})

describe('resolution of version 1', () => {
  const V1 = requireVersion('1')
  const creator = { [ALICE]: 100 }
  const mergeV1 = (room: TestRoom, ...ends: readonly Made[]): StateMap => {
    const sets = ends.map((end) => after(room, end))
    const state = resolved(sets, room.view, V1)
    expect(stateText(resolved(sets.toReversed(), room.view, V1))).toEqual(stateText(state))
    return state
  }

  it('breaks a tie of depth by the hash of the id', () => {
    const { room, base } = publicRoom(V1)
    for (let round = 0; round < 5; round += 1) {
      const topics = ['a', 'b', 'c', 'd'].map((text) => room.add({ ...topic(BOB, text), prev: [base] }))
      const hashOf = ({ id }: Made): string => bytesToHex(sha1(utf8ToBytes(id)))
      const [last] = topics.toSorted((a, b) => (hashOf(a) < hashOf(b) ? -1 : 1))
      expect(idAt(mergeV1(room, ...topics), 'm.room.topic')).toBe(last?.id)
    }
  })

  it('decides memberships before what their users did', () => {
    const { room, base } = publicRoom(V1)
    const before = room.add({ ...topic(ALICE, 'before'), prev: [base] })
    const first = room.add({ ...topic(ALICE, 'still before'), prev: [before] })
    const banned = room.add({ ...member(ALICE, BOB, 'ban'), prev: [first] })
    const deeper = room.add({ ...topic(ALICE, 'deeper'), prev: [before] })
    const evading = room.add({ ...topic(BOB, 'evading'), prev: [deeper] })
    const state = mergeV1(room, banned, evading)
    expect(idAt(state, 'm.room.member', BOB)).toBe(banned.id)
    expect(idAt(state, 'm.room.topic')).toBe(first.id)
  })

  it('lets the deepest that is allowed stand, past what is not', () => {
    const { room, base } = publicRoom(V1)
    const [first, second] = [topic(ALICE, 'first'), topic(ALICE, 'last')]
    const allowed = room.add({ ...first, prev: [base] })
    const stranger = room.build({ ...topic(DAVE, 'between'), prev: [allowed] })
    const deeper = room.add({ ...message(ALICE, 'x'), prev: [allowed] })
    const last = room.add({ ...second, prev: [room.add({ ...message(ALICE, 'y'), prev: [deeper] })] })
    const view: AuthView = {
      ...room.view,
      get: (id) => (id === stranger.id ? { ...stranger, verdict: 'accepted' } : room.view.get(id)),
    }
    const state = after(room, base)
    const sets = [allowed, stranger, last].map(({ id }) =>
      new Map(state).set(stateKey('m.room.topic', ''), id),
    )
    expect(idAt(resolved(sets, view, V1), 'm.room.topic')).toBe(last.id)
  })

  it('takes a place that only one state has as it is, before all else', () => {
    const room = createTestRoom({ version: V1 })
    room.add(join(ALICE))
    room.add(joinRule(ALICE, 'public'))
    const base = room.add(levels(ALICE, { users: { ...creator, [BOB]: 100 } }))
    const other = room.add({
      ...levels(ALICE, { users: { ...creator, [BOB]: 100 }, kick: 60 }),
      prev: [base],
    })
    const joined = room.add({ ...join(BOB), prev: [base] })
    const byBob = room.add({
      ...levels(BOB, { users: { ...creator, [BOB]: 100 }, kick: 70 }),
      prev: [joined],
    })
    const state = mergeV1(room, other, byBob)
    expect(idAt(state, 'm.room.member', BOB)).toBe(joined.id)
    expect(idAt(state, 'm.room.power_levels')).toBe(byBob.id)
  })
})

describe('what version 2.1 mends', () => {
  it('problem A: unconflicted state does not unauthorise what came before it', () => {
    const room = createTestRoom({ creator: CAROL })
    room.add(join(CAROL))
    room.add(levels(CAROL, { users: { [ALICE]: 100 } }))
    room.add(joinRule(CAROL, 'public'))
    room.add(join(ALICE))
    const older = room.add(joinRule(ALICE, 'invite'))
    const newer = room.add(joinRule(ALICE, 'public'))
    const left = room.add(member(ALICE, ALICE, 'leave'))
    const bob = room.add(join(BOB))
    const right = after(room, bob)
    // A server that was told wrongly that the older join rule is still in force after Alice had left.
    const wrong = new Map(after(room, left)).set(stateKey('m.room.join_rules', ''), older.id)
    expect(idAt(resolved([wrong, right], room.view), 'm.room.join_rules')).toBe(newer.id)
    expect(idAt(resolved([right, wrong], room.view), 'm.room.join_rules')).toBe(newer.id)
    expect(idAt(resolved([wrong, right], room.view, V2_RESOLUTION), 'm.room.join_rules')).toBeUndefined()
  })

  it('problem B: the events between conflicted events are replayed', () => {
    const room = createTestRoom({ creator: '@eve:e' })
    room.add(join('@eve:e'))
    room.add(joinRule('@eve:e', 'public'))
    for (const user of [ALICE, BOB, CAROL]) room.add(join(user))
    const first = room.add(levels('@eve:e', { users: { [ALICE]: 100 } }))
    room.add(levels(ALICE, { users: { [ALICE]: 100, [BOB]: 100 } }))
    const third = room.add(levels(BOB, { users: { [ALICE]: 100, [BOB]: 100, [CAROL]: 100 } }))
    const end = room.add(topic(CAROL, 'hello'))
    const right = after(room, end)
    // The topic, in both sets, has the newest power levels in its auth chain; one set claims the oldest ones.
    const wrong = new Map(right).set(stateKey('m.room.power_levels', ''), first.id)
    expect(idAt(resolved([wrong, right], room.view), 'm.room.power_levels')).toBe(third.id)
    expect(idAt(resolved([wrong, right], room.view, V2_RESOLUTION), 'm.room.power_levels')).toBe(first.id)
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkOutlier, decide, type Decision } from './decide.ts'
import { eventIdOf } from './hash.ts'
import type { EventId, RoomId } from './ids.ts'
import { createKnownEvents } from './known-events.ts'
import { authEventIds, type KnownEvent } from './pdu.ts'
import { NOWHERE, after, altered, decideIn, idAt, inputFor, outcome } from './testing/decisions.ts'
import { createLoading } from './testing/loading.ts'
import { ALICE, BOB, CAROL, publicRoom, randomRoom } from './testing/random-room.ts'
import {
  createTestRoom,
  join,
  levels,
  member,
  message,
  requireVersion,
  stateText,
  topic,
  type Made,
  type TestRoom,
} from './testing/rooms.ts'

/** Random rooms take a while on a busy machine. */
const PROPERTY_MS = 60_000

const V12 = requireVersion('12')

describe('a room from its start', () => {
  it('accepts the first events and adds state events to the state', () => {
    const room = createTestRoom()
    expect(outcome(room.decide(join(ALICE)).decision)).toBe('accept')
    const { made, decision } = room.decide(levels(ALICE, { users: { [BOB]: 50 } }))
    expect(decision).toMatchObject({ kind: 'accept', effects: [] })
    expect(idAt(room.state(), 'm.room.power_levels')).toBe(made.id)
    expect(idAt(room.state(), 'm.room.create')).toBe(room.create.id)
    expect(room.at('m.room.member', ALICE)?.content['membership']).toBe('join')
  })

  it('leaves the state to a message as it is', () => {
    const { room, base } = publicRoom()
    const decision = decideIn(room, room.build(message(BOB, 'hello')))
    if (decision.kind !== 'accept') throw new Error(outcome(decision))
    expect(decision.stateAfter).toBe(decision.stateBefore)
    expect(decision.stateBefore).toBe(after(room, base))
  })

  it('refuses a room whose create event breaks rule 1', () => {
    const { create } = createTestRoom({ content: { additional_creators: 'x' } })
    const room = createTestRoom()
    const roomId = `!${create.id.slice(1)}` as RoomId
    const decision = decideIn(room, create, { roomId, currentState: undefined })
    expect(outcome(decision)).toBe('reject: v12 auth 1.4')
  })

  it('rejects a second create event in the room and goes on', () => {
    const { room } = publicRoom()
    const second = room.build({ type: 'm.room.create', sender: BOB, stateKey: '', auth: [] })
    const inRoom = altered(room, second, { room_id: room.roomId })
    expect(outcome(room.receive(inRoom))).toBe('reject: v12 auth 1.1')
    expect(idAt(after(room, inRoom), 'm.room.create')).toBe(room.create.id)
    const bare = altered(room, inRoom, { prev_events: [] })
    expect(outcome(room.receive(bare))).toBe('reject: v12 auth 1.2')
    expect(outcome(room.decide({ ...message(BOB, 'x'), prev: [inRoom] }).decision)).toBe('accept')
  })

  it('drops an event of another room', () => {
    const { room } = publicRoom()
    const other = createTestRoom({ content: { other: true } })
    const stranger = room.receive(other.build(join(ALICE)))
    expect(stranger).toMatchObject({ kind: 'drop', why: { code: 'wrong room', field: 'room_id' } })
    expect(outcome(room.receive(other.create))).toBe('drop: wrong room')
  })
})

describe('rule 2, the create event of the room', () => {
  const { room } = publicRoom()
  const event = room.build(message(BOB, 'x'))
  const withCreate = (create: KnownEvent | undefined): string =>
    outcome(
      decide(
        inputFor(room, event, {
          view: { ...room.view, get: (id) => (id === room.create.id ? create : room.view.get(id)) },
        }),
      ),
    )

  it('must be known, accepted and a create event', () => {
    expect(withCreate(undefined)).toBe('need')
    expect(withCreate({ ...room.create, verdict: 'accepted' })).toBe('accept')
    expect(withCreate({ ...room.create, verdict: 'rejected' })).toBe('reject: v12 auth 2')
    expect(withCreate({ id: room.create.id, pdu: event.pdu, verdict: 'accepted' })).toBe('reject: v12 auth 2')
  })
})

describe('rule 3, auth_events', () => {
  function outcomeWith(choose: (room: TestRoom, base: Made) => readonly (Made | undefined)[]): string {
    const { room, base } = publicRoom()
    const auth = choose(room, base).filter((made) => made !== undefined)
    return outcome(room.decide({ ...message(BOB, 'x'), auth, prev: [base] }).decision)
  }
  const at = (room: TestRoom, type: string, key = ''): Made | undefined => {
    const pdu = room.at(type, key)
    return pdu === undefined ? undefined : { id: eventIdOf(V12, pdu), pdu }
  }
  const proper = (room: TestRoom): (Made | undefined)[] => [
    at(room, 'm.room.power_levels'),
    at(room, 'm.room.member', BOB),
  ]

  it('are taken as the selection gives them, in any order', () => {
    expect(outcomeWith((room) => proper(room))).toBe('accept')
    expect(outcomeWith((room) => proper(room).toReversed())).toBe('accept')
  })

  it.each<[string, string, (room: TestRoom, base: Made) => readonly (Made | undefined)[]]>([
    ['3.1', 'one event twice', (room) => [...proper(room), at(room, 'm.room.member', BOB)]],
    ['3.1', 'two events of one place', (room) => [...proper(room), room.add(levels(ALICE, { ban: 1 }))]],
    ['3.2', 'the create event', (room) => [...proper(room), room.create]],
    ['3.2', 'an event that does not matter', (room) => [...proper(room), at(room, 'm.room.join_rules')]],
    ['3.2', "another user's membership", (room) => [...proper(room), at(room, 'm.room.member', CAROL)]],
    ['3.2', 'a message', (room) => [...proper(room), room.add(message(BOB, 'y'))]],
    [
      '3.3',
      'a rejected event',
      (room, base) => {
        const rejected = room.add({ ...levels(BOB, { users: { [BOB]: 100 } }), prev: [base] })
        expect(room.view.get(rejected.id)?.verdict).toBe('rejected')
        return [rejected, at(room, 'm.room.member', BOB)]
      },
    ],
    ['6', 'none at all', () => []],
  ])('%s: %s', (rule, _about, choose) => {
    expect(outcomeWith(choose)).toBe(`reject: v12 auth ${rule}`)
  })

  it('3.5: an event of another room', () => {
    const { room, base } = publicRoom()
    const other = createTestRoom({ content: { other: true } })
    const foreign = other.add(join(ALICE))
    const event = room.build({ ...message(ALICE, 'x'), prev: [base], auth: [foreign] })
    const view = { ...room.view, get: (id: EventId) => room.view.get(id) ?? other.view.get(id) }
    expect(outcome(decideIn(room, event, { view }))).toBe('reject: v12 auth 3.5')
  })

  it('cascade: what cites a rejected event is rejected, what only follows it is not', () => {
    const { room, base } = publicRoom()
    const rejected = room.add({ ...member(BOB, ALICE, 'ban'), prev: [base] })
    const cites = room.decide({ ...join(ALICE), prev: [base], auth: [rejected] })
    expect(outcome(cites.decision)).toBe('reject: v12 auth 3.3')
    const follows = room.decide({ ...message(ALICE, 'x'), prev: [rejected] })
    expect(outcome(follows.decision)).toBe('accept')
    expect(stateText(after(room, rejected))).toEqual(stateText(after(room, base)))
  })
})

describe('the three states that an event is checked against', () => {
  it('its auth events: an old power level that it does not cite does not help', () => {
    const { room, base } = publicRoom()
    const bob = room.all().find(({ pdu }) => pdu.state_key === BOB)
    const { decision } = room.decide({
      ...topic(BOB, 'x'),
      prev: [base],
      auth: bob === undefined ? [] : [bob],
    })
    expect(outcome(decision)).toBe('reject: v12 auth 8')
  })

  it('the state before it: an old power level that it does cite does not help either', () => {
    const { room, base } = publicRoom()
    const auth = authEventIds(room.build(topic(BOB, 'x')).pdu).flatMap((id) => room.view.get(id) ?? [])
    const demotion = room.add({ ...levels(ALICE, { users: { [BOB]: 0 } }), prev: [base] })
    const { decision } = room.decide({ ...topic(BOB, 'x'), prev: [demotion], auth })
    expect(outcome(decision)).toBe('reject: v12 auth 8')
    if (decision.kind === 'reject')
      expect(idAt(decision.stateBefore, 'm.room.power_levels')).toBe(demotion.id)
  })

  it('the current state: who evades a ban is soft-failed, and part of resolution', () => {
    const { room, base } = publicRoom()
    const ban = room.add({ ...member(ALICE, BOB, 'ban'), prev: [base] })
    const { made, decision } = room.decide({ ...topic(BOB, 'evading'), prev: [base] })
    expect(outcome(decision)).toBe('softFail: v12 auth 6')
    expect(decision).toMatchObject({ effects: [] })
    expect(idAt(after(room, made), 'm.room.topic')).toBe(made.id)
    expect(idAt(room.state(), 'm.room.topic')).toBeUndefined()
    // Another server saw the topic first and joins both branches.
    const both = room.decide({ ...message(ALICE, 'x'), prev: [ban, made] })
    expect(outcome(both.decision)).toBe('accept')
    expect(idAt(after(room, both.made), 'm.room.topic')).toBeUndefined()
  })

  it('without a current state there is no soft failure', () => {
    const { room, base } = publicRoom()
    room.add({ ...member(ALICE, BOB, 'ban'), prev: [base] })
    const event = room.build({ ...message(BOB, 'x'), prev: [base] })
    expect(outcome(decideIn(room, event))).toBe('softFail: v12 auth 6')
    expect(outcome(decideIn(room, event, { currentState: undefined }))).toBe('accept')
  })

  it('an event without prev_events has nothing before it', () => {
    const { room } = publicRoom()
    const event = altered(room, room.build(message(BOB, 'x')), { prev_events: [] })
    expect(outcome(room.receive(event))).toBe('reject: v12 auth 6')
  })
})

const NEED = { kind: 'need', events: [], floor: Infinity, children: [], states: [] }

describe('need', () => {
  it('names unknown auth events and states at once, sorted', () => {
    const { room, base } = publicRoom()
    const event = altered(room, room.build(message(BOB, 'x')), {
      prev_events: [NOWHERE, base.id],
      auth_events: [NOWHERE],
    })
    expect(decideIn(room, event)).toEqual({
      ...NEED,
      events: [NOWHERE],
      states: [NOWHERE],
    })
    const blind = decide(inputFor(room, event, { view: createKnownEvents(), stateAfter: () => undefined }))
    expect(blind).toEqual({
      ...NEED,
      events: [room.create.id, NOWHERE].sort(),
      states: [base.id, NOWHERE].sort(),
    })
  })

  it('names unknown auth events alone, and unknown states alone', () => {
    const { room, base } = publicRoom()
    const event = room.build(message(BOB, 'x'))
    const [auth] = event.pdu.auth_events
    const view = { ...room.view, get: (id: EventId) => (id === auth ? undefined : room.view.get(id)) }
    expect(decideIn(room, event, { view })).toEqual({ ...NEED, events: [auth] })
    const stateAfter = (): undefined => undefined
    expect(decideIn(room, event, { stateAfter })).toEqual({ ...NEED, states: [base.id] })
  })

  it('names the events of the states that the rules read', () => {
    const { room, base } = publicRoom()
    const demotion = room.add({ ...levels(ALICE, { users: {} }), prev: [base] })
    const event = room.build({ ...message(BOB, 'x'), prev: [base] })
    const view = { ...room.view, get: (id: EventId) => (id === demotion.id ? undefined : room.view.get(id)) }
    expect(decideIn(room, event, { view })).toEqual({ ...NEED, events: [demotion.id] })
  })

  it(
    'is answered within 8 rounds by loading what it asks for',
    () => {
      fc.assert(
        fc.property(
          fc.array(fc.array(fc.nat(60), { minLength: 5, maxLength: 5 }), { minLength: 10, maxLength: 25 }),
          (steps) => {
            const { room, made } = randomRoom(steps)
            const event = room.build({ ...message(ALICE, 'x'), prev: made.slice(-3) })
            const loading = createLoading(room.view)
            const states = new Set<EventId>()
            const ask = (): Decision =>
              decide(
                inputFor(room, event, {
                  view: loading.view,
                  stateAfter: (id) => (states.has(id) ? room.stateAfter(id) : undefined),
                }),
              )
            let rounds = 0
            let decision = ask()
            for (; decision.kind === 'need'; rounds += 1) {
              const { events, states: unknown, children } = decision
              expect(unknown.filter((id) => room.stateAfter(id) === undefined)).toEqual([])
              expect(events.length + unknown.length + children.length).toBeGreaterThan(0)
              loading.load(decision)
              for (const id of decision.states) states.add(id)
              decision = ask()
            }
            expect(rounds).toBeLessThanOrEqual(8)
            expect(outcome(decision)).toBe(outcome(decideIn(room, event)))
          },
        ),
        { numRuns: 100 },
      )
    },
    PROPERTY_MS,
  )
})

it.each([
  ['type', { type: 'é'.repeat(128) }],
  ['state_key', { stateKey: '💥'.repeat(70) }],
])('rejects an event whose %s is longer than 255 bytes, and takes what follows it', (field, more) => {
  const { room, base } = publicRoom()
  const { made, decision } = room.decide({ type: 'x', sender: ALICE, content: {}, ...more, prev: [base] })
  expect(decision).toMatchObject({ kind: 'reject', why: { reason: `${field} is longer than 255 bytes` } })
  expect(outcome(room.decide({ ...message(ALICE, 'x'), prev: [made] }).decision)).toBe('accept')
})

it('rejects a create event that follows others by rule 1.1, also where the room has one', () => {
  const { room } = publicRoom(requireVersion('10'))
  const second = altered(room, room.build({ type: 'm.room.create', sender: ALICE, stateKey: '' }), {})
  expect(second.pdu.prev_events).not.toEqual([])
  expect(outcome(decideIn(room, second))).toBe('reject: v10 auth 1.1')
})

describe('checkOutlier', () => {
  it('judges by the auth events alone', () => {
    const { room, base } = publicRoom()
    const ban = room.add({ ...member(ALICE, BOB, 'ban'), prev: [base] })
    const honest = room.build({ ...topic(BOB, 'x'), prev: [base] })
    const auth = authEventIds(honest.pdu).flatMap((id) => room.view.get(id) ?? [])
    const event = room.build({ ...topic(BOB, 'x'), prev: [ban], auth })
    const { version, roomId, view } = room
    expect(checkOutlier({ version, roomId, event, view })).toBeUndefined()
    const weak = room.build({ ...topic(CAROL, 'x'), prev: [base] })
    expect(checkOutlier({ version, roomId, event: weak, view })?.rule).toBe('v12 auth 8')
    expect(checkOutlier({ version, roomId, event: room.create, view })).toBeUndefined()
  })

  it('takes nothing of another room', () => {
    const { room } = publicRoom(requireVersion('10'))
    const { version, roomId, view } = room
    const event = altered(room, room.build(message(BOB, 'x')), { room_id: '!other:a' })
    expect(checkOutlier({ version, roomId, event, view })).toEqual({
      rule: 'v10 auth 2.5',
      reason: 'the event is of another room',
    })
    expect(checkOutlier({ version, roomId: event.pdu.room_id as RoomId, event, view })?.rule).toBe(
      'v10 auth 2.5',
    )
  })

  it('fails closed on what is not known', () => {
    const { room } = publicRoom()
    const { version, roomId, view } = room
    const event = room.build(message(BOB, 'x'))
    const blind = { get: () => undefined }
    expect(checkOutlier({ version, roomId, event, view: blind })?.rule).toBe('v12 auth 2')
    const unknown = altered(room, event, { auth_events: [...event.pdu.auth_events, NOWHERE] })
    expect(checkOutlier({ version, roomId, event: unknown, view })?.rule).toBe('v12 auth 3.3')
  })
})

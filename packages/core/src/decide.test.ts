import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { authStateKeys } from './auth/selection.ts'
import { redactionAllowed, redactionTarget } from './auth/redaction.ts'
import { checkAuth } from './auth/check-auth.ts'
import { checkOutlier, decide, type DecideInput, type Decision } from './decide.ts'
import { checkFormat } from './format.ts'
import { eventIdOf } from './hash.ts'
import type { EventId, RoomId } from './ids.ts'
import type { JsonObject, JsonValue } from './json.ts'
import type { KnownEvent, Pdu } from './pdu.ts'
import { applyToState, splitStateKey, stateKey, type StateKey, type StateMap } from './state.ts'
import { ALICE, BOB, CAROL, publicRoom, randomRoom } from './testing/random-room.ts'
import {
  createTestRoom,
  join,
  joinRule,
  levels,
  member,
  message,
  requireVersion,
  stateText,
  topic,
  type Made,
  type TestRoom,
} from './testing/rooms.ts'

const V12 = requireVersion('12')
const NOWHERE = `$${'n'.repeat(43)}` as EventId
const DAVE = '@dave:d'

/** Verdict and rule in one word. */
function outcome(decision: Decision): string {
  switch (decision.kind) {
    case 'accept':
    case 'need':
      return decision.kind
    case 'drop':
      return `drop: ${decision.why.code}`
    default:
      return `${decision.kind}: ${decision.why.rule}`
  }
}

const idAt = (state: StateMap, type: string, key = ''): EventId | undefined => state.get(stateKey(type, key))
const after = (room: TestRoom, made: Made): StateMap => room.stateAfter(made.id) ?? new Map<never, never>()
const altered = (room: TestRoom, made: Made, change: JsonObject): Made => {
  const pdu = { ...made.pdu, ...change } as Pdu
  return { id: eventIdOf(room.version, pdu), pdu }
}

function inputFor(room: TestRoom, event: Made, change: Partial<DecideInput> = {}): DecideInput {
  return {
    version: room.version,
    roomId: room.roomId,
    event,
    view: room.view,
    stateAfter: (id) => room.stateAfter(id),
    currentState: room.state(),
    ...change,
  }
}

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
    const decision = decide(inputFor(room, room.build(message(BOB, 'hello'))))
    if (decision.kind !== 'accept') throw new Error(outcome(decision))
    expect(decision.stateAfter).toBe(decision.stateBefore)
    expect(decision.stateBefore).toBe(after(room, base))
  })

  it('refuses a room whose create event breaks rule 1', () => {
    const { create } = createTestRoom({ content: { additional_creators: 'x' } })
    const room = createTestRoom()
    const roomId = `!${create.id.slice(1)}` as RoomId
    const decision = decide(inputFor(room, create, { roomId, currentState: undefined }))
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
    expect(outcome(room.receive(other.build(join(ALICE))))).toBe('drop: wrong room')
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
          view: { get: (id) => (id === room.create.id ? create : room.view.get(id)) },
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
    const view = { get: (id: EventId) => room.view.get(id) ?? other.view.get(id) }
    expect(outcome(decide(inputFor(room, event, { view })))).toBe('reject: v12 auth 3.5')
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
    const auth = room.build(topic(BOB, 'x')).pdu.auth_events.flatMap((id) => room.view.get(id) ?? [])
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
    expect(outcome(decide(inputFor(room, event)))).toBe('softFail: v12 auth 6')
    expect(outcome(decide(inputFor(room, event, { currentState: undefined })))).toBe('accept')
  })

  it('an event without prev_events has nothing before it', () => {
    const { room } = publicRoom()
    const event = altered(room, room.build(message(BOB, 'x')), { prev_events: [] })
    expect(outcome(room.receive(event))).toBe('reject: v12 auth 6')
  })
})

describe('need', () => {
  it('names unknown auth events and states at once, sorted', () => {
    const { room, base } = publicRoom()
    const event = altered(room, room.build(message(BOB, 'x')), {
      prev_events: [NOWHERE, base.id],
      auth_events: [NOWHERE],
    })
    expect(decide(inputFor(room, event))).toEqual({ kind: 'need', events: [NOWHERE], states: [NOWHERE] })
    const blind = decide(
      inputFor(room, event, { view: { get: () => undefined }, stateAfter: () => undefined }),
    )
    expect(blind).toEqual({
      kind: 'need',
      events: [room.create.id, NOWHERE].sort(),
      states: [base.id, NOWHERE].sort(),
    })
  })

  it('names the events of the states that the rules read', () => {
    const { room, base } = publicRoom()
    const demotion = room.add({ ...levels(ALICE, { users: {} }), prev: [base] })
    const event = room.build({ ...message(BOB, 'x'), prev: [base] })
    const view = { get: (id: EventId) => (id === demotion.id ? undefined : room.view.get(id)) }
    expect(decide(inputFor(room, event, { view }))).toEqual({
      kind: 'need',
      events: [demotion.id],
      states: [],
    })
  })

  it('is answered within 8 rounds by loading each event with its auth chain', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.nat(60), { minLength: 5, maxLength: 5 }), { minLength: 10, maxLength: 25 }),
        (steps) => {
          const { room, made } = randomRoom(steps)
          const event = room.build({ ...message(ALICE, 'x'), prev: made.slice(-3) })
          const loaded = new Set<EventId>()
          const states = new Set<EventId>()
          const load = (id: EventId): void => {
            if (loaded.has(id)) return
            loaded.add(id)
            for (const parent of room.view.get(id)?.pdu.auth_events ?? []) load(parent)
          }
          const ask = (): Decision =>
            decide(
              inputFor(room, event, {
                view: { get: (id) => (loaded.has(id) ? room.view.get(id) : undefined) },
                stateAfter: (id) => (states.has(id) ? room.stateAfter(id) : undefined),
              }),
            )
          let rounds = 0
          let decision = ask()
          for (; decision.kind === 'need'; rounds += 1) {
            expect(decision.events.length + decision.states.length).toBeGreaterThan(0)
            for (const id of decision.events) load(id)
            for (const id of decision.states) states.add(id)
            decision = ask()
          }
          expect(rounds).toBeLessThanOrEqual(8)
          expect(outcome(decision)).toBe(outcome(decide(inputFor(room, event))))
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('redactions', () => {
  const { room } = publicRoom()
  room.add(levels(ALICE, { users: { [CAROL]: 50 } }))
  const byBob = room.add(message(BOB, 'secret'))
  const byAlice = room.add(message(ALICE, 'plan'))
  const redaction = (sender: string, target: EventId): Made =>
    room.build({ type: 'm.room.redaction', sender, redacts: target })
  const auth = {
    create: room.create.pdu,
    get(key: StateKey): Pdu | undefined {
      const [type, name] = splitStateKey(key)
      return room.at(type, name)
    },
  }

  it.each([
    ['own event', BOB, byBob, false, true],
    ['of another server, without the level', BOB, byAlice, false, false],
    ['of another server, with the level', CAROL, byAlice, true, true],
    ['by a creator', ALICE, byBob, true, true],
  ] as const)('%s', (_about, sender, target, ofOthers, allowed) => {
    const made = redaction(sender, target.id)
    expect(made.pdu.content).toEqual({ redacts: target.id })
    const decision = decide(inputFor(room, made))
    expect(decision).toMatchObject({
      kind: 'accept',
      effects: [{ kind: 'redact', target: target.id, ofOthers }],
    })
    expect(redactionAllowed(V12, made.pdu, target.pdu, auth)).toBe(allowed)
  })

  it('by a user of the same server', () => {
    const colleague = altered(room, redaction(BOB, byBob.id), { sender: '@other:b' })
    expect(redactionAllowed(V12, colleague.pdu, byBob.pdu, auth)).toBe(true)
  })

  it('not in another room', () => {
    const other = createTestRoom({ content: { other: true } })
    const elsewhere = other.build(join(BOB))
    expect(redactionAllowed(V12, redaction(ALICE, elsewhere.id).pdu, elsewhere.pdu, auth)).toBe(false)
  })

  it('that name nothing have no effect', () => {
    for (const redacts of [undefined, 5, '$x', '!room:x'] as const) {
      const content: JsonObject = redacts === undefined ? {} : { redacts }
      const decision = decide(inputFor(room, room.build({ type: 'm.room.redaction', sender: BOB, content })))
      expect(decision).toMatchObject({ kind: 'accept', effects: [] })
    }
    expect(redactionTarget(V12, byBob.pdu)).toBeUndefined()
  })

  it('that are soft-failed have no effect', () => {
    const before = room.all().at(-1) ?? room.create
    const copy = createTestRoom({ create: room.create })
    for (const event of room.all().slice(1)) copy.receive(event)
    copy.add(member(ALICE, BOB, 'ban'))
    const late = copy.decide({ type: 'm.room.redaction', sender: BOB, redacts: byBob.id, prev: [before] })
    expect(late.decision).toMatchObject({ kind: 'softFail', effects: [] })
  })
})

describe('checkOutlier', () => {
  it('judges by the auth events alone', () => {
    const { room, base } = publicRoom()
    const ban = room.add({ ...member(ALICE, BOB, 'ban'), prev: [base] })
    const auth = room
      .build({ ...topic(BOB, 'x'), prev: [base] })
      .pdu.auth_events.flatMap((id) => room.view.get(id) ?? [])
    const event = room.build({ ...topic(BOB, 'x'), prev: [ban], auth })
    const { version, roomId, view } = room
    expect(checkOutlier({ version, roomId, event, view })).toBeUndefined()
    const weak = room.build({ ...topic(CAROL, 'x'), prev: [base] })
    expect(checkOutlier({ version, roomId, event: weak, view })?.rule).toBe('v12 auth 8')
    expect(checkOutlier({ version, roomId, event: room.create, view })).toBeUndefined()
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

describe('authStateKeys', () => {
  const keys = (type: string, target: string | undefined, content: JsonObject): string[] =>
    authStateKeys(V12, { type, sender: BOB, content, ...(target === undefined ? {} : { state_key: target }) })
      .map((key) => splitStateKey(key).join('|'))
      .sort()
  const POWER = 'm.room.power_levels|'
  const RULES = 'm.room.join_rules|'
  const of = (user: string): string => `m.room.member|${user}`
  const invite = (value: JsonValue): JsonObject => ({ membership: 'invite', third_party_invite: value })

  it.each<[string, string, string | undefined, JsonObject, string[]]>([
    ['create', 'm.room.create', '', {}, []],
    ['a message', 'm.room.message', undefined, {}, [POWER, of(BOB)]],
    ['a join', 'm.room.member', BOB, { membership: 'join' }, [POWER, RULES, of(BOB)]],
    ['a knock', 'm.room.member', BOB, { membership: 'knock' }, [POWER, RULES, of(BOB)]],
    ['an invite', 'm.room.member', CAROL, { membership: 'invite' }, [POWER, RULES, of(BOB), of(CAROL)]],
    ['a kick', 'm.room.member', CAROL, { membership: 'leave' }, [POWER, of(BOB), of(CAROL)]],
    ['a ban', 'm.room.member', CAROL, { membership: 'ban' }, [POWER, of(BOB), of(CAROL)]],
    [
      'a restricted join',
      'm.room.member',
      BOB,
      { membership: 'join', join_authorised_via_users_server: DAVE },
      [POWER, RULES, of(BOB), of(DAVE)],
    ],
    [
      'a leave that names somebody',
      'm.room.member',
      BOB,
      { membership: 'leave', join_authorised_via_users_server: DAVE },
      [POWER, of(BOB)],
    ],
    [
      'a third-party invite',
      'm.room.member',
      CAROL,
      invite({ signed: { token: 't' } }),
      [POWER, RULES, of(BOB), of(CAROL), 'm.room.third_party_invite|t'],
    ],
    [
      'a malformed one',
      'm.room.member',
      CAROL,
      invite({ signed: { token: 1 } }),
      [POWER, RULES, of(BOB), of(CAROL)],
    ],
    ['a malformed one', 'm.room.member', CAROL, invite([]), [POWER, RULES, of(BOB), of(CAROL)]],
  ])('of %s', (_about, type, target, content, expected) => {
    expect(keys(type, target, content)).toEqual(expected.sort())
  })
})

describe('state maps', () => {
  it('keys never collide and split back', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), fc.string(), (a, b, c, d) => {
        expect(splitStateKey(stateKey(a, b))).toEqual([a, b])
        expect(stateKey(a, b) === stateKey(c, d)).toBe(a === c && b === d)
      }),
    )
    expect(stateKey('a1:', 'b')).not.toBe(stateKey('a', '1:b'))
  })

  it('are not changed in place', () => {
    const before: StateMap = new Map()
    const after = applyToState(before, NOWHERE, { type: 'x', state_key: '' })
    expect([before.size, after.size]).toEqual([0, 1])
    expect(applyToState(after, NOWHERE, { type: 'x', state_key: '' })).toBe(after)
  })
})

describe('properties', () => {
  it('decide gives the same answer twice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.nat(60), { minLength: 5, maxLength: 5 }), { maxLength: 15 }),
        (steps) => {
          const { room, made } = randomRoom(steps)
          for (const event of made) {
            const input = inputFor(room, event)
            expect(decide(input)).toEqual(decide(input))
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  it('neither decide nor checkAuth throws on any event that has the format', () => {
    const { room, base } = publicRoom()
    room.add(joinRule(ALICE, 'knock_restricted'))
    const known = [NOWHERE, ...room.all().map(({ id }) => id)]
    const membership = fc.record(
      {
        membership: fc.constantFrom('join', 'invite', 'leave', 'ban', 'knock', 'x'),
        third_party_invite: fc.oneof(fc.jsonValue(), fc.record({ signed: fc.jsonValue() })),
        join_authorised_via_users_server: fc.oneof(fc.constantFrom(ALICE, DAVE, 'x'), fc.jsonValue()),
      },
      { requiredKeys: [] },
    )
    const powers = fc.record(
      { users: fc.jsonValue(), events: fc.jsonValue(), ban: fc.jsonValue(), notifications: fc.jsonValue() },
      { requiredKeys: [] },
    )
    const event = fc.record(
      {
        type: fc.constantFrom(
          'm.room.member',
          'm.room.power_levels',
          'm.room.create',
          'm.room.redaction',
          '__proto__',
          'x',
        ),
        sender: fc.constantFrom(ALICE, BOB, DAVE, '@:x'),
        state_key: fc.constantFrom('', ALICE, BOB, DAVE, '@', 'constructor'),
        room_id: fc.constantFrom(room.roomId, '!old:room'),
        content: fc.oneof(membership, powers, fc.dictionary(fc.string(), fc.jsonValue())),
        prev_events: fc.uniqueArray(fc.constantFrom(...known), { maxLength: 4 }),
        auth_events: fc.array(fc.constantFrom(...known), { maxLength: 4 }),
        depth: fc.nat(),
        origin_server_ts: fc.integer(),
        hashes: fc.constant({ sha256: '' }),
        signatures: fc.constant({ a: { 'ed25519:1': 'x' } }),
      },
      {
        requiredKeys: [
          'type',
          'sender',
          'content',
          'prev_events',
          'auth_events',
          'depth',
          'origin_server_ts',
          'hashes',
          'signatures',
        ],
      },
    )
    const seen = new Set<string>()
    fc.assert(
      fc.property(event, (raw) => {
        const verdict = checkFormat(V12, JSON.parse(JSON.stringify(raw)) as JsonValue)
        if (verdict.kind === 'drop') return
        // As if the hash had matched, so that the content is what was generated.
        const made: Made = { id: verdict.eventId, pdu: raw as unknown as Pdu }
        seen.add(outcome(decide(inputFor(room, made))))
        const state = after(room, base)
        const auth = {
          create: room.create.pdu,
          get: (key: StateKey) => room.view.get(state.get(key) ?? NOWHERE)?.pdu,
        }
        seen.add(checkAuth(V12, made.pdu, auth)?.rule ?? 'allowed')
      }),
      { numRuns: 3000 },
    )
    expect(seen.size).toBeGreaterThan(12)
  })
})

import { describe, expect, it } from 'vitest'
import type { EventId } from '../ids.ts'
import type { JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import { splitStateKey, type StateKey } from '../state.ts'
import { altered, decideIn } from '../testing/decisions.ts'
import { ALICE, BOB, CAROL, publicRoom } from '../testing/random-room.ts'
import { createTestRoom, join, levels, member, message, requireVersion, type Made } from '../testing/rooms.ts'
import { redactionAllowed, redactionTarget } from './redaction.ts'

const V12 = requireVersion('12')

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
    const decision = decideIn(room, made)
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
      const decision = decideIn(room, room.build({ type: 'm.room.redaction', sender: BOB, content }))
      expect(decision).toMatchObject({ kind: 'accept', effects: [] })
    }
    expect(redactionTarget(V12, byBob.pdu)).toBeUndefined()
  })

  it('are what an event of their type says, and no other', () => {
    const said = room.build({ ...message(BOB, 'x'), content: { redacts: byAlice.id } })
    expect(redactionTarget(V12, said.pdu)).toBeUndefined()
  })

  it('not of or by the event that a room begins with', () => {
    const { pdu } = redaction(ALICE, room.create.id)
    const { room_id: _, ...nowhere } = pdu
    expect(redactionAllowed(V12, nowhere as Pdu, room.create.pdu, auth)).toBe(false)
  })

  it('that the rules of version 1 let pass may be of others', () => {
    const { room: old } = publicRoom(requireVersion('1'))
    const own = old.add(message(BOB, 'x'))
    const made = old.decide({ type: 'm.room.redaction', sender: BOB, redacts: own.id })
    expect(made.decision).toMatchObject({
      kind: 'accept',
      effects: [{ kind: 'redact', target: own.id, ofOthers: true }],
    })
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

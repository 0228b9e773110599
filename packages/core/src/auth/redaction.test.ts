import { describe, expect, it } from 'vitest'
import type { EventId } from '../ids.ts'
import type { JsonObject } from '../json.ts'
import { decideIn } from '../testing/decisions.ts'
import { ALICE, BOB, CAROL, publicRoom } from '../testing/random-room.ts'
import { createTestRoom, levels, member, message, requireVersion, type Made } from '../testing/rooms.ts'
import { redactionTarget } from './redaction.ts'

const V12 = requireVersion('12')

describe('redactions', () => {
  const { room } = publicRoom()
  room.add(levels(ALICE, { users: { [CAROL]: 50 } }))
  const byBob = room.add(message(BOB, 'secret'))
  const byAlice = room.add(message(ALICE, 'plan'))
  const redaction = (sender: string, target: EventId): Made =>
    room.build({ type: 'm.room.redaction', sender, redacts: target })
  it.each([
    ['own event', BOB, byBob, false],
    ['of another server, without the level', BOB, byAlice, false],
    ['of another server, with the level', CAROL, byAlice, true],
    ['by a creator', ALICE, byBob, true],
  ] as const)('%s', (_about, sender, target, ofOthers) => {
    const made = redaction(sender, target.id)
    expect(made.pdu.content).toEqual({ redacts: target.id })
    const decision = decideIn(room, made)
    expect(decision).toMatchObject({
      kind: 'accept',
      effects: [{ kind: 'redact', target: target.id, ofOthers }],
    })
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

  it('that the rules of version 1 let pass may be of others', () => {
    const { room: old } = publicRoom(requireVersion('1'))
    old.add(levels(ALICE, { users: { [ALICE]: 100 } }))
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

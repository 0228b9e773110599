import { describe, expect, it } from 'vitest'
import type { EventId } from '../ids.ts'
import type { KnownEvent } from '../pdu.ts'
import { ALICE, BOB, publicRoom } from '../testing/random-room.ts'
import { createTestRoom, join, levels, requireVersion, topic } from '../testing/rooms.ts'
import { createLookup, type Lookup } from './graph.ts'
import { sortByMainline, sortByPower } from './order.ts'

const V12 = requireVersion('12')

describe('the reverse topological power ordering', () => {
  it('gives a create event the level of its sender, above all', () => {
    const { room } = publicRoom()
    const byBob = room.add({ ...topic(BOB, 'x'), ts: 1 })
    const lookup = createLookup(room.view)
    const events = [byBob.id, room.create.id].flatMap((id) => lookup.get(id) ?? [])
    expect(sortByPower(V12, events, lookup).map(({ id }) => id)).toEqual([room.create.id, byBob.id])
  })
})

describe('the mainline ordering', () => {
  /** Power levels by name, each with the one that it follows and its generation. */
  function history(
    follows: Readonly<Record<string, readonly [after: string | undefined, generation: number]>>,
  ) {
    const room = createTestRoom()
    room.add(join(ALICE))
    const base = room.build(levels(ALICE, {}))
    const made = new Map<string, KnownEvent>()
    const known = (name: string): KnownEvent => {
      const event = made.get(name)
      if (event === undefined) throw new Error(name)
      return event
    }
    const lookup: Pick<Lookup, 'parents' | 'generation'> = {
      parents: ({ id }) => {
        const [after] = follows[id.slice(1)] ?? []
        return after === undefined ? [] : [known(after)]
      },
      generation: ({ id }) => follows[id.slice(1)]?.[1] ?? 0,
    }
    for (const [index, name] of Object.keys(follows).entries()) {
      const template = name.startsWith('E') ? topic(ALICE, name) : levels(ALICE, {})
      const { pdu } = room.build({ ...template, ts: index })
      made.set(name, { id: `$${name}` as EventId, pdu, verdict: 'accepted' })
    }
    expect(base.pdu.state_key).toBe('')
    return {
      sorted: (top: string, ...events: readonly string[]): readonly string[] =>
        sortByMainline(known(top), events.map(known), lookup as Lookup).map(({ id }) => id.slice(1)),
    }
  }

  it('finds the place of levels beside the mainline by what they follow, for each that stands on them', () => {
    const { sorted } = history({
      P0: [undefined, 2],
      P1: ['P0', 3],
      P2: ['P1', 4],
      S1: ['P1', 4],
      S2: ['S1', 5],
      E0: ['P0', 6],
      E1: ['S2', 6],
      E2: ['S2', 6],
      E3: ['P1', 6],
      E4: ['P2', 6],
    })
    // The oldest levels first; those of one place by their time.
    expect(sorted('P2', 'E4', 'E3', 'E2', 'E1', 'E0')).toEqual(['E0', 'E1', 'E2', 'E3', 'E4'])
    expect(sorted('P2', 'E0', 'E1', 'E2', 'E3', 'E4')).toEqual(['E0', 'E1', 'E2', 'E3', 'E4'])
  })

  it('goes on where the mainline does, however far apart its generations are', () => {
    const { sorted } = history({
      P1: [undefined, 2],
      P2: ['P1', 10],
      S1: ['P1', 3],
      E1: ['P1', 4],
      E2: ['S1', 4],
      E3: ['P2', 11],
    })
    expect(sorted('P2', 'E3', 'E2', 'E1')).toEqual(['E1', 'E2', 'E3'])
  })

  it('puts what stands on no levels of the mainline first', () => {
    const { sorted } = history({
      P0: [undefined, 2],
      S0: [undefined, 2],
      E1: ['P0', 3],
      E2: ['S0', 3],
    })
    expect(sorted('P0', 'E1', 'E2')).toEqual(['E2', 'E1'])
  })
})

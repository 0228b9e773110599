import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventId } from '../ids.ts'
import { differingKeys } from '../layered-state.ts'
import { authEventIds, type EventView } from '../pdu.ts'
import { stateKey, type StateMap } from '../state.ts'
import { ALICE, BOB, CAROL, publicRoom, randomRoom } from '../testing/random-room.ts'
import { levels, requireVersion, topic, type Made, type TestRoom } from '../testing/rooms.ts'
import { conflictedSet, fullConflictedSet } from './conflict.ts'
import { createLookup } from './graph.ts'

/** Random rooms take a while on a busy machine. */
const PROPERTY_MS = 60_000

const V12 = requireVersion('12')

/** The full conflicted set by the letter of its definition, each event's chain walked on its own. */
function byDefinition(sets: readonly StateMap[], view: EventView): Set<EventId> {
  const parents = (id: EventId): readonly EventId[] => {
    const event = view.get(id)
    return event === undefined ? [] : authEventIds(event.pdu)
  }
  const chains = new Map<EventId, Set<EventId>>()
  function chainOf(id: EventId): Set<EventId> {
    const known = chains.get(id)
    if (known !== undefined) return known
    const chain = new Set(parents(id).flatMap((parent) => [parent, ...chainOf(parent)]))
    chains.set(id, chain)
    return chain
  }
  const keys = new Set(sets.flatMap((set) => [...set.keys()]))
  const conflicted = new Set<EventId>()
  for (const key of keys) {
    const values = new Set(sets.map((set) => set.get(key)))
    if (values.size > 1) for (const id of values) if (id !== undefined) conflicted.add(id)
  }
  const full = new Set(conflicted)
  const fullChains = sets.map((set) => new Set([...set.values()].flatMap((id) => [id, ...chainOf(id)])))
  for (const id of new Set(fullChains.flatMap((chain) => [...chain]))) {
    const inDifference = !fullChains.every((chain) => chain.has(id))
    const below = [...conflicted].some((end) => chainOf(end).has(id))
    const above = [...chainOf(id)].some((ancestor) => conflicted.has(ancestor))
    if (inDifference || (below && above)) full.add(id)
  }
  return full
}

function computed(sets: readonly StateMap[], view: EventView): ReadonlySet<EventId> {
  return fullConflictedSet(V12, sets, differingKeys(sets), createLookup(view))
}

const after = (room: TestRoom, made: Made): StateMap => room.stateAfter(made.id) ?? new Map<never, never>()

describe('the full conflicted set', () => {
  it(
    'is what its definition says, for states that follow from the graph and for claims that do not',
    () => {
      let beyondConflict = 0
      const step = fc.array(fc.nat(60), { minLength: 5, maxLength: 5 })
      fc.assert(
        fc.property(
          fc.array(step, { minLength: 8, maxLength: 30 }),
          fc.array(fc.nat(), { maxLength: 3 }),
          (steps, claims) => {
            const { room, made } = randomRoom(steps)
            const sets = made.slice(-3).map((event) => new Map(after(room, event)))
            for (const claim of claims) {
              // One set claims an older event for the place of that event.
              const claimed = made[claim % made.length]
              if (claimed?.pdu.state_key !== undefined && room.view.get(claimed.id)?.verdict === 'accepted') {
                sets[claim % sets.length]?.set(stateKey(claimed.pdu.type, claimed.pdu.state_key), claimed.id)
              }
            }
            const full = computed(sets, room.view)
            expect([...full].sort()).toEqual([...byDefinition(sets, room.view)].sort())
            if (full.size > conflictedSet(sets, differingKeys(sets)).size) beyondConflict += 1
          },
        ),
        { numRuns: 250 },
      )
      expect(beyondConflict).toBeGreaterThan(20)
    },
    PROPERTY_MS,
  )

  it('leaves out what an unconflicted event has in its chain', () => {
    const { room, base } = publicRoom()
    const old = room.add({ ...topic(BOB, 'b'), prev: [base] })
    const promotion = room.add({ ...levels(ALICE, { users: { [BOB]: 50, [CAROL]: 50 } }), prev: [old] })
    const fresh = room.add({ ...topic(CAROL, 'c'), prev: [promotion] })
    const end = room.add({ ...levels(ALICE, { users: { [BOB]: 50 } }), prev: [fresh] })
    // The topics differ. The promotion is in the chain of one of them, and in that of the newest levels.
    const right = after(room, end)
    const wrong = new Map(right).set(stateKey('m.room.topic', ''), old.id)
    expect([...computed([wrong, right], room.view)].sort()).toEqual([old.id, fresh.id].sort())
    // Without the newest levels in both sets the promotion is in the difference.
    const levelsKey = stateKey('m.room.power_levels', '')
    const baseLevels = after(room, base).get(levelsKey) ?? base.id
    const oldLevels = [wrong, right].map((set) => new Map(set).set(levelsKey, baseLevels))
    expect([...computed(oldLevels, room.view)].sort()).toEqual([old.id, promotion.id, fresh.id].sort())
  })

  it('counts the events of a state as part of its chain', () => {
    const { room, base } = publicRoom()
    const raised = room.add({ ...levels(ALICE, { state_default: 0 }), prev: [base] })
    const left = room.add({ ...topic(BOB, 'b'), prev: [raised] })
    const right = room.add({ ...topic(CAROL, 'c'), prev: [raised] })
    // Bob's join is in the chain of one topic only, but in both states.
    const full = computed([after(room, left), after(room, right)], room.view)
    expect([...full].sort()).toEqual([left.id, right.id].sort())
  })
})

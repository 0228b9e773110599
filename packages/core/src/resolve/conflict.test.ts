import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventId } from '../ids.ts'
import { differingKeys } from '../layered-state.ts'
import { authEventIds, type AuthView } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { stateKey, type StateMap } from '../state.ts'
import { createLoading, type Loading } from '../testing/loading.ts'
import { ALICE, BOB, CAROL, publicRoom, randomRoom } from '../testing/random-room.ts'
import { join, joinRule, levels, requireVersion, topic, type Made, type TestRoom } from '../testing/rooms.ts'
import { conflictedSet, fullConflictedSet } from './conflict.ts'
import { createLookup } from './graph.ts'

/** Random rooms take a while on a busy machine. */
const PROPERTY_MS = 60_000

const V12 = requireVersion('12')

/** As version 12, without the conflicted subgraph. */
const V11 = requireVersion('11')

/** The full conflicted set by the letter of its definition, each event's chain walked on its own. */
function byDefinition(version: RoomVersion, sets: readonly StateMap[], view: AuthView): Set<EventId> {
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
    const { conflictedSubgraph } = version.stateResolution
    const below = [...conflicted].some((end) => chainOf(end).has(id))
    const above = [...chainOf(id)].some((ancestor) => conflicted.has(ancestor))
    if (inDifference || (conflictedSubgraph && below && above)) full.add(id)
  }
  return full
}

function computed(sets: readonly StateMap[], view: AuthView, version = V12): ReadonlySet<EventId> {
  const lookup = createLookup(view)
  const full = fullConflictedSet(version, sets, differingKeys(sets), lookup)
  if (lookup.missing() !== undefined) throw new Error('something is missing')
  return full
}

/** The same by a view that gets what is asked for. */
function loaded(
  sets: readonly StateMap[],
  view: AuthView,
  version = V12,
): { readonly full: ReadonlySet<EventId>; readonly loading: Loading; readonly rounds: number } {
  const loading = createLoading(view)
  for (let rounds = 0; ; rounds += 1) {
    const lookup = createLookup(loading.view)
    const full = fullConflictedSet(version, sets, differingKeys(sets), lookup)
    const missing = lookup.missing()
    if (missing === undefined) return { full, loading, rounds }
    loading.load(missing)
  }
}

const after = (room: TestRoom, made: Made): StateMap => room.stateAfter(made.id) ?? new Map<never, never>()

/** A room that had many power levels, in which many users joined under the newest. Forks start at its end. */
function oldRoom(members: number, changes: number): { readonly room: TestRoom; readonly base: Made } {
  const { room } = publicRoom()
  let base = room.add(levels(ALICE, { users: { [BOB]: 100 } }))
  for (let n = 0; n < changes; n += 1) {
    base = room.add(levels(ALICE, { users: { [BOB]: 100 }, ban: n % 50 }))
    if (n % 10 === 0) base = room.add(joinRule(ALICE, 'public'))
  }
  for (let n = 0; n < members; n += 1) base = room.add(join(`@user${n}:d`))
  return { room, base }
}

describe('the cost of the full conflicted set', () => {
  /** Power levels on both sides, twice on one of them. What the first of these authorised must be looked for. */
  const costOf = (members: number, changes: number): { readonly events: number; readonly rounds: number } => {
    const { room, base } = oldRoom(members, changes)
    const first = room.add({ ...levels(ALICE, { users: { [BOB]: 100 }, kick: 1 }), prev: [base] })
    const between = room.add({ ...join('@carl:e'), prev: [first] })
    const left = room.add({ ...levels(ALICE, { users: { [BOB]: 100 }, kick: 2 }), prev: [between] })
    const right = room.add({ ...levels(BOB, { users: { [BOB]: 100 }, kick: 3 }), prev: [base] })
    const sets = [after(room, left), after(room, right)]
    const { full, loading, rounds } = loaded(sets, room.view)
    expect(full).toEqual(byDefinition(V12, sets, room.view))
    expect(full).toContain(first.id)
    return { events: loading.loaded.size, rounds }
  }

  it('is the same in a room of any size and age', () => {
    const small = costOf(5, 30)
    const large = costOf(500, 300)
    expect(large).toEqual(small)
    expect(large.rounds).toBeLessThanOrEqual(4)
  })

  it('is little where something old was authorised by many', () => {
    const { room, base } = oldRoom(300, 1)
    const rule = room.add({ ...joinRule(ALICE, 'invite'), prev: [base] })
    // It names the old join rules, which are in no state any more.
    const late = room.add({ ...join('@late:e'), prev: [base] })
    const sets = [
      after(room, rule),
      new Map(after(room, rule)).set(stateKey('m.room.member', '@late:e'), late.id),
    ]
    const { full, loading } = loaded(sets, room.view)
    expect(full).toEqual(byDefinition(V12, sets, room.view))
    expect(loading.loaded.size).toBeLessThan(20)
  })
})

describe('the full conflicted set', () => {
  it(
    'is what its definition says, for states that follow from the graph and for claims that do not',
    () => {
      let cases = 0
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
            cases += 1
            const full = computed(sets, room.view)
            expect([...full].sort()).toEqual([...byDefinition(V12, sets, room.view)].sort())
            expect([...computed(sets, room.view, V11)].sort()).toEqual(
              [...byDefinition(V11, sets, room.view)].sort(),
            )
            for (const version of [V11, V12]) {
              const { full: same, rounds } = loaded(sets, room.view, version)
              expect(same).toEqual(computed(sets, room.view, version))
              expect(rounds).toBeLessThan(8)
            }
            if (full.size > conflictedSet(sets, differingKeys(sets)).size) beyondConflict += 1
          },
        ),
        { numRuns: 1_000 },
      )
      expect(beyondConflict / cases).toBeGreaterThan(0.02)
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

  it('leaves out what an unconflicted event has far down in its chain', () => {
    const { room, base } = publicRoom()
    const topics: Made[] = []
    let tip = base
    for (let n = 0; n < 5; n += 1) {
      tip = room.add({ ...levels(ALICE, { users: { [BOB]: 50 }, ban: n }), prev: [tip] })
      if (n < 3) topics.push(room.add({ ...topic(BOB, `t${n}`), prev: [tip] }))
    }
    // Each topic stands on older levels than the next, and all states have the newest.
    const state = after(room, room.add({ ...levels(ALICE, { users: { [BOB]: 50 } }), prev: [tip] }))
    const sets = topics.map(({ id }) => new Map(state).set(stateKey('m.room.topic', ''), id))
    for (const version of [V11, V12])
      expect([...computed(sets, room.view, version)].sort()).toEqual(topics.map(({ id }) => id).sort())
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

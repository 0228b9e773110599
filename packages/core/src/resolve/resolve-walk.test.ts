/** What a resolution asks for, how far it looks, and what that costs. */
import { describe, expect, it } from 'vitest'
import type { EventId } from '../ids.ts'
import type { AuthView } from '../pdu.ts'
import { stateKey } from '../state.ts'
import { after, idAt } from '../testing/decisions.ts'
import { createLoading } from '../testing/loading.ts'
import { ALICE, BOB, publicRoom } from '../testing/random-room.ts'
import { V12, merge, resolved } from '../testing/resolutions.ts'
import { createTestRoom, join, levels, member, requireVersion, stateText, topic } from '../testing/rooms.ts'
import { resolve } from './resolve.ts'

describe('need', () => {
  it('names what is missing, and a resolution follows within a round for each step of the chain', () => {
    const { room, base } = publicRoom()
    const left = room.add({ ...member(ALICE, BOB, 'ban'), prev: [base] })
    const right = room.add({ ...topic(BOB, 'x'), prev: [base] })
    const sets = [after(room, left), after(room, right)]
    const loading = createLoading(room.view)
    const first = resolve(V12, sets, loading.view)
    const bobsJoin = after(room, base).get(stateKey('m.room.member', BOB)) ?? base.id
    const conflicted = [left.id, right.id, bobsJoin].sort()
    expect(first).toEqual({ kind: 'need', events: conflicted, floor: Infinity, children: [] })
    let rounds = 0
    let resolution = first
    for (; resolution.kind === 'need'; rounds += 1) {
      expect(resolution.events.some((id) => loading.loaded.has(id))).toBe(false)
      expect(resolution.events.length + resolution.children.length).toBeGreaterThan(0)
      loading.load(resolution)
      resolution = resolve(V12, sets, loading.view)
    }
    expect(rounds).toBeLessThan(10)
    expect(stateText(resolution.state)).toEqual(stateText(resolved(sets, room.view)))
  })

  it('names what only the agreed state has', () => {
    const version = requireVersion('11')
    const room = createTestRoom({ version })
    const base = room.add(join(ALICE))
    const topics = ['a', 'b'].map((text) => room.add({ ...topic(ALICE, text), prev: [base] }))
    const power = room.add(levels(ALICE, { users: { [ALICE]: 100 } }))
    const state = after(room, power)
    const sets = topics.map(({ id }) => new Map(state).set(stateKey('m.room.topic', ''), id))
    const view = { ...room.view, get: (id: EventId) => (id === power.id ? undefined : room.view.get(id)) }
    expect(resolve(version, sets, view)).toMatchObject({ kind: 'need', events: [power.id] })
  })
})

describe('the cost of a resolution', () => {
  /** Events looked up for a fork at the end of a history of so many power levels, and what the fork came to. */
  const costOf = (history: number): number => {
    const { room } = publicRoom()
    for (let n = 0; n < history; n += 1) room.add(levels(ALICE, { users: { [BOB]: 50 }, ban: 50 + (n % 40) }))
    const fork = room.add(levels(ALICE, { users: { [BOB]: 50 }, ban: 100 }))
    // Power levels beside the mainline, and topics on them.
    let aside = room.add({ ...levels(ALICE, { users: { [BOB]: 50 }, kick: 1 }), prev: [fork] })
    for (let n = 0; n < 20; n += 1)
      aside = room.add({ ...levels(ALICE, { users: { [BOB]: 50 }, kick: 2 + n }), prev: [aside] })
    const left = room.add({ ...topic(BOB, 'left'), prev: [aside] })
    const right = room.add({ ...topic(BOB, 'right'), prev: [fork] })
    let looked = 0
    const counting: AuthView = {
      ...room.view,
      get: (id) => {
        looked += 1
        return room.view.get(id)
      },
    }
    const state = resolved([after(room, left), after(room, right)], counting)
    expect(idAt(state, 'm.room.topic')).toBe(left.id)
    return looked
  }

  it('is that of the fork, however long the history of the power levels is', () => {
    expect(costOf(300)).toBe(costOf(30))
  })
})

describe('the part of the auth chains that is asked for', () => {
  it('reaches further down the more was walked', () => {
    const { room } = publicRoom()
    let tip = room.add(levels(ALICE, { users: { [BOB]: 50 }, ban: 0 }))
    for (let n = 1; n <= 60; n += 1) tip = room.add(levels(ALICE, { users: { [BOB]: 50 }, ban: n % 50 }))
    const left = room.add({ ...levels(ALICE, { users: { [BOB]: 50 }, kick: 1 }), prev: [tip] })
    const right = room.add({ ...topic(BOB, 'x'), prev: [room.all()[10] ?? tip] })
    const sets = [after(room, left), after(room, right)]
    const loading = createLoading(room.view)
    const floors: number[] = []
    for (let resolution = resolve(V12, sets, loading.view); resolution.kind === 'need';) {
      floors.push(resolution.floor)
      loading.load(resolution)
      resolution = resolve(V12, sets, loading.view)
    }
    // The topic, and the power levels that it stands on.
    const low = room.view.generation(right.id) - 1
    const high = room.view.generation(left.id)
    // The conflicted events alone; eight generations below the lowest, and four for each that was walked; the rest.
    expect(floors).toEqual([Infinity, low - 8 - 4 * (high - low), Infinity])
  })
})

describe('bounds', () => {
  it('walks a chain of 5,000 power levels without recursion', () => {
    const { room } = publicRoom()
    let tip = room.add(levels(ALICE, { users: { [BOB]: 50 }, ban: 0 }))
    const fork = tip
    for (let i = 1; i <= 5000; i += 1) {
      tip = room.add({ ...levels(ALICE, { users: { [BOB]: 50 }, ban: i % 50 }), prev: [tip] })
    }
    const other = room.add({ ...topic(BOB, 'x'), prev: [fork] })
    const state = merge(room, tip, other)
    expect(idAt(state, 'm.room.power_levels')).toBe(tip.id)
    expect(idAt(state, 'm.room.topic')).toBe(other.id)
  }, 30_000)
})

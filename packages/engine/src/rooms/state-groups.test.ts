import type { EventId, StateKey, StateMap } from '@plexus/core'
import { changeState, stateKey } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { Store, Write } from '../ports.ts'
import { createStateGroups, MAX_STATE_CHAIN, MAX_STATE_PATH, type StateGroup } from './state-groups.ts'

type Row = { readonly prev?: string; readonly chain: number; readonly changes: object }

/** As much of a store as groups need. */
function rowStore(): {
  readonly store: Store
  readonly write: (writes: readonly Write[]) => void
  readonly rows: () => Row[]
} {
  const rows = new Map<string, string>()
  const store: Pick<Store, 'get'> = { get: async (_map, key) => rows.get(key) }
  return {
    store: store as Store,
    write(writes) {
      for (const { key, value } of writes) if (value !== undefined) rows.set(key, value)
    },
    rows: () => [...rows.values()].map((text) => JSON.parse(text) as Row),
  }
}

const key = (n: number): StateKey => stateKey('t', String(n))
const id = (n: number): EventId => `$${n}` as EventId
const sorted = (state: StateMap): string[] => Array.from(state, (entry) => entry.join(' ')).sort()

const MEMBERS = 300
const COUNT = 5_000
const SEVENTH = 7

/** A line of states, each with one change, every seventh of them an end. */
function line(): ReturnType<typeof rowStore> & { readonly states: StateMap[] } {
  const disk = rowStore()
  const groups = createStateGroups(disk.store)
  const states: StateMap[] = []
  let state: StateMap = new Map(Array.from({ length: MEMBERS }, (_, n) => [key(n), id(n)]))
  let group: StateGroup | undefined
  for (let n = 0; n < COUNT; n += 1) {
    const place = key((n * 37) % MEMBERS)
    if (n > 0) state = changeState(state, new Map([[place, n % SEVENTH === 0 ? undefined : id(-n)]]))
    const made = groups.create(`g${n}`, state, group)
    disk.write(made.writes)
    group = made.group
    states.push(state)
  }
  return { ...disk, states }
}

describe('states of a long line', () => {
  const { store, rows, states } = line()

  it('are read as they were, from the store alone or on what was read before', async () => {
    const groups = createStateGroups(store)
    for (let n = COUNT - 1; n >= 0; n -= 97) {
      const fresh = await createStateGroups(store).load(`g${n}`)
      const found = await groups.load(`g${n}`)
      expect(fresh.chain).toBe(n)
      expect(sorted(fresh.state)).toEqual(sorted(states[n] ?? new Map()))
      expect(sorted(found.state)).toEqual(sorted(fresh.state))
      expect(found.anchors.map((anchor) => anchor.id)).toEqual(fresh.anchors.map((anchor) => anchor.id))
    }
  })

  it('are few records apart from one that is whole', () => {
    let longest = 0
    const paths = new Map<string, number>()
    rows().forEach(({ prev }, n) => {
      const path = prev === undefined ? 0 : (paths.get(prev) ?? Infinity) + 1
      paths.set(`g${n}`, path)
      longest = Math.max(longest, path)
    })
    expect(longest).toBeGreaterThan(100)
    expect(longest).toBeLessThanOrEqual(MAX_STATE_PATH)
  })

  it('write about what they change, and one of them whole', () => {
    const sizes = rows().map(({ changes }) => Object.keys(changes).length)
    expect(rows().filter(({ prev }) => prev === undefined)).toHaveLength(1)
    expect(sizes[0]).toBe(MEMBERS)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(3 * COUNT)
  })

  it('go on after they were read', async () => {
    const groups = createStateGroups(store)
    const base = await groups.load(`g${COUNT - 1}`)
    const { writes } = groups.create('next', states[0] ?? new Map(), base)
    const disk = rowStore()
    disk.write(writes)
    expect(disk.rows()[0]).toMatchObject({ prev: `g${COUNT - 1}`, chain: COUNT })
  })

  it('begin anew before the way becomes too long', () => {
    const groups = createStateGroups(store)
    const state: StateMap = new Map([[key(1), id(1)]])
    const base: StateGroup = { id: 'last', state, chain: MAX_STATE_CHAIN - 1, anchors: [] }
    const { group, writes } = groups.create('first', state, base)
    const disk = rowStore()
    disk.write(writes)
    expect(disk.rows()).toEqual([{ chain: 0, changes: { [key(1)]: id(1) } }])
    expect(group.anchors.map((anchor) => anchor.id)).toEqual(['first', 'first'])
  })
})

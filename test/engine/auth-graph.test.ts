/** What is kept of how events authorise each other: what a fork reads of it, and how old data gets it. */
import type { RoomId } from '@plexus/core'
import { MIGRATIONS, type NewEvent } from '@plexus/engine'
import type { Store } from '@plexus/engine/ports'
import { createMemoryDisk, openMemoryStore, type MemoryDisk } from '@plexus/store/memory'
import { describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bringIn, createRoom, setTopic, stateText } from './rooms-kit.ts'

const ALL = ['', '\u00ff'] as const

const levels = (node: BareNode, roomId: RoomId, kick: number): Promise<unknown> =>
  node.rooms.send(roomId, {
    type: 'm.room.power_levels',
    stateKey: '',
    sender: node.user,
    content: { users: {}, state_default: 0, kick },
  })

const joinRule = (node: BareNode, roomId: RoomId, rule: string): Promise<unknown> =>
  node.rooms.send(roomId, {
    type: 'm.room.join_rules',
    stateKey: '',
    sender: node.user,
    content: { join_rule: rule },
  })

const invite = (node: BareNode, guest: string): NewEvent => ({
  type: 'm.room.member',
  stateKey: guest,
  sender: node.user,
  content: { membership: 'invite' },
})

/** As `inner`, noting which maps were read, and how many keys of each. */
function counting(inner: Store): { readonly store: Store; readonly reads: Map<string, number> } {
  const reads = new Map<string, number>()
  const note = (map: string, keys: number): void => void reads.set(map, (reads.get(map) ?? 0) + keys)
  const store: Store = {
    ...inner,
    get: (map, key) => (note(map, 1), inner.get(map, key)),
    getMany: (map, keys) => (note(map, keys.length), inner.getMany(map, keys)),
    range: (map, lo, hi, options) => (note(map, 1), inner.range(map, lo, hi, options)),
  }
  return { store, reads }
}

type Forked = {
  readonly network: BareNetwork
  readonly alice: BareNode
  readonly bob: BareNode
  readonly roomId: RoomId
  readonly disk: MemoryDisk
}

/** A room of two nodes with a long history of power levels, then separated, in which both changed things since. */
async function forkedRoom(history: number): Promise<Forked> {
  const network = createBareNetwork()
  const disk = createMemoryDisk()
  const alice = await network.add('alice', await openMemoryStore(disk))
  const bob = await network.add('bob')
  const roomId = await createRoom(alice)
  for (let n = 0; n < history; n += 1) await levels(alice, roomId, n % 50)
  // The rule that the room began with would stand before the history.
  for (const rule of ['public', 'invite']) await joinRule(alice, roomId, rule)
  await bringIn(network, alice, bob, roomId)
  network.offline.add(alice.name)
  network.offline.add(bob.name)
  // The invite is by join rules that no state has any more: what they authorised must be looked for.
  await joinRule(alice, roomId, 'knock')
  await alice.rooms.send(roomId, invite(alice, `@guest:${alice.name}`))
  await joinRule(alice, roomId, 'invite')
  for (const text of ['first', 'second']) await setTopic(bob, roomId, text)
  await network.settle()
  return { network, alice, bob, roomId, disk }
}

async function heal({ network, alice, bob }: Forked): Promise<void> {
  network.offline.clear()
  for (const [node, peer] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    node.outbox.outbox.kick([peer.name], true)
  }
  await network.settle()
}

describe('a fork', () => {
  /** Keys that Alice reads when she has started anew and hears of Bob's side. */
  async function readsOfFork(history: number): Promise<ReadonlyMap<string, number>> {
    const room = await forkedRoom(history)
    const { network, bob, roomId, disk } = room
    network.nodes.delete(room.alice.name)
    const { store, reads } = counting(await openMemoryStore(disk))
    const alice = await network.add('alice', { store, seed: 1 })
    await alice.rooms.snapshot(roomId)
    reads.clear()
    await heal({ ...room, alice })
    expect(await stateText(alice, roomId)).toBe(await stateText(bob, roomId))
    expect((await alice.rooms.snapshot(roomId))?.heads).toHaveLength(2)
    return reads
  }

  it('reads of the auth graph what lies between its sides, however old the room is', async () => {
    const young = await readsOfFork(20)
    const old = await readsOfFork(80)
    expect(young.get('auth-child') ?? 0).toBeGreaterThan(0)
    for (const map of ['auth-child', 'event']) expect(old.get(map)).toBe(young.get(map))
  })
})

describe('the migration', () => {
  it('gives old data what new data has', async () => {
    const room = await forkedRoom(5)
    await heal(room)
    const { disk } = room
    const store = await openMemoryStore(disk)
    const children = await store.range('auth-child', ...ALL)
    const events = await store.range('event', ...ALL)
    expect(children.length).toBeGreaterThan(20)
    const old = events.map(([key, value]) => {
      const { generation: _, ...record } = JSON.parse(value) as { generation: number }
      return { map: 'event', key, value: JSON.stringify(record) }
    })
    await store.commit(
      [...old, ...children.map(([key]) => ({ map: 'auth-child', key, value: undefined }))],
      'strict',
    )
    const migrated = await openMemoryStore(disk, { migrations: MIGRATIONS })
    expect(await migrated.range('auth-child', ...ALL)).toEqual(children)
    const parsed = (rows: readonly (readonly [string, string])[]): unknown[] =>
      rows.map(([key, value]) => [key, JSON.parse(value)])
    expect(parsed(await migrated.range('event', ...ALL))).toEqual(parsed(events))
  })
})

/** What the steady state costs in reads of the store: with IndexedDB each is about a millisecond. */
import type { Pdu, RoomId } from '@plexus/core'
import type { Store } from '@plexus/engine/ports'
import { createMemoryStore } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, say } from './rooms-kit.ts'

async function countingStore(): Promise<{ store: Store; reads: string[]; commits: number[] }> {
  const inner = await createMemoryStore()
  const reads: string[] = []
  const commits: number[] = []
  const store: Store = {
    ...inner,
    get: (map, key) => (reads.push(map), inner.get(map, key)),
    getMany: (map, keys) => (reads.push(map), inner.getMany(map, keys)),
    range: (map, lo, hi, options) => (reads.push(map), inner.range(map, lo, hi, options)),
    commit: (writes, durability) => (commits.push(writes.length), inner.commit(writes, durability)),
  }
  return { store, reads, commits }
}

describe('in a room that is in memory', () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let roomId: RoomId
  let reads: string[]
  let commits: number[]

  beforeEach(async () => {
    network = createBareNetwork()
    const counting = await countingStore()
    ;({ reads, commits } = counting)
    alice = await network.add('alice')
    bob = await network.add('bob', counting.store)
    roomId = await createRoom(alice)
    await bringIn(network, alice, bob, roomId)
    for (const node of [alice, bob]) {
      await say(node, roomId, 'warm')
      await network.settle()
    }
  })

  it('fifty events of another server cost one read, and few commits', async () => {
    network.offline.add(bob.name)
    const ids = []
    for (let index = 0; index < 100; index += 1) ids.push(await say(alice, roomId, String(index)))
    const pdus = (await alice.rooms.events(ids)).map((record) => record?.pdu as Pdu)
    for (const part of [pdus.slice(0, 50), pdus.slice(50)]) {
      reads.length = 0
      commits.length = 0
      await bob.inbound.transaction({ origin: alice.name, pdus: part, edus: [] })
      await bob.staging.idle()
      expect(reads).toEqual(['event'])
      expect(commits.length).toBeLessThanOrEqual(4)
    }
    expect(await bodies(bob, roomId)).toHaveLength(102)
  })

  it('an own event costs no read, nor does its way to another server', async () => {
    reads.length = 0
    network.offline.add(bob.name)
    await say(bob, roomId, 'cold')
    expect(reads.filter((map) => map !== 'sent')).toEqual([])
    await network.settle()
    network.offline.delete(bob.name)
    reads.length = 0
    bob.outbox.outbox.kick([alice.name], true)
    await network.settle()
    expect(reads).toEqual([])
    expect(await bodies(alice, roomId)).toContain('cold')
  })

  it('a client transaction costs one more', async () => {
    reads.length = 0
    await bob.rooms.send(roomId, {
      type: 'm.room.message',
      sender: bob.user,
      content: {},
      transaction: { deviceId: 'D', id: 't' },
    })
    expect(reads.filter((map) => map !== 'sent' && map !== 'event')).toEqual(['txn'])
  })
})

/** A room of three servers of which Mallory's may be hostile, and events of hers that nobody can place. */
import type { Pdu, RoomId } from '@plexus/core'
import type { Store } from '@plexus/engine/ports'
import { createMemoryStore } from '@plexus/store/memory'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bringIn, createRoom, make, nowhere } from './rooms-kit.ts'

export type StagingWorld = {
  readonly network: BareNetwork
  readonly alice: BareNode
  readonly bob: BareNode
  readonly mallory: BareNode
  /** A room of Alice's that all are in. */
  readonly roomId: RoomId
  /** Bob's, whose methods may be replaced. */
  readonly bobStore: Store
  /** What was read of Bob's store, `<method> <map>`. */
  readonly reads: string[]
  /** Events of Mallory's, each after another one that nobody has: those of the numbers from `from` on. */
  readonly stray: (
    count: number,
    from?: number,
    more?: { readonly roomId?: RoomId; readonly body?: string },
  ) => Promise<readonly Pdu[]>
}

export async function createStagingWorld(): Promise<StagingWorld> {
  const network = createBareNetwork()
  const store = await createMemoryStore()
  const reads: string[] = []
  const bobStore: Store = {
    ...store,
    get: (map, key) => (reads.push(`get ${map}`), store.get(map, key)),
    getMany: (map, keys) => (reads.push(`getMany ${map} ${keys.length}`), store.getMany(map, keys)),
    range: (map, lo, hi, options) => (reads.push(`range ${map}`), store.range(map, lo, hi, options)),
  }
  const alice = await network.add('alice')
  const bob = await network.add('bob', bobStore)
  const mallory = await network.add('mallory')
  const roomId = await createRoom(alice)
  await bringIn(network, alice, bob, roomId)
  await bringIn(network, alice, mallory, roomId)
  return {
    network,
    alice,
    bob,
    mallory,
    roomId,
    bobStore,
    reads,
    stray: (count, from = 0, more = {}) =>
      Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const prev = [nowhere(from + index)]
          const body = more.body ?? `stray ${from + index}`
          return (await make(mallory, alice, more.roomId ?? roomId, { prev, body })).pdu
        }),
      ),
  }
}

export const never = <T>(): Promise<T> => new Promise<T>(() => undefined)

export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

export async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000
  while (!(await done())) {
    if (performance.now() > end) throw new Error('what was waited for did not come')
    await turns(1)
  }
}

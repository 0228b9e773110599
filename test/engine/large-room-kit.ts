/** A room that is entered without its members, and what those who tell of it may do. */
import type { RoomId, ServerName } from '@plexus/core'
import type { Federation } from '@plexus/engine/ports'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { populate, threeServers, type ThreeServers } from './rooms-kit.ts'

type Told = Awaited<ReturnType<Federation['sendJoin']>>

export type LargeRoom = ThreeServers & {
  /** Bob enters through Alice. */
  readonly join: () => Promise<void>
  /** Until the answer is called nobody tells Bob the state. */
  readonly withhold: () => () => void
  /** Alice answers to Bob's join otherwise. */
  readonly lie: (change: (told: Told) => Told) => void
}

/** Of Alice, with sixty members of hers and Carol in it. */
export async function createLargeRoom(): Promise<LargeRoom> {
  const servers = await threeServers('public')
  const { network, alice, bob, carol, roomId } = servers
  await populate(alice, roomId, 60)
  await carol.rooms.join(carol.user, roomId, { via: [alice.name] })
  await network.settle()
  return {
    ...servers,
    join: () => bob.rooms.join(bob.user, roomId, { via: [alice.name] }),
    withhold: () => withhold(network, [alice.name, carol.name]),
    lie(change) {
      network.cheats.set(alice.name, {
        ...network.cheats.get(alice.name),
        sendJoin: async (_to, room, id, event) =>
          change(
            structuredClone(
              await alice.rooms.acceptMembership('join', bob.name, room, id, event, { omitMembers: true }),
            ),
          ),
      })
    },
  }
}

function withhold(network: BareNetwork, names: readonly ServerName[]): () => void {
  const never = async (): Promise<never> => {
    throw new Error('not now')
  }
  for (const name of names) network.cheats.set(name, { stateIds: never, state: never })
  return () => network.cheats.clear()
}

export async function isPartial(node: BareNode, roomId: RoomId): Promise<boolean> {
  return (await node.rooms.snapshot(roomId))?.isPartial === true
}

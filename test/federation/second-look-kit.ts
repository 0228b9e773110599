/** A room of four members that Bob enters while some are away, by the word of Mallory. */
import { memberKey, serverOf } from '@plexus/core'
import type { EventId, Pdu, RoomId, ServerName, UserId } from '@plexus/core'
import type { Federation, Store } from '@plexus/engine/ports'
import { expect } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bringIn, createRoom, make, membershipAt, stateText } from '../engine/rooms-kit.ts'

export const DAY_MS = 86_400_000

export type LookedAt = {
  readonly network: BareNetwork
  readonly alice: BareNode
  readonly bob: BareNode
  readonly carol: BareNode
  readonly dave: BareNode
  readonly mallory: BareNode
  /** Public, and of version 12; a test may put another in its place. */
  roomId: RoomId
  /** These are away, and all others there. */
  readonly away: (...nodes: readonly BareNode[]) => void
  /** `node` sees them come. */
  readonly appear: (node: BareNode, ...nodes: readonly BareNode[]) => void
  /** Bob enters through Mallory. */
  readonly join: (...via: readonly ServerName[]) => Promise<void>
  readonly isUnconfirmed: (node?: BareNode) => Promise<boolean>
  readonly stored: (table: string, node?: BareNode) => Promise<readonly (readonly [string, string])[]>
  /** How often Bob asked for the state. */
  readonly asked: (node: BareNode) => number
  /** Carol is banned, which Mallory hides. */
  readonly hideBan: () => Promise<void>
  /** So it is, but she tells of the room without its members, and of these only once the answer is called. */
  readonly hideMembers: () => Promise<() => void>
  /** Mallory answers to joins otherwise. */
  readonly lie: (change: (state: readonly Pdu[]) => readonly Pdu[]) => void
  /** What only who believes Mallory takes. */
  readonly spam: () => Promise<void>
  readonly expectTruth: (node?: BareNode) => Promise<void>
}

export async function createLookedAt(bobs?: Store): Promise<LookedAt> {
  const network = createBareNetwork()
  const alice = await network.add('alice')
  const carol = await network.add('carol')
  const dave = await network.add('dave')
  const mallory = await network.add('mallory')
  const bob = await network.add('bob', { seed: 9, ...(bobs === undefined ? {} : { store: bobs }) })
  const roomId = await createRoom(alice, 'public')
  for (const guest of [carol, dave, mallory]) await bringIn(network, alice, guest, roomId)

  const kit: LookedAt = {
    network,
    alice,
    bob,
    carol,
    dave,
    mallory,
    roomId,
    away(...nodes) {
      network.offline.clear()
      for (const { name } of nodes) network.offline.add(name)
    },
    appear(node, ...nodes) {
      for (const { name } of nodes) network.offline.delete(name)
      for (const { name } of nodes) node.completion.kick(name)
    },
    join: (...via) => bob.rooms.join(bob.user, kit.roomId, { via: [mallory.name, ...via] }),
    isUnconfirmed: async (node = bob) => (await node.rooms.snapshot(kit.roomId))?.isUnconfirmed === true,
    stored: (table, node = bob) => node.store.range(table, '', '\u00ff'),
    asked: ({ name }) => bob.calls.filter((call) => call === `state_ids ${name}`).length,
    async hideBan() {
      const id = (await alice.rooms.snapshot(kit.roomId))?.state.get(memberKey(carol.user)) as EventId
      const joined = (await alice.rooms.event(id))?.pdu as Pdu
      await alice.rooms.send(kit.roomId, {
        type: 'm.room.member',
        stateKey: carol.user,
        sender: alice.user,
        content: { membership: 'ban' },
      })
      await network.settle()
      kit.lie((state) => state.map((pdu) => (pdu.state_key === carol.user ? joined : pdu)))
    },
    async hideMembers() {
      const carols = async (): Promise<EventId> =>
        (await alice.rooms.snapshot(kit.roomId))?.state.get(memberKey(carol.user)) as EventId
      const joined = await carols()
      await kit.hideBan()
      const banned = await carols()
      let isTold = false
      network.cheats.set(mallory.name, {
        async sendJoin(_to, room, id, event) {
          const told = await mallory.rooms.acceptMembership('join', bob.name, room, id, event)
          const state = told.state.filter(({ type }) => type !== 'm.room.member')
          return structuredClone({ state, authChain: told.authChain, serversInRoom: [mallory.name] })
        },
        async stateIds(_to, room, id) {
          if (!isTold) throw new Error('not now')
          const { stateIds, authChainIds } = await mallory.rooms.stateFor(bob.name, room, id)
          return { pduIds: stateIds.map((each) => (each === banned ? joined : each)), authChainIds }
        },
      })
      return () => (isTold = true)
    },
    lie(change) {
      const sendJoin: Federation['sendJoin'] = async (_to, room, eventId, event) => {
        const origin = serverOf(event['sender'] as UserId)
        const told = await mallory.rooms.acceptMembership('join', origin, room, eventId, event)
        return structuredClone({ state: change(told.state), authChain: [...told.authChain, ...told.state] })
      }
      network.cheats.set(mallory.name, { sendJoin })
    },
    async spam() {
      const { pdu } = await make(carol, bob, kit.roomId, { body: 'spam' })
      await bob.rooms.receive(carol.name, [pdu])
      await network.settle()
    },
    async expectTruth(node = bob) {
      expect(await kit.isUnconfirmed(node)).toBe(false)
      expect(await membershipAt(node, kit.roomId, carol.user)).toBe('ban')
      expect(await stateText(node, kit.roomId)).toBe(await stateText(dave, kit.roomId))
      for (const table of ['partial', 'provisional', 'unredacted'])
        expect(await kit.stored(table, node)).toEqual([])
    },
  }
  return kit
}

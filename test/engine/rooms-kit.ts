/** What the tests of rooms do on bare nodes. */
import {
  buildEvent,
  encodeBase64,
  eventIdOf,
  memberKey,
  prevEventIds,
  roomVersion,
  signingBytes,
  stateKey,
  withSignature,
} from '@plexus/core'
import type { EventId, JsonObject, KeyId, Pdu, RoomId, RoomVersion, UserId } from '@plexus/core'
import type { EventRecord } from '@plexus/engine'
import { expect } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'

export const FROM_START: number = -(2 ** 50)
export const TO_END: number = 2 ** 50

/** State of a private room as a client would ask for it. */
export const initialState = (creator: UserId, joinRule = 'invite') => [
  { type: 'm.room.member', stateKey: creator, content: { membership: 'join' } },
  { type: 'm.room.power_levels', stateKey: '', content: { users: {} } },
  { type: 'm.room.join_rules', stateKey: '', content: { join_rule: joinRule } },
]

export const createRoom = (node: BareNode, joinRule?: string): Promise<RoomId> =>
  node.rooms.create({ creator: node.user, initialState: initialState(node.user, joinRule) })

export type ThreeServers = {
  readonly network: BareNetwork
  readonly alice: BareNode
  readonly bob: BareNode
  readonly carol: BareNode
  /** A room of Alice's, who is alone in it. */
  readonly roomId: RoomId
}

export async function threeServers(joinRule?: string): Promise<ThreeServers> {
  const network = createBareNetwork()
  const alice = await network.add('alice')
  const bob = await network.add('bob')
  const carol = await network.add('carol')
  return { network, alice, bob, carol, roomId: await createRoom(alice, joinRule) }
}

export const say = (node: BareNode, roomId: RoomId, body: string): Promise<EventId> =>
  node.rooms.send(roomId, { type: 'm.room.message', sender: node.user, content: { msgtype: 'm.text', body } })

export const setTopic = (node: BareNode, roomId: RoomId, topic: string): Promise<EventId> =>
  node.rooms.send(roomId, { type: 'm.room.topic', stateKey: '', sender: node.user, content: { topic } })

export async function timeline(node: BareNode, roomId: RoomId): Promise<readonly EventRecord[]> {
  const range = { from: FROM_START, to: TO_END, direction: 'f', limit: 1_000 } as const
  return (await node.rooms.timeline(roomId, range)).events
}

/** The texts of the timeline, oldest first. */
export async function bodies(node: BareNode, roomId: RoomId): Promise<unknown[]> {
  const events = await timeline(node, roomId)
  return events.filter(({ pdu }) => pdu.type === 'm.room.message').map(({ pdu }) => pdu.content['body'])
}

/** The membership that the current state of a node's room gives to a user. */
export async function membershipAt(node: BareNode, roomId: RoomId, user: UserId): Promise<unknown> {
  const id = (await node.rooms.snapshot(roomId))?.state.get(memberKey(user))
  return id === undefined ? undefined : (await node.rooms.event(id))?.pdu.content['membership']
}

/** The current state as text, for comparing. */
export async function stateText(node: BareNode, roomId: RoomId): Promise<string> {
  const snapshot = await node.rooms.snapshot(roomId)
  return [...(snapshot?.state ?? [])]
    .map((entry) => entry.join(' '))
    .toSorted()
    .join('\n')
}

export async function bringIn(
  network: BareNetwork,
  host: BareNode,
  guest: BareNode,
  roomId: RoomId,
): Promise<void> {
  await host.rooms.invite(host.user, roomId, guest.user)
  await guest.rooms.join(guest.user, roomId, { via: [host.name] })
  await network.settle()
}

/** No event stands before one that it follows, and none stands twice. */
export async function expectAncestorsFirst(node: BareNode, roomId: RoomId): Promise<void> {
  const events = await timeline(node, roomId)
  const place = new Map(events.map(({ id }, index) => [id, index]))
  expect(place.size).toBe(events.length)
  for (const { id, pdu } of events) {
    for (const previous of prevEventIds(pdu)) {
      const at = place.get(previous)
      if (at !== undefined) expect(at).toBeLessThan(place.get(id) ?? -1)
    }
  }
}

const version = roomVersion('12') as RoomVersion

/** An event that a server made by itself. */
type Made = { readonly id: EventId; readonly pdu: Pdu }

/** An event of `node`'s user as its server could sign it, whatever it follows. */
export async function make(
  node: Pick<BareNode, 'name' | 'user' | 'signer'>,
  seenBy: Pick<BareNode, 'rooms'>,
  roomId: RoomId,
  more: {
    readonly prev?: readonly EventId[]
    readonly auth?: readonly EventId[]
    readonly body?: string
    readonly type?: string
    readonly stateKey?: string
    readonly content?: JsonObject
    /** What it says of those that it follows. */
    readonly depth?: number
    readonly now?: number
  } = {},
): Promise<Made> {
  const snapshot = await seenBy.rooms.snapshot(roomId)
  const heads = await seenBy.rooms.events(snapshot?.heads ?? [])
  const keys = [stateKey('m.room.power_levels', ''), memberKey(node.user)]
  const bare = buildEvent(version, {
    template: {
      type: more.type ?? 'm.room.message',
      sender: node.user,
      content: more.content ?? { msgtype: 'm.text', body: more.body ?? 'made' },
      ...(more.stateKey === undefined ? {} : { stateKey: more.stateKey }),
    },
    roomId,
    prevEvents:
      more.prev?.map((id) => ({ reference: id, depth: more.depth ?? 10 })) ??
      heads.flatMap((head) => (head === undefined ? [] : [{ reference: head.id, depth: head.pdu.depth }])),
    authEvents: more.auth ?? keys.flatMap((key) => snapshot?.state.get(key) ?? []),
    now: more.now ?? 1_700_000_000_000,
  })
  const signature = encodeBase64(await node.signer.sign(signingBytes(version, bare)))
  const pdu = withSignature(bare, node.name, node.signer.keyId as KeyId, signature)
  return { id: eventIdOf(version, pdu), pdu }
}

/** The id of an event that nobody has. */
export const nowhere = (index: number): EventId => `$${String(index).padStart(43, 'A')}` as EventId

/** Brings that many more users of the node into its public room. */
export async function populate(node: BareNode, roomId: RoomId, count: number): Promise<readonly UserId[]> {
  const users = Array.from({ length: count }, (_, index) => `@user${index}:${node.name}` as UserId)
  for (const user of users) await node.rooms.join(user, roomId, { via: [] })
  return users
}

/** What the tests of this folder do in rooms. */
import type { EventId, RoomId } from '@plexus/core'
import type { EventRecord, TimelinePage } from '@plexus/engine'
import type { Member, TestNode } from '../kit/node.ts'

const FIRST = -(2 ** 50)
const LAST = 2 ** 50

export function createRoom({ node, user }: Member, joinRule = 'invite'): Promise<RoomId> {
  return node.engine.rooms.create({
    creator: user,
    initialState: [
      { type: 'm.room.member', stateKey: user, content: { membership: 'join' } },
      { type: 'm.room.power_levels', stateKey: '', content: { users: {} } },
      { type: 'm.room.join_rules', stateKey: '', content: { join_rule: joinRule } },
      { type: 'm.room.name', stateKey: '', content: { name: 'Tea' } },
    ],
  })
}

export function say({ node, user }: Member, roomId: RoomId, body: string): Promise<EventId> {
  return node.engine.rooms.send(roomId, {
    type: 'm.room.message',
    sender: user,
    content: { msgtype: 'm.text', body },
  })
}

/** What a member reads, oldest first. */
export async function read({ node }: Member, roomId: RoomId): Promise<string[]> {
  const events = await wholeTimeline(node, roomId)
  return events
    .filter(({ pdu }) => pdu.type === 'm.room.message')
    .map(({ pdu }) => pdu.content['body'] as string)
}

/** Oldest first. */
export async function wholeTimeline({ engine }: TestNode, roomId: RoomId): Promise<readonly EventRecord[]> {
  const found: EventRecord[] = []
  let from: number | undefined = FIRST
  while (from !== undefined) {
    const range = { from, to: LAST, direction: 'f', limit: 1_000 } as const
    const page: TimelinePage = await engine.rooms.timeline(roomId, range)
    found.push(...page.events)
    from = page.next
  }
  return found
}

/** The current state as text, for comparing. */
export async function stateOf({ node }: Member, roomId: RoomId): Promise<readonly string[]> {
  const snapshot = await node.engine.rooms.snapshot(roomId)
  return [...(snapshot?.state ?? [])].map(([key, id]) => `${key} ${id}`).toSorted()
}

/** The membership that the current state of a node's room gives to a user. */
export async function membershipAt({ node }: Member, roomId: RoomId, user: string): Promise<unknown> {
  const { rooms } = node.engine
  const state = await rooms.stateEvents((await rooms.snapshot(roomId))?.state ?? new Map())
  const event = state.find(({ pdu }) => pdu.type === 'm.room.member' && pdu.state_key === user)
  return event?.pdu.content['membership']
}

/** Invites and joins. */
export async function bringIn(host: Member, guest: Member, roomId: RoomId): Promise<void> {
  await host.node.engine.rooms.invite(host.user, roomId, guest.user)
  await guest.node.engine.rooms.join(guest.user, roomId, { via: [host.node.name] })
}

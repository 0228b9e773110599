/** The rooms of a space. spec: client-server-api/modules/spaces.md */
import { ownValue, parseRoomId, splitStateKey } from '@plexus/core'
import type { RoomId } from '@plexus/core'
import type { EventRecord, Rooms } from '../rooms/types.ts'
import type { SpaceChild } from './types.ts'

/** Children of one space that are looked at. */
export const MAX_SPACE_CHILDREN = 1_000

/** Printable ASCII, at most 50 characters. spec: "Ordering of children within a space" */
const ORDER = /^[\x20-\x7e]{1,50}$/

export async function spaceChildren(rooms: Rooms, roomId: RoomId): Promise<readonly SpaceChild[]> {
  const snapshot = await rooms.snapshot(roomId)
  if (snapshot === undefined || ownValue(snapshot.create.content, 'type') !== 'm.space') return []
  const keys = [...snapshot.state.keys()].filter((key) => splitStateKey(key)[0] === 'm.space.child')
  const records = await rooms.stateEvents(snapshot.state, keys.slice(0, MAX_SPACE_CHILDREN))
  return inOrder(records.flatMap((record) => toChild(record) ?? []))
}

export function inOrder(children: readonly SpaceChild[]): readonly SpaceChild[] {
  return children.toSorted(
    (a, b) =>
      compare(orderOf(a), orderOf(b)) || a.event.sentAt - b.event.sentAt || compare(a.roomId, b.roomId),
  )
}

/** A child without `via` has been removed. */
function toChild({ pdu }: EventRecord): SpaceChild | undefined {
  const roomId = parseRoomId(pdu.state_key ?? '')
  const via = ownValue(pdu.content, 'via')
  if (roomId === undefined || !Array.isArray(via) || via.length === 0) return undefined
  return {
    roomId,
    suggested: ownValue(pdu.content, 'suggested') === true,
    event: { sender: pdu.sender, content: pdu.content, sentAt: pdu.origin_server_ts },
  }
}

/** Children without a valid order stand after all others. */
function orderOf({ event }: SpaceChild): string {
  const order = ownValue(event.content, 'order')
  return typeof order === 'string' && ORDER.test(order) ? order : '\x7f'
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

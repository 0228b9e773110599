/** What a user may look at in a room, and where tokens stand in its timeline. */
import { stateKey, stateKeyOf } from '@plexus/core'
import type { EventId, RoomId, StateMap, UserId } from '@plexus/core'
import type { MembershipRecord, Rooms } from '../rooms/types.ts'
import { RoomError } from '../rooms/types.ts'
import type { ClientEvents } from './client-event.ts'
import { MAX_ORDER, MIN_ORDER, parseSyncToken, parseTimelineToken } from './tokens.ts'
import type { Seen, Viewer, Visibility } from './visibility.ts'
import { visibilityOf } from './visibility.ts'

export type ReaderParts = {
  readonly rooms: Rooms
  readonly visibility: Visibility
  readonly clientEvents: ClientEvents
  /** Whose messages the user does not want to see. */
  readonly ignored: (userId: UserId) => Promise<ReadonlySet<string>>
}

export type Access = {
  readonly viewer: Viewer
  readonly membership: MembershipRecord | undefined
  /** The state that the reader may see; absent for who was never in the room. */
  readonly state: StateMap | undefined
}

const HISTORY_VISIBILITY_KEY = stateKey('m.room.history_visibility', '')

export function notAllowed(): RoomError {
  return new RoomError('M_FORBIDDEN', 'you are not a member of this room')
}

export function noSuchEvent(): RoomError {
  return new RoomError('M_NOT_FOUND', 'there is no such event, or you may not read it')
}

/** @throws what `refusal` makes (M_FORBIDDEN) when there is nothing in the room that the user may read. */
export async function accessTo(
  { rooms, visibility }: ReaderParts,
  userId: UserId,
  roomId: RoomId,
  refusal: () => RoomError = notAllowed,
): Promise<Access> {
  const [membership, snapshot] = await Promise.all([rooms.membership(userId, roomId), rooms.snapshot(roomId)])
  if (snapshot === undefined) throw refusal()
  const row = membership?.forgotten === true ? undefined : membership
  const viewer = await visibility.viewer(userId, row)
  if (row?.membership === 'join') return { viewer, membership: row, state: snapshot.state }
  if (viewer.leftBy !== undefined) {
    return { viewer, membership: row, state: (await rooms.stateAfter(viewer.leftBy)) ?? new Map() }
  }
  const id = snapshot.state.get(HISTORY_VISIBILITY_KEY)
  const content = id === undefined ? undefined : (await rooms.event(id))?.pdu.content
  const open = visibilityOf(content) === 'world_readable'
  if (!open && row === undefined) throw refusal()
  return { viewer, membership: row, state: open ? snapshot.state : undefined }
}

export async function stateFor(inner: ReaderParts, userId: UserId, roomId: RoomId): Promise<StateMap> {
  const { state } = await accessTo(inner, userId, roomId)
  if (state === undefined) throw notAllowed()
  return state
}

export async function visibleEvent(
  inner: ReaderParts,
  access: Access,
  roomId: RoomId,
  eventId: EventId,
): Promise<Seen> {
  const record = await inner.rooms.event(eventId)
  if (record?.roomId !== roomId) throw noSuchEvent()
  const [seen] = await inner.visibility.judge(access.viewer, [record])
  if (seen?.visible === true) return seen
  // An event known only as state has no place in the timeline; who sees the state sees it.
  const key = stateKeyOf(record.pdu)
  if (key === undefined || access.state?.get(key) !== eventId) throw noSuchEvent()
  return { record, visible: true }
}

/** The order that a token stands for; events at or below it are before the token. */
export async function orderOf(rooms: Rooms, roomId: RoomId, token: string): Promise<number> {
  const order = parseTimelineToken(token)
  if (order !== undefined) return order
  const sync = parseSyncToken(token)
  if (sync === undefined) throw new RoomError('M_INVALID_PARAM', 'this is not a token of this server')
  return orderAtPosition(rooms, roomId, sync.position)
}

/** Of the newest event that is here. */
export async function newestOrder(rooms: Rooms, roomId: RoomId): Promise<number> {
  const { events } = await rooms.timeline(roomId, {
    from: MIN_ORDER,
    to: MAX_ORDER,
    direction: 'b',
    limit: 1,
  })
  return events[0]?.order ?? MIN_ORDER
}

/** Orders of live events rise with their positions, so that halving finds the last one at or before a position. */
export async function orderAtPosition(rooms: Rooms, roomId: RoomId, position: number): Promise<number> {
  let low = -1
  let high = Math.max(low, await newestOrder(rooms, roomId))
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    const { events } = await rooms.timeline(roomId, { from: low, to: middle, direction: 'b', limit: 1 })
    const found = events[0]
    if (found?.order === undefined) low = middle
    else if (found.position <= position) low = middle
    else high = found.order - 1
  }
  return low
}

export async function stateAt(
  inner: ReaderParts,
  viewer: Viewer,
  roomId: RoomId,
  at: string,
  seen: StateMap,
): Promise<StateMap> {
  const order = Math.min(await orderOf(inner.rooms, roomId, at), viewer.joinedUntil)
  const { events } = await inner.rooms.timeline(roomId, {
    from: MIN_ORDER,
    to: order,
    direction: 'b',
    limit: 1,
  })
  const state =
    events[0] === undefined
      ? await firstState(inner.rooms, roomId)
      : await inner.rooms.stateAfter(events[0].id)
  return state ?? seen
}

/** Before all events that are here. Where that is the whole room, it begins with its creator in it. */
async function firstState(rooms: Rooms, roomId: RoomId): Promise<StateMap | undefined> {
  const { events } = await rooms.timeline(roomId, {
    from: MIN_ORDER,
    to: MAX_ORDER,
    direction: 'f',
    limit: 2,
  })
  const [first, second = first] = events
  if (first === undefined || second === undefined) return undefined
  return first.pdu.type === 'm.room.create' ? rooms.stateAfter(second.id) : rooms.stateBefore(first.id)
}

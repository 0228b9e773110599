/** Parts of `/sync` for clients from before it. */
import { isJsonObject } from '@plexus/core'
import type { JsonObject, JsonValue, RoomId } from '@plexus/core'
import type { ApiEngine, Requester } from '../../services.ts'

type Sections = Readonly<Record<'join' | 'invite' | 'leave', Readonly<Record<RoomId, JsonObject>>>>

export const roomsOf = (body: JsonObject): Sections => body['rooms'] as Sections

export const idsOf = (section: Readonly<Record<RoomId, JsonObject>>): readonly RoomId[] =>
  Object.keys(section) as RoomId[]

/** The `events` of a section. */
export function eventsOf(body: JsonObject, section: string): readonly JsonValue[] {
  const part = body[section]
  const events = isJsonObject(part) ? part['events'] : undefined
  return Array.isArray(events) ? (events as readonly JsonValue[]) : []
}

/** With the room id, which `/sync` leaves out. */
export function inRoom(roomId: RoomId, events: readonly JsonValue[]): readonly JsonObject[] {
  return events.filter((event) => isJsonObject(event)).map((event) => ({ ...event, room_id: roomId }))
}

/** The event that invites the user; another server told it without its time. */
export async function inviteEvents(
  { rooms }: ApiEngine,
  { userId }: Requester,
  roomId: RoomId,
  invite: JsonObject,
): Promise<readonly JsonObject[]> {
  const row = await rooms.membership(userId, roomId)
  const told = inRoom(roomId, eventsOf(invite, 'invite_state')).find(
    ({ type, state_key: key }) => type === 'm.room.member' && key === userId,
  )
  if (row === undefined || told === undefined) return []
  const time = (await rooms.event(row.eventId))?.pdu.origin_server_ts ?? 0
  return [{ origin_server_ts: time, ...told, event_id: row.eventId }]
}

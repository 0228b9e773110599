/** Rooms to which the reader is invited, or on which they knocked. spec: client-server-api/_index.md "Stripped state" */
import { memberKey, stateKey } from '@plexus/core'
import type { JsonObject, StateKey, UserId } from '@plexus/core'
import type { MembershipRecord, Rooms } from '../rooms/types.ts'
import { strip } from './client-event.ts'

/** Stripped events shown of one room. */
export const MAX_STRIPPED_STATE = 100

const STRIPPED_TYPES: readonly string[] = [
  'm.room.create',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.join_rules',
  'm.room.canonical_alias',
  'm.room.encryption',
]

/** The keys of the state that may be told to somebody outside of the room. */
export const STRIPPED_KEYS: readonly StateKey[] = STRIPPED_TYPES.map((type) => stateKey(type, ''))

export async function strippedState(
  rooms: Rooms,
  userId: UserId,
  row: MembershipRecord,
): Promise<readonly JsonObject[]> {
  const told = row.strippedState ?? (await ownState(rooms, userId, row))
  const event = await rooms.event(row.eventId)
  const events = told.slice(0, MAX_STRIPPED_STATE).map(strip)
  const rest = events.filter(({ type, state_key: key }) => type !== 'm.room.member' || key !== userId)
  return event === undefined ? events : [...rest, strip(event.pdu)]
}

/** From the room itself, when this node has a member in it. */
async function ownState(rooms: Rooms, userId: UserId, row: MembershipRecord): Promise<readonly JsonObject[]> {
  const snapshot = await rooms.snapshot(row.roomId)
  if (snapshot === undefined) return []
  const keys = [...STRIPPED_KEYS, memberKey(row.sender), memberKey(userId)]
  return (await rooms.stateEvents(snapshot.state, keys)).map(({ pdu }) => pdu)
}

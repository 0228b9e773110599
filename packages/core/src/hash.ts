import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { encodeBase64, encodeBase64Url } from './base64.ts'
import { canonicalJson, signableBytes } from './canonical-json.ts'
import type { EventId, RoomId } from './ids.ts'
import { without, type JsonObject } from './json.ts'
import type { EventReference, Pdu } from './pdu.ts'
import { redact } from './redact.ts'
import type { RoomVersion } from './room-version.ts'

/**
 * The bytes that the signatures of an event cover, and of which the event id is the hash: canonical JSON of the
 * redacted event without `signatures` and `unsigned`. spec: server-server-api.md "Signing Events"
 */
export function signingBytes(version: RoomVersion, pdu: Pdu): Uint8Array {
  return signableBytes(redact(version, pdu))
}

/** spec: server-server-api.md "Calculating the reference hash for an event", rooms/v3.md and v4.md "Event IDs" */
export function eventIdOf(version: RoomVersion, pdu: Pdu): EventId {
  if (version.eventIds === 'field') return pdu['event_id'] as EventId
  const hash = sha256(signingBytes(version, pdu))
  return `$${version.eventIds === 'base64' ? encodeBase64(hash) : encodeBase64Url(hash)}` as EventId
}

/** True if two events of one id are copies of one event, which an id that the event carries does not say. */
export function areCopies(version: RoomVersion, a: Pdu, b: Pdu): boolean {
  return version.eventIds !== 'field' || referenceHash(version, a) === referenceHash(version, b)
}

/** Unpadded base64. spec: server-server-api.md "Calculating the reference hash for an event" */
function referenceHash(version: RoomVersion, pdu: Pdu): string {
  return encodeBase64(sha256(signingBytes(version, pdu)))
}

/** How events of this room version refer to an event. */
export function referenceTo(
  version: RoomVersion,
  event: { readonly id: EventId; readonly pdu: Pdu },
): EventReference {
  if (version.eventIds !== 'field') return event.id
  return [event.id, { sha256: referenceHash(version, event.pdu) }]
}

/**
 * The room that an event says it is in. A create event without `room_id` starts the room that its own hash names;
 * `undefined` is the answer for any other event without one.
 */
export function claimedRoomId(version: RoomVersion, pdu: Pdu): RoomId | undefined {
  if (pdu.room_id !== undefined) return pdu.room_id
  if (!version.roomIdIsCreateHash || pdu.type !== 'm.room.create') return undefined
  return `!${eventIdOf(version, pdu).slice(1)}` as RoomId
}

/** As `claimedRoomId`, of an event that passed `checkFormat`; throws a TypeError for one that names no room. */
export function roomIdOf(version: RoomVersion, pdu: Pdu): RoomId {
  const roomId = claimedRoomId(version, pdu)
  if (roomId === undefined) throw new TypeError('an event that names no room')
  return roomId
}

/** The create event of a room whose id is that event's hash. spec: rooms/v12.md "Authorisation rules" 1.2 */
export function createEventIdOf(roomId: RoomId): EventId {
  return `$${roomId.slice(1)}` as EventId
}

/** Unpadded base64. spec: server-server-api.md "Calculating the content hash for an event" */
export function contentHash(pdu: JsonObject): string {
  const hashed = without(pdu, 'unsigned', 'signatures', 'hashes')
  return encodeBase64(sha256(utf8ToBytes(canonicalJson(hashed))))
}

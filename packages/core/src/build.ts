import { contentHash } from './hash.ts'
import { MAX_DEPTH } from './format.ts'
import type { EventId, RoomId, UserId } from './ids.ts'
import type { JsonObject } from './json.ts'
import type { EventReference, Pdu } from './pdu.ts'
import type { RoomVersion } from './room-version.ts'

/** What an event is to say. */
export type EventTemplate = {
  readonly type: string
  readonly sender: UserId
  readonly content: JsonObject
  readonly stateKey?: string
  /** Target of a redaction; put where the room version wants it. */
  readonly redacts?: EventId
}

export type BuildInput = {
  readonly template: EventTemplate
  /** Absent for the create event of a room whose id is that event's hash. */
  readonly roomId?: RoomId
  /** Absent where the id is a hash. */
  readonly eventId?: EventId
  /** References as of `referenceTo`. */
  readonly prevEvents: readonly { readonly reference: EventReference; readonly depth: number }[]
  readonly authEvents: readonly EventReference[]
  /** Milliseconds since 1970. */
  readonly now: number
}

/**
 * An event with its content hash and no signature. The caller signs `signingBytes` and adds the result with
 * `withSignature`. spec: server-server-api.md "Adding hashes and signatures to outgoing events"
 */
export function buildEvent(version: RoomVersion, input: BuildInput): Pdu {
  const { template, roomId, eventId, prevEvents, authEvents, now } = input
  const { redacts, stateKey } = template
  const deepest = prevEvents.reduce((depth, prev) => Math.max(depth, prev.depth), 0)
  const isHashedCreate = version.roomIdIsCreateHash && template.type === 'm.room.create'
  const inContent = redacts !== undefined && version.redactsInContent
  const event = {
    type: template.type,
    sender: template.sender,
    ...(eventId === undefined ? {} : { event_id: eventId }),
    ...(roomId === undefined || isHashedCreate ? {} : { room_id: roomId }),
    ...(stateKey === undefined ? {} : { state_key: stateKey }),
    ...(redacts === undefined || inContent ? {} : { redacts }),
    content: inContent ? { ...template.content, redacts } : template.content,
    origin_server_ts: now,
    depth: Math.min(deepest + 1, MAX_DEPTH),
    prev_events: prevEvents.map((prev) => prev.reference),
    auth_events: authEvents,
  }
  return { ...event, hashes: { sha256: contentHash(event) }, signatures: {} }
}

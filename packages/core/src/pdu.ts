import type { EventId, RoomId, UserId } from './ids.ts'
import type { JsonObject } from './json.ts'

/** `signatures` of a signed JSON object: server name → key id → unpadded base64. */
export type Signatures = { readonly [server: string]: { readonly [keyId: string]: string } }

/**
 * A persistent data unit that passed `checkFormat`, or was built here. Other top-level keys are kept, since the
 * content hash covers them. spec: data/api/server-server/definitions/pdu_v12.yaml
 */
export type Pdu = JsonObject & {
  readonly type: string
  readonly sender: UserId
  /** Absent from the create event where the room id is that event's hash (room version 12). */
  readonly room_id?: RoomId
  readonly state_key?: string
  readonly content: JsonObject
  /** Milliseconds since 1970 by the clock of the sender's server. */
  readonly origin_server_ts: number
  readonly depth: number
  readonly prev_events: readonly EventId[]
  readonly auth_events: readonly EventId[]
  readonly hashes: JsonObject & { readonly sha256: string }
  readonly signatures: Signatures
  readonly unsigned?: JsonObject
}

/**
 * An event that has been decided. Soft-failed events count as accepted.
 * spec: server-server-api.md "Rejection", "Soft failure"
 */
export type KnownEvent = {
  readonly id: EventId
  readonly pdu: Pdu
  readonly verdict: 'accepted' | 'rejected'
}

/** The events at hand. Synchronous, and the same answer for the same id during one call. */
export interface EventView {
  get(id: EventId): KnownEvent | undefined
}

/** Which rule of the specification an event breaks, as `v12 auth 5.3.2`, and what was found. */
export type AuthFailure = { readonly rule: string; readonly reason: string }

import type { EventId, RoomId, UserId } from './ids.ts'
import type { JsonObject } from './json.ts'
import type { StateKey } from './state.ts'

/** `signatures` of a signed JSON object: server name → key id → unpadded base64. */
export type Signatures = { readonly [server: string]: { readonly [keyId: string]: string } }

/**
 * How an event refers to another: by its id, or in room versions 1 and 2 by id and reference hash.
 * spec: rooms/v3.md "Event format"
 */
export type EventReference = EventId | readonly [id: EventId, hashes: { readonly sha256: string }]

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
  readonly prev_events: readonly EventReference[]
  readonly auth_events: readonly EventReference[]
  readonly hashes: JsonObject & { readonly sha256: string }
  readonly signatures: Signatures
  readonly unsigned?: JsonObject
}

/** The ids in `prev_events`. */
export function prevEventIds(pdu: Pdu): readonly EventId[] {
  return idsOf(pdu.prev_events)
}

/** The ids in `auth_events`. */
export function authEventIds(pdu: Pdu): readonly EventId[] {
  return idsOf(pdu.auth_events)
}

function idsOf(references: readonly EventReference[]): readonly EventId[] {
  return areIds(references)
    ? references
    : references.map((reference) => (typeof reference === 'string' ? reference : reference[0]))
}

/** All of a list have one form. */
function areIds(references: readonly EventReference[]): references is readonly EventId[] {
  return typeof references[0] !== 'object'
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

/** State events that name one event in their `auth_events`, by id, and where each stands in a state. */
export type AuthChildren = {
  readonly places: ReadonlyMap<EventId, StateKey>
  /** False when there may be more. */
  readonly complete: boolean
}

/** The events at hand, and how they hang together by `auth_events`. Stays the same during one call. */
export interface AuthView extends EventView {
  /**
   * Of an event that `get` answers: 0 without auth events, else one more than the highest of theirs. So whatever is in
   * an event's auth chain has a lower one.
   */
  generation(id: EventId): number
  /** `undefined` until it is loaded. Every event that `get` could answer counts; rejected ones may be left out. */
  children(id: EventId): AuthChildren | undefined
}

/** Which rule of the specification an event breaks, as `v12 auth 5.3.2`, and what was found. */
export type AuthFailure = { readonly rule: string; readonly reason: string }

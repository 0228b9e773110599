/** What is said about rooms beside their events. */
import type { EventId, JsonObject, RoomId, UserId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import type { EduHandler } from '../outbox-types.ts'
import type { Caller } from '../users/types.ts'

export type ReceiptType = 'm.read' | 'm.read.private'

/** One per room, user, type and thread. spec: client-server-api/modules/receipts.md "Events" */
export type Receipt = {
  readonly roomId: RoomId
  readonly userId: UserId
  readonly type: ReceiptType
  /** A thread root's event id, `main`, or `''` for a receipt that counts for all threads. */
  readonly thread: string
  readonly eventId: EventId
  /** Milliseconds since the epoch, by the clock of the user's server. */
  readonly ts: number
  readonly position: StreamPosition
}

export type NewReceipt = {
  readonly type: ReceiptType
  readonly eventId: EventId
  readonly thread?: string
}

export interface Receipts {
  /** The user must be joined. A receipt behind the one that is there is dropped. @throws RoomError M_NOT_FOUND. */
  set(userId: UserId, roomId: RoomId, receipt: NewReceipt): Promise<void>
  /** Those with a position in (from, to], oldest first; also private ones, whoever they belong to. */
  since(from: StreamPosition, to: StreamPosition): Promise<readonly Receipt[]>
  /** All receipts of a room. */
  ofRoom(roomId: RoomId): Promise<readonly Receipt[]>
  /** The receipts of one user in a room. */
  ofUser(roomId: RoomId, userId: UserId): Promise<readonly Receipt[]>
  readonly edu: EduHandler
}

/** The fully read marker, kept as room account data. spec: client-server-api/modules/read_markers.md */
export interface ReadMarkers {
  setFullyRead(userId: UserId, roomId: RoomId, eventId: EventId): Promise<void>
}

export interface Typing {
  /** The user must be joined. `timeoutMs` is bounded by `MAX_TYPING_MS`. */
  set(userId: UserId, roomId: RoomId, typing: boolean, timeoutMs: number): Promise<void>
  /** The rooms whose typing users changed after `serial`. */
  changedSince(serial: number): readonly RoomId[]
  /** Who types in the room at this moment, sorted. */
  users(roomId: RoomId): readonly UserId[]
  onChange(listener: () => void): () => void
  readonly edu: EduHandler
}

export type PresenceState = 'online' | 'offline' | 'unavailable'

export type PresenceRecord = {
  readonly presence: PresenceState
  readonly statusMessage?: string
  /** Milliseconds since the epoch. */
  readonly lastActiveAt: number
}

/** spec: client-server-api/modules/presence.md */
export interface Presence {
  /** Of a user here or elsewhere; `undefined` when nothing is known. */
  get(userId: UserId): PresenceRecord | undefined
  /** Whether a local user may know: of themselves, and of who is in a room with them. */
  maySee(viewer: UserId, userId: UserId): Promise<boolean>
  /** What a client says of its user; without a message the one before goes. */
  set(caller: Caller, presence: PresenceState, statusMessage?: string): void
  /** A client asks for news, for which it waits so long, and says how present its user is. */
  syncing(caller: Caller, presence: PresenceState, waitsMs: number): void
  /** The user did something. */
  active(userId: UserId): void
  /** Users whose presence changed after the serial. */
  changedSince(serial: number): readonly UserId[]
  onChange(listener: () => void): () => void
  readonly edu: EduHandler
}

/** The content of `m.receipt` and `m.typing` events, by type. */
export type EphemeralEvent = { readonly type: string; readonly content: JsonObject }

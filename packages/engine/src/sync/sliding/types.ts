/** Simplified sliding sync. spec: proposals/4186-simplified-sliding-sync.md */
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import type { Recipient } from '../client-event.ts'
import type { CombinedConfig } from './config.ts'

/** Omitted parts match everything. */
export type StatePattern = { readonly type?: string; readonly stateKey?: string }

/** What state of a room is wanted. */
export type RequiredState = {
  readonly include: readonly StatePattern[]
  readonly exclude: readonly StatePattern[]
  readonly lazyMembers: boolean
}

export type RoomConfig = { readonly timelineLimit: number; readonly requiredState: RequiredState }

export type SlidingFilters = {
  readonly isDm?: boolean | undefined
  readonly isEncrypted?: boolean | undefined
  readonly isInvited?: boolean | undefined
  readonly spaces?: readonly RoomId[] | undefined
  readonly roomTypes?: readonly (string | null)[] | undefined
  readonly notRoomTypes?: readonly (string | null)[] | undefined
  readonly tags?: readonly string[] | undefined
  readonly notTags?: readonly string[] | undefined
}

export type SlidingList = RoomConfig & {
  /** Inclusive, from 0; absent for all rooms. */
  readonly ranges?: readonly (readonly [number, number])[]
  readonly filters: SlidingFilters
}

/** For which rooms an extension is wanted, of those that the answer is about; all of them when both are absent. */
export type ExtensionScope = {
  readonly lists?: readonly string[] | undefined
  readonly rooms?: readonly string[] | undefined
}

export type SlidingExtensions = {
  /** `since`: the `next_batch` of before. */
  readonly toDevice?: { readonly since?: string | undefined; readonly limit: number } | undefined
  readonly e2ee: boolean
  readonly accountData?: ExtensionScope | undefined
  readonly receipts?: ExtensionScope | undefined
  readonly typing?: ExtensionScope | undefined
}

export type SlidingRequest = {
  readonly recipient: Recipient
  readonly connId: string
  readonly pos?: string | undefined
  readonly lists: ReadonlyMap<string, SlidingList>
  readonly subscriptions: ReadonlyMap<RoomId, RoomConfig>
  readonly extensions: SlidingExtensions
  /** Ignored without `pos`. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

export interface SlidingSync {
  /** The body of the answer. @throws RoomError M_UNKNOWN_POS, M_INVALID_PARAM; the signal's reason when aborted. */
  sync(request: SlidingRequest): Promise<JsonObject>
}

/** What a connection was told of a room. Immutable. */
export type ToldRoom = {
  /** The client knows the room up to this position. */
  readonly upTo: number
  readonly membership: string
  readonly config: CombinedConfig
  /** So many of the newest events the client has for sure. */
  readonly known: number
  readonly isDm: boolean
  /** Member events that went out because they were needed, by user; the oldest are forgotten. */
  readonly members: ReadonlyMap<UserId, string>
  /** Extensions that the client got for the room. */
  readonly extensions: ReadonlySet<string>
}

/** `GET /sync`. spec: client-server-api/_index.md "Syncing", data/api/client-server/sync.yaml */
import type { JsonObject } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import type { Serial } from '../kernel/serial.ts'
import type { Clock } from '../ports.ts'
import type { Presence, Receipts, Typing } from '../rooms-ephemeral/types.ts'
import type { Rooms } from '../rooms/types.ts'
import type { Users } from '../users/types.ts'
import type { Recipient } from './client-event.ts'
import type { SyncFilter } from './filter.ts'
import type { Polls } from './polls.ts'
import type { SyncToken } from './tokens.ts'

/**
 * Whether the state of a room is told as it is at the start of the timeline, or at its end; the last is the name of
 * `state_after` before v1.16.
 */
export type StateKind = 'state' | 'state_after' | 'org.matrix.msc4222.state_after'

export type SyncRequest = {
  readonly recipient: Recipient
  /** Absent for an initial sync. */
  readonly since?: SyncToken
  readonly filter: SyncFilter
  readonly fullState: boolean
  readonly stateKind: StateKind
  /** How long to wait for something new, at most `MAX_SYNC_TIMEOUT_MS` of polls.ts. */
  readonly timeoutMs: number
  /** The answer is shown without to-device messages: they wait for one that brings them. */
  readonly keepsInbox?: boolean
  readonly signal?: AbortSignal
}

export interface Sync {
  /** The body of the answer. @throws the signal's reason when it is aborted while waiting. */
  sync(request: SyncRequest): Promise<JsonObject>
  /** The token of this moment. */
  readonly now: SyncToken
}

export type SyncUsers = Pick<Users, 'accountData' | 'toDevice' | 'deviceLists' | 'keys' | 'pushRules'>

export type SyncDeps = {
  readonly committer: Committer
  readonly clock: Clock
  readonly rooms: Rooms
  readonly receipts: Receipts
  readonly typing: Typing
  readonly presence: Presence
  readonly serial: Serial
  readonly polls: Polls
  readonly users: SyncUsers
}

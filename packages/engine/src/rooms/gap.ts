/** A gap between the known part of a room and a new event, and the server that is asked to fill it. */
import type { EventId, RoomId, RoomVersion, ServerName } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import type { Lru } from '../kernel/lru.ts'
import type { ServerKeys } from '../keys/types.ts'
import type { Clock, Federation, Verifier } from '../ports.ts'
import type { EventStore } from './event-store.ts'
import type { StateGroups } from './state-groups.ts'
import type { CheckedEvent } from './verify.ts'

/** How long one server may take over one gap, or one page of history. */
export const MAX_GAP_MS = 120_000

export type GapDeps = {
  readonly committer: Committer
  readonly events: EventStore
  readonly groups: StateGroups
  readonly federation: Federation
  readonly verifier: Verifier
  readonly keys: ServerKeys
  readonly clock: Clock
}

/** Who is asked about which room, and until when. */
export type Inquiry = {
  readonly roomId: RoomId
  readonly version: RoomVersion
  readonly server: ServerName
  readonly deadline: number
  /** A state counts only if the server itself knows it by more than the word of one. */
  readonly isWitness?: true
}

export type Gap = Omit<Inquiry, 'deadline'> & {
  readonly heads: readonly EventId[]
  /** Events just before the known history that this node does not hold: the join of this node follows them. */
  readonly backward: readonly EventId[]
  /** Of the room's copy. */
  readonly since: number
  readonly event: CheckedEvent
  /** Events that wait for theirs to be filled, and what came for those meanwhile. */
  readonly next?: { readonly events: readonly CheckedEvent[]; readonly ahead: Ahead }
}

/** Events by the server that gave them and their id, before the one that follows them is looked at. */
export type Ahead = Lru<string, CheckedEvent>

export type OpenGap = Gap & Inquiry

/** Before each request. @throws Error when the time is over. */
export function checkTime({ clock }: Pick<GapDeps, 'clock'>, { deadline, server }: Inquiry): void {
  if (clock.now() > deadline) throw new Error(`${server} takes too long to answer`)
}

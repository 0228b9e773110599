/** The tables of the rooms. A table's key is written beside it. */
import type { EventId, JsonObject, Pdu, RoomId, ServerName, StateKey, UserId } from '@plexus/core'
import type { Table } from '../kernel/table.ts'
import { table } from '../kernel/table.ts'
import type { EventRecord, MembershipRecord, StateDelta } from './types.ts'

export type RoomRecord = {
  readonly version: string
  readonly createId: EventId
  readonly heads: readonly EventId[]
  readonly stateGroup: string
  readonly lastPosition: number
  /** The lowest order given to a backfilled event; 0 when there is none. */
  readonly lowestOrder: number
  /** Events just before the known history that this node does not hold. */
  readonly backward: readonly EventId[]
  /** See `RoomSnapshot.holes`; none if absent. */
  readonly holes?: readonly (readonly [EventId, ServerName])[]
  /** See `RoomCopy.since`; 0 if absent. */
  readonly since?: number
}

/** The state after or before an event, as changes to another group or (no `prev`) whole. `null`: no longer there. */
export type StateGroupRecord = {
  readonly prev?: string
  /** Length of the chain of `prev`. */
  readonly chain: number
  readonly changes: Readonly<Record<string, EventId | null>>
}

/** A checked event that waits to be processed. */
export type StagedRecord = {
  readonly id: EventId
  readonly pdu: JsonObject
  readonly contentHashOk: boolean
  readonly origin: ServerName
  /** When it was staged, milliseconds since the epoch. */
  readonly at?: number
}

/** An event whose signature cannot be checked yet. */
export type ParkedRecord = {
  readonly id: EventId
  readonly pdu: JsonObject
  readonly origin: ServerName
  /** Whose key cannot be had. */
  readonly server: ServerName
  /** When it came, milliseconds since the epoch. */
  readonly at: number
}

/** How far a destination has got in the own events of a room. */
export type CursorRecord = {
  /** Own events up to here are not this destination's: it joined by the event at this position. */
  readonly start: number
  /** Own events up to here are delivered. */
  readonly cursor: number
  /** The destination left by the event at this position; nothing after it is sent. */
  readonly until?: number
}

/** A room that this node entered without its members. */
export type PartialRecord = {
  /** The own join: the state before it lacks members, or is not confirmed. */
  readonly join: EventId
  /** The server that told of the room. */
  readonly resident: ServerName
  /** The servers that it said to be in the room. */
  readonly servers: readonly ServerName[]
  /** The whole state before the join, once it is here. */
  readonly whole?: string
  /** What is known of `whole`, where no two servers told it. */
  readonly doubt?: Unconfirmed
  /** Set where the state lacks no members, but no two servers told the same. */
  readonly unconfirmed?: Unconfirmed
}

/** What is known of the state before the own join. */
export type Unconfirmed = {
  /** When the room was entered, and when the latest word was heard, in milliseconds since the epoch. */
  readonly since: number
  readonly heardAt: number
  /** Who told which state, by the ids of state groups. */
  readonly words: readonly (readonly [server: ServerName, group: string])[]
  /** Servers that may know it too. */
  readonly others: readonly ServerName[]
}

export type LinkInviteRecord = { readonly as: UserId; readonly expires: number }

/** An accepted redaction whose target has not come yet. */
export type WaitingRedaction = {
  readonly by: EventId
  readonly roomId: RoomId
  /** Its sender may redact events of other servers. */
  readonly ofOthers: boolean
  readonly server: ServerName
}

type Key<T extends readonly (string | number)[]> = T

export const rooms: Table<Key<readonly [RoomId]>, RoomRecord> = table('room', ['s'])
export const events: Table<Key<readonly [EventId]>, EventRecord> = table('event', ['s'])
/** State events that are not rejected, by an event that they name in `auth_events`: where they stand in a state. */
export const authChildren: Table<Key<readonly [EventId, EventId]>, StateKey> = table('auth-child', ['s', 's'])
/** By order. */
export const timelines: Table<Key<readonly [RoomId, number]>, EventId> = table('timeline', ['s', 'n'])
/** Events that relate to another, by its id and their order. A redacted one still stands here. */
export const relations: Table<Key<readonly [RoomId, EventId, number]>, EventId> = table('relation', [
  's',
  's',
  'n',
])
/** By position. */
export const deltas: Table<Key<readonly [RoomId, number]>, StateDelta['changes']> = table('delta', ['s', 'n'])
export const groups: Table<Key<readonly [string]>, StateGroupRecord> = table('group', ['s'])
export const memberships: Table<Key<readonly [UserId, RoomId]>, MembershipRecord> = table('membership', [
  's',
  's',
])
/** By arrival. */
export const staged: Table<Key<readonly [RoomId, number]>, StagedRecord> = table('staged', ['s', 'n'])
/** By whose key cannot be had, and who sent it: of one event there may be a forged copy and a true one. */
export const parked: Table<Key<readonly [ServerName, ServerName, EventId]>, ParkedRecord> = table('parked', [
  's',
  's',
  's',
])
/** User, device, room, client transaction. */
export const clientTransactions: Table<Key<readonly [UserId, string, RoomId, string]>, EventId> = table(
  'txn',
  ['s', 's', 's', 's'],
)
/** By the id of the event to redact, and whose events the redaction may redact. */
export const waitingRedactions: Table<Key<readonly [EventId, string]>, WaitingRedaction> = table(
  'redaction',
  ['s', 's'],
)
/** What redactions took out of events while their room had such a mark: a redaction that is refused in the end gives it back. */
export const unredacted: Table<Key<readonly [RoomId, EventId]>, Pdu> = table('unredacted', ['s', 's'])
/** Own events by position. */
export const sent: Table<Key<readonly [RoomId, number]>, EventId> = table('sent', ['s', 'n'])
export const cursors: Table<Key<readonly [ServerName, RoomId]>, CursorRecord> = table('cursor', ['s', 's'])
/** The mark of a room whose state lacks members, or is not confirmed, and where to go on. */
export const partialRooms: Table<Key<readonly [RoomId]>, PartialRecord> = table('partial', ['s'])
/** Events that were decided while the room had such a mark, by the position of that: they may be decided again. */
export const provisional: Table<Key<readonly [RoomId, number]>, EventId> = table('provisional', ['s', 'n'])
/** Invites whose invitee's node was not reached: it gets the room's own events by mail until the invite is answered. */
export const mailedInvites: Table<Key<readonly [RoomId, UserId]>, Readonly<Record<string, never>>> = table(
  'mailed-invite',
  ['s', 's'],
)

/** What came with an invite by mail. */
export type InvitePackage = {
  /** When it came, milliseconds since the epoch; absent before that was noted. */
  readonly at?: number
  /** The inviter's server. */
  readonly origin: ServerName
  readonly eventId: EventId
  readonly roomVersion: string
  /** The invite with this node's signature. */
  readonly event: JsonObject
  /** What the invite follows, and what authorises it. */
  readonly state: readonly JsonObject[]
  readonly authChain: readonly JsonObject[]
  /** The inviter's server has the state from one other alone. */
  readonly isUnconfirmed?: true
  /** Those of the joined members. */
  readonly servers: readonly ServerName[]
}
export const invitePackages: Table<Key<readonly [RoomId, UserId]>, InvitePackage> = table('invite-package', [
  's',
  's',
])
/** What members told of a room before the invite to it was answered, by arrival. */
export const earlyEvents: Table<
  Key<readonly [RoomId, number]>,
  { readonly origin: ServerName; readonly pdu: JsonObject }
> = table('early-event', ['s', 'n'])
export const linkInvites: Table<Key<readonly [RoomId, string]>, LinkInviteRecord> = table('link-invite', [
  's',
  's',
])

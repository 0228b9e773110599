/** The working copy of a room: immutable, one per decision; the newest committed one is what others see. */
import type { EventId, Pdu, RoomId, RoomVersion, ServerName, StateKey, StateMap, UserId } from '@plexus/core'
import { serverOf, splitStateKey, stateDifference, stateKeyOf } from '@plexus/core'
import type { PartialRecord, RoomRecord } from './records.ts'
import type { StateGroup } from './state-groups.ts'
import type { EventRecord, Membership, RoomSnapshot, StateDelta } from './types.ts'

export type RoomCopy = {
  readonly roomId: RoomId
  readonly version: RoomVersion
  readonly create: { readonly id: EventId; readonly pdu: Pdu }
  /** Forward extremities, in the order in which they were accepted. */
  readonly heads: readonly EventId[]
  readonly current: StateGroup
  readonly joined: ReadonlySet<UserId>
  readonly lowestOrder: number
  readonly backward: readonly EventId[]
  /** See `RoomSnapshot.holes`. */
  readonly holes: readonly Hole[]
  /**
   * What was committed up to here is of an earlier stay of this node in the room, after which events are missing, so
   * that nothing tells what followed it: history. 0 while there is none.
   */
  readonly since: number
  /** Set while the state lacks members, or is not confirmed. */
  readonly partial: PartialRecord | undefined
}

/** A missing event, and the server of the event that follows it. */
export type Hole = readonly [id: EventId, by: ServerName]

export type StateChange = StateDelta['changes'][number]

/** The changes between two states, sorted by key. Cheap where one was made from the other. */
export function stateChanges(before: StateMap, after: StateMap): readonly StateChange[] {
  return stateDifference(before, after).map(({ key, from, to }) => ({ key, before: from, after: to }))
}

/** The state before an event, from that after it. */
export function stateBefore({ id, pdu, replaced }: EventRecord, after: StateMap): StateMap {
  const key = stateKeyOf(pdu)
  if (key === undefined || after.get(key) !== id) return after
  const before = new Map(after)
  if (replaced === undefined) before.delete(key)
  else before.set(key, replaced)
  return before
}

/** The membership that an event of type `m.room.member` states, `leave` for anything else. */
export function membershipOf(pdu: Pdu | undefined): Membership {
  const membership = pdu?.type === 'm.room.member' ? pdu.content['membership'] : undefined
  return membership === 'join' || membership === 'invite' || membership === 'knock' || membership === 'ban'
    ? membership
    : 'leave'
}

/**
 * True for a copy that came without its content, for no reason that is known: it is not passed on, and gives way to one
 * that has it. A redacted event is whole as it is. DESIGN section 5 "Inbound"
 */
export function isStripped({ hashMismatch, redactedBy }: EventRecord): boolean {
  return hashMismatch === true && redactedBy === undefined
}

/** The user whose membership a state key holds. */
export function memberOf(key: StateKey): UserId | undefined {
  const [type, user] = splitStateKey(key)
  return type === 'm.room.member' ? (user as UserId) : undefined
}

export function joinedAfter(
  joined: ReadonlySet<UserId>,
  changes: readonly StateChange[],
  find: (id: EventId) => EventRecord | undefined,
): ReadonlySet<UserId> {
  let next: Set<UserId> | undefined
  for (const { key, after } of changes) {
    const user = memberOf(key)
    if (user === undefined) continue
    const isJoined = after !== undefined && membershipOf(find(after)?.pdu) === 'join'
    if (isJoined === (next ?? joined).has(user)) continue
    next ??= new Set(joined)
    if (isJoined) next.add(user)
    else next.delete(user)
  }
  return next ?? joined
}

export function toRecord(copy: RoomCopy, lastPosition: number): RoomRecord {
  return {
    version: copy.version.id,
    createId: copy.create.id,
    heads: copy.heads,
    stateGroup: copy.current.id,
    lastPosition,
    lowestOrder: copy.lowestOrder,
    backward: copy.backward,
    ...(copy.holes.length === 0 ? {} : { holes: copy.holes }),
    ...(copy.since === 0 ? {} : { since: copy.since }),
  }
}

export function lacksMembers({ partial }: Pick<RoomCopy, 'partial'>): boolean {
  return partial !== undefined && partial.unconfirmed === undefined
}

/** Those with a joined member, as far as is known. */
export function serversIn({
  joined,
  partial,
}: Pick<RoomCopy, 'joined' | 'partial'>): ReadonlySet<ServerName> {
  const servers = new Set<ServerName>(partial?.servers)
  for (const user of joined) servers.add(serverOf(user))
  return servers
}

type MemberLists = Pick<RoomSnapshot, 'joinedMembers' | 'joinedServers'> & Pick<RoomCopy, 'partial'>
const memberLists = new WeakMap<ReadonlySet<UserId>, MemberLists>()

export function toSnapshot(copy: RoomCopy, lastPosition: number): RoomSnapshot {
  let lists = memberLists.get(copy.joined)
  if (lists === undefined || lists.partial !== copy.partial) {
    const joinedServers = [...serversIn(copy)].sort()
    lists = { joinedMembers: [...copy.joined].sort(), joinedServers, partial: copy.partial }
    memberLists.set(copy.joined, lists)
  }
  const { joinedMembers, joinedServers } = lists
  return {
    roomId: copy.roomId,
    version: copy.version,
    create: copy.create.pdu,
    heads: [...copy.heads].sort(),
    holes: copy.holes.map(([id]) => id),
    state: copy.current.state,
    stateGroup: copy.current.id,
    lastPosition,
    since: copy.since,
    joinedMembers,
    joinedServers,
    ...(lacksMembers(copy) ? { isPartial: true as const } : {}),
    ...(copy.partial?.unconfirmed === undefined ? {} : { isUnconfirmed: true as const }),
  }
}

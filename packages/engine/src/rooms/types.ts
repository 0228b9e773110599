/** What the rooms offer to the APIs. Every method that changes something resolves after its commit. */
import type {
  AuthFailure,
  EventId,
  JsonObject,
  Pdu,
  RoomId,
  RoomVersion,
  ServerName,
  StateKey,
  StateMap,
  UserId,
} from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'

export type Verdict = 'accepted' | 'softFailed' | 'rejected'

/** An event as it is kept. */
export type EventRecord = {
  readonly id: EventId
  readonly roomId: RoomId
  readonly pdu: Pdu
  readonly verdict: Verdict
  /** The rule that failed, for soft-failed and rejected events. */
  readonly why?: string
  readonly basis: 'full' | 'partial'
  /** Above those of its auth events: see `AuthView` of the core. */
  readonly generation: number
  /** State after the event; absent for outliers (events known only as state or auth events). */
  readonly stateGroup?: string
  /** For a state event: the event that held its place in the state before it. */
  readonly replaced?: EventId
  /** Place in the room's timeline; absent for outliers, rejected and soft-failed events. Backfilled ones are negative. */
  readonly order?: number
  /** The stream position at which it was committed. */
  readonly position: StreamPosition
  /** The event that redacts this one; `pdu` is the redacted form then. */
  readonly redactedBy?: EventId
  /** True when the content hash did not match: `pdu` is the redacted form. See `isStripped`. */
  readonly hashMismatch?: true
  /** True when the content came after the event was decided. */
  readonly isLate?: true
  /** The client that sent it, for `unsigned.transaction_id`. */
  readonly sentBy?: { readonly userId: UserId; readonly deviceId: string; readonly transactionId: string }
  /** When this node received it, milliseconds since the epoch. */
  readonly receivedAt: number
}

export type Membership = 'join' | 'invite' | 'knock' | 'leave' | 'ban'

/** One row per local user and room they ever had to do with. */
export type MembershipRecord = {
  readonly roomId: RoomId
  readonly membership: Membership
  readonly eventId: EventId
  readonly sender: UserId
  readonly position: StreamPosition
  /** The server that took a knock on a room in which this node has no member. */
  readonly resident?: ServerName
  /** The membership before, for deciding whether a leave follows a join or a rejected invite. */
  readonly previous?: Membership
  /** The version of the room of an invite or knock to a room in which this node has no member. */
  readonly roomVersion?: string
  /** Stripped state of such an invite or knock, or the event by which another server ended it. */
  readonly strippedState?: readonly JsonObject[]
  /** Invites of other servers that wait as well, the newest first. */
  readonly others?: readonly WaitingInvite[]
  readonly forgotten?: boolean
}

/** An invite to a room in which this node has no member. */
export type WaitingInvite = Pick<MembershipRecord, 'eventId' | 'sender' | 'roomVersion' | 'strippedState'>

/** A room as of the last commit. Immutable: a later commit makes a new one. */
export type RoomSnapshot = {
  readonly roomId: RoomId
  readonly version: RoomVersion
  readonly create: Pdu
  /** Forward extremities, sorted. */
  readonly heads: readonly EventId[]
  /** Events that others follow and nobody gave yet: the state before those that follow is as a member told it. */
  readonly holes: readonly EventId[]
  /** The current resolved state. */
  readonly state: StateMap
  readonly stateGroup: string
  /** The position of the last change that a `/sync` of a member would show (event, state). */
  readonly lastPosition: StreamPosition
  /** Servers with a joined member, this one included, sorted. */
  readonly joinedServers: readonly ServerName[]
  readonly joinedMembers: readonly UserId[]
  /** Own events that were committed up to here are of an earlier stay of this node in the room; 0 for none. */
  readonly since: StreamPosition
  /** The state still lacks members; `joinedServers` are as another server told. */
  readonly isPartial?: true
  /** No two servers told the same state at this node's join: what is decided on it may be decided again. */
  readonly isUnconfirmed?: true
}

export type NewEvent = {
  readonly type: string
  readonly sender: UserId
  readonly content: JsonObject
  readonly stateKey?: string
  readonly redacts?: EventId
  /** In place of the time of this node, milliseconds since the epoch. */
  readonly originServerTs?: number
  /** The client's transaction, for deduplication and `unsigned.transaction_id`. */
  readonly transaction?: { readonly deviceId: string; readonly id: string }
}

export type CreateRoom = {
  readonly creator: UserId
  readonly version?: string
  readonly creationContent?: JsonObject
  /** Sent in order after the create event and the creator's join. */
  readonly initialState: readonly {
    readonly type: string
    readonly stateKey: string
    readonly content: JsonObject
  }[]
}

/** One page of a timeline, in the order of `direction`. */
export type TimelinePage = {
  readonly events: readonly EventRecord[]
  /** Order to go on from; absent when the end of what can be had is reached. */
  readonly next?: number
}

/** One change of a room's current state: what each key held before and holds after. */
export type StateDelta = {
  readonly position: StreamPosition
  readonly changes: readonly {
    readonly key: StateKey
    readonly before: EventId | undefined
    readonly after: EventId | undefined
  }[]
}

/** A state and what authorises it; the ids are in the order of the events. */
export type ToldState = {
  readonly state: readonly Pdu[]
  readonly stateIds: readonly EventId[]
  readonly authChain: readonly Pdu[]
  readonly authChainIds: readonly EventId[]
  /** See `RoomSnapshot`. */
  readonly isUnconfirmed?: true
}

/** What a server is told whose user's join, leave or knock was accepted. */
export type AcceptedMembership = {
  readonly event: JsonObject
  /** The state before the event. */
  readonly state: readonly Pdu[]
  /** What authorises the event and the state. */
  readonly authChain: readonly Pdu[]
  /** Those with a joined member. Set when `state` lacks members, for a server that said that it can do without. */
  readonly serversInRoom?: readonly ServerName[]
  /** See `RoomSnapshot`. */
  readonly isUnconfirmed?: true
}

/** A request about rooms cannot be done; `errcode` as in the Client-Server API. */
export class RoomError extends Error {
  override readonly name = 'RoomError'
  readonly errcode:
    | 'M_FORBIDDEN'
    | 'M_INVITE_BLOCKED'
    | 'M_NOT_FOUND'
    | 'M_BAD_STATE'
    | 'M_BAD_JSON'
    | 'M_INVALID_PARAM'
    | 'M_TOO_LARGE'
    | 'M_UNSUPPORTED_ROOM_VERSION'
    | 'M_INCOMPATIBLE_ROOM_VERSION'
    | 'M_UNABLE_TO_AUTHORISE_JOIN'
    | 'M_UNABLE_TO_GRANT_JOIN'
    | 'M_LIMIT_EXCEEDED'
    | 'M_UNKNOWN'
    | 'M_UNKNOWN_POS'
    | 'M_UNABLE_DUE_TO_PARTIAL_STATE'
  readonly failure: AuthFailure | undefined
  constructor(errcode: RoomError['errcode'], message: string, failure?: AuthFailure) {
    super(message)
    this.errcode = errcode
    this.failure = failure
  }
}

export interface Rooms {
  // --- reading ---
  /** `undefined` for a room in which this node holds no state. */
  snapshot(roomId: RoomId): Promise<RoomSnapshot | undefined>
  event(eventId: EventId): Promise<EventRecord | undefined>
  /** In the order of `ids`. */
  events(ids: readonly EventId[]): Promise<readonly (EventRecord | undefined)[]>
  /** State after an event that has a place in the timeline. */
  stateAfter(eventId: EventId): Promise<StateMap | undefined>
  /** State before an event that has a place in the timeline. */
  stateBefore(eventId: EventId): Promise<StateMap | undefined>
  /** The events that hold the given state, or one key of it. */
  stateEvents(state: StateMap, keys?: readonly StateKey[]): Promise<readonly EventRecord[]>
  /** Events with `from < order <= to` ascending ('f'), or `to >= order > from` descending ('b'). */
  timeline(
    roomId: RoomId,
    range: {
      readonly from: number
      readonly to: number
      readonly direction: 'f' | 'b'
      readonly limit: number
    },
  ): Promise<TimelinePage>
  /** The events in the timeline that relate to `parent`, redacted ones included, as `timeline` gives them. */
  relations(
    roomId: RoomId,
    parent: EventId,
    range: {
      readonly from: number
      readonly to: number
      readonly direction: 'f' | 'b'
      readonly limit: number
    },
  ): Promise<TimelinePage>
  /** Changes of the current state with `from < position <= to`, ascending. */
  stateDeltas(roomId: RoomId, from: StreamPosition, to: StreamPosition): Promise<readonly StateDelta[]>
  memberships(userId: UserId): Promise<readonly MembershipRecord[]>
  membership(userId: UserId, roomId: RoomId): Promise<MembershipRecord | undefined>
  /** Resolves once no member is missing from the state any more; false when that takes too long. */
  whole(roomId: RoomId): Promise<boolean>
  /** Local users joined to the room, from the snapshot. */
  localMembers(snapshot: RoomSnapshot): readonly UserId[]

  // --- clients' changes ---
  create(room: CreateRoom): Promise<RoomId>
  /** Builds, signs, decides and commits an event. @throws RoomError `M_FORBIDDEN` with the rule that failed. */
  send(roomId: RoomId, event: NewEvent): Promise<EventId>
  /** Joins locally or through one of `via`; resolves when the room is usable. */
  join(
    userId: UserId,
    roomId: RoomId,
    options: { via: readonly ServerName[]; content?: JsonObject; signal?: AbortSignal },
  ): Promise<void>
  /** Knocks locally or through one of `via`; resolves when the room, or a server in it, has taken the knock. */
  knock(
    userId: UserId,
    roomId: RoomId,
    options: { via: readonly ServerName[]; content?: JsonObject; signal?: AbortSignal },
  ): Promise<void>
  /** Leaves, rejects an invite, or takes back a knock. */
  leave(userId: UserId, roomId: RoomId, content?: JsonObject): Promise<void>
  /** Invites a local or remote user. */
  invite(sender: UserId, roomId: RoomId, target: UserId, content?: JsonObject): Promise<void>
  forget(userId: UserId, roomId: RoomId): Promise<void>
  /** Fetches older history from other members when the known part before `order` is shorter than `limit`. */
  backfill(roomId: RoomId, beforeOrder: number, limit: number, signal?: AbortSignal): Promise<void>
  /** Fetches the history down to the event that another member finds at a time. True when there was something new. */
  backfillTo(roomId: RoomId, ts: number, direction: 'f' | 'b', signal?: AbortSignal): Promise<boolean>

  // --- other servers ---
  /** Checks and stages events of a transaction durably; they are processed after. One verdict per event id. */
  receive(
    origin: ServerName,
    pdus: readonly JsonObject[],
  ): Promise<Readonly<Record<string, { error?: string }>>>
  /** A membership template for a remote user. */
  makeMembership(
    kind: 'join' | 'leave' | 'knock',
    origin: ServerName,
    roomId: RoomId,
    userId: UserId,
    versions: readonly string[],
  ): Promise<{ roomVersion: string; event: JsonObject }>
  /** Accepts a signed join, leave or knock of a remote user; answers with the state before it. */
  acceptMembership(
    kind: 'join' | 'leave' | 'knock',
    origin: ServerName,
    roomId: RoomId,
    eventId: EventId,
    event: JsonObject,
    options?: { readonly omitMembers?: boolean },
  ): Promise<AcceptedMembership>
  /** Co-signs an invite of a local user and keeps it. */
  acceptInvite(
    origin: ServerName,
    roomId: RoomId,
    eventId: EventId,
    invite: { roomVersion: string; event: JsonObject; inviteRoomState: readonly JsonObject[] },
  ): Promise<{ event: JsonObject }>
  /** Exchanges a third-party invite: makes the ordinary invite and sends it to the invitee's server. */
  exchangeThirdPartyInvite(origin: ServerName, roomId: RoomId, event: JsonObject): Promise<void>
  /** Events between `earliest` and `latest`, oldest first, as `origin` may see them. */
  missingEvents(
    origin: ServerName,
    roomId: RoomId,
    query: { earliest: readonly EventId[]; latest: readonly EventId[]; limit: number; minDepth: number },
  ): Promise<readonly Pdu[]>
  /** Events at and before `from`, newest first, as `origin` may see them. */
  backfillFor(
    origin: ServerName,
    roomId: RoomId,
    from: readonly EventId[],
    limit: number,
  ): Promise<readonly Pdu[]>
  eventFor(origin: ServerName, eventId: EventId): Promise<Pdu>
  /** Those of the servers that are in the event's room and may see all of it; none where it is not here whole, or the ACL denies its own. */
  receivers(eventId: EventId, servers: readonly ServerName[]): Promise<readonly ServerName[]>
  /** The event closest to a time that `origin` may see. @throws RoomError M_NOT_FOUND */
  eventAtTimeFor(
    origin: ServerName,
    roomId: RoomId,
    ts: number,
    direction: 'f' | 'b',
  ): Promise<{ id: EventId; sentAt: number }>
  /** State before the event, and the auth chain of that state. */
  stateFor(origin: ServerName, roomId: RoomId, eventId: EventId): Promise<ToldState>

  /** Third-party invites of invite links. */
  createLinkInvite(roomId: RoomId, as: UserId): Promise<{ token: string; secret: string }>
  revokeLinkInvite(roomId: RoomId, token: string, as: UserId): Promise<void>
}

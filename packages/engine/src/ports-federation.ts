/** The port to other servers: the engine says what, server-api says how. */
import type { EventId, JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import type { PublicRoomsPage, PublicRoomsQuery, SpaceHierarchy } from './directory/types.ts'
import type { EnvelopedRequest } from './ports.ts'

export type RemoteError = { readonly status: number; readonly errcode: string; readonly error: string }

/** The other side answered with an error. 4xx but 429 is final for this request. */
export class FederationError extends Error {
  override readonly name = 'FederationError'
  readonly remote: RemoteError
  constructor(remote: RemoteError) {
    super(`${remote.status} ${remote.errcode}: ${remote.error}`)
    this.remote = remote
  }
}

/**
 * Forward extremities by room, told between Plexus nodes as `plexus.heads` of a transaction's content and of its answer.
 */
export type Heads = Readonly<Record<RoomId, readonly EventId[]>>

/** Events of the destination that are here whole, by room, told between Plexus nodes as `plexus.taken_events`. */
export type Taken = Readonly<Record<RoomId, readonly EventId[]>>

/** What came by mail, told to who mailed it as `plexus.received` of a transaction's content. */
export type Received = {
  /** Of the store that mailed it. */
  readonly incarnation: string
  /** What is committed of its durable EDUs. */
  readonly committed: number
  /** Transaction ids, by the peer ids of the relays that brought them. */
  readonly transactions: Readonly<Record<string, readonly string[]>>
}

/** One transaction of PUT /send/{txnId}. */
export type OutgoingTransaction = {
  readonly txnId: string
  readonly pdus: readonly JsonObject[]
  readonly edus: readonly JsonObject[]
  /** Set when `edus` holds durable ones. Travels in the envelope. */
  readonly sequence?: number
  /**
   * The last sequence that the destination has ever acknowledged, 0 for none. Travels in the content as
   * `plexus.acknowledged`: a destination that lost its store goes on from there.
   */
  readonly acknowledged?: number
  readonly heads?: Heads
  readonly taken?: Taken
  readonly received?: Received
}

export type CallOptions = { readonly signal?: AbortSignal; readonly timeoutMs?: number }

/**
 * One call per outbound request of the Server-Server API. Answers are parsed to the shape of the specification, with
 * bounds, but nothing in them is verified: the engine does that.
 * @throws FederationError for an error answer, CarrierError when no answer came or it was nonsense.
 */
export interface Federation {
  /** PUT /send/{txnId}; `committed` of the answer is what the destination has of our durable EDUs. */
  sendTransaction(
    destination: ServerName,
    transaction: OutgoingTransaction,
    options?: CallOptions,
  ): Promise<{ pdus: Readonly<Record<string, { error?: string }>>; committed?: number; heads?: Heads }>
  /** The same request signed for the mail: its envelope is good until `expires`, in milliseconds since 1970. */
  encloseTransaction(
    destination: ServerName,
    transaction: OutgoingTransaction,
    expires: number,
  ): Promise<EnvelopedRequest>
  makeMembership(
    kind: 'join' | 'leave' | 'knock',
    destination: ServerName,
    roomId: RoomId,
    userId: UserId,
    versions: readonly string[],
    options?: CallOptions,
  ): Promise<{ roomVersion: string; event: JsonObject }>
  /**
   * PUT /v2/send_join with `omit_members`: the answer names the servers of the room if it leaves out its members.
   * `isUnconfirmed` is `plexus.unconfirmed`: the destination has the state from one other alone.
   */
  sendJoin(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    event: JsonObject,
    options?: CallOptions,
  ): Promise<{
    state: readonly JsonObject[]
    authChain: readonly JsonObject[]
    event?: JsonObject
    serversInRoom?: readonly ServerName[]
    isUnconfirmed?: true
  }>
  sendLeave(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    event: JsonObject,
    options?: CallOptions,
  ): Promise<void>
  /** PUT /send_knock: answers with what the room shows of itself. */
  sendKnock(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    event: JsonObject,
    options?: CallOptions,
  ): Promise<{ roomState: readonly JsonObject[] }>
  /** PUT /v2/invite: answers with the event co-signed by the destination. */
  invite(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    invite: { roomVersion: string; event: JsonObject; inviteRoomState: readonly JsonObject[] },
    options?: CallOptions,
  ): Promise<{ event: JsonObject }>
  exchangeThirdPartyInvite(
    destination: ServerName,
    roomId: RoomId,
    event: JsonObject,
    options?: CallOptions,
  ): Promise<void>
  getMissingEvents(
    destination: ServerName,
    roomId: RoomId,
    query: { earliest: readonly EventId[]; latest: readonly EventId[]; limit: number; minDepth: number },
    options?: CallOptions,
  ): Promise<{ events: readonly JsonObject[] }>
  backfill(
    destination: ServerName,
    roomId: RoomId,
    from: readonly EventId[],
    limit: number,
    options?: CallOptions,
  ): Promise<{ pdus: readonly JsonObject[] }>
  event(
    destination: ServerName,
    eventId: EventId,
    options?: CallOptions,
  ): Promise<{ pdus: readonly JsonObject[] }>
  state(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    options?: CallOptions,
  ): Promise<{ pdus: readonly JsonObject[]; authChain: readonly JsonObject[] }>
  /** GET /state_ids; `isUnconfirmed` as with `sendJoin`. */
  stateIds(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    options?: CallOptions,
  ): Promise<{ pduIds: readonly EventId[]; authChainIds: readonly EventId[]; isUnconfirmed?: true }>
  profile(
    destination: ServerName,
    userId: UserId,
    field: string | undefined,
    options?: CallOptions,
  ): Promise<JsonObject>
  directory(
    destination: ServerName,
    alias: string,
    options?: CallOptions,
  ): Promise<{ roomId: RoomId; servers: readonly ServerName[] }>
  /** POST /publicRooms. */
  publicRooms(
    destination: ServerName,
    query: PublicRoomsQuery,
    options?: CallOptions,
  ): Promise<PublicRoomsPage>
  hierarchy(destination: ServerName, roomId: RoomId, options?: CallOptions): Promise<SpaceHierarchy>
  timestampToEvent(
    destination: ServerName,
    roomId: RoomId,
    ts: number,
    direction: 'f' | 'b',
    options?: CallOptions,
  ): Promise<{ eventId: EventId; sentAt: number }>
  /** POST /_matrix/policy/v1/sign: answers with the policy server's signatures, by server and key id. */
  signByPolicy(destination: ServerName, event: JsonObject, options?: CallOptions): Promise<JsonObject>
  /** GET /user/devices/{userId}. */
  userDevices(destination: ServerName, userId: UserId, options?: CallOptions): Promise<JsonObject>
  /** POST /user/keys/query. */
  queryKeys(
    destination: ServerName,
    deviceKeys: Readonly<Record<string, readonly string[]>>,
    options?: CallOptions,
  ): Promise<JsonObject>
  /** POST /user/keys/claim. */
  claimKeys(
    destination: ServerName,
    oneTimeKeys: Readonly<Record<string, Readonly<Record<string, string>>>>,
    options?: CallOptions,
  ): Promise<JsonObject>
  /**
   * GET /media/download/{mediaId}: the bytes of the media part. The destination waits `uploadTimeoutMs` for an upload that is
   * under way. More than `maxBytes` are a FederationError with M_TOO_LARGE.
   */
  downloadMedia(
    destination: ServerName,
    mediaId: string,
    maxBytes: number,
    options?: CallOptions & { readonly uploadTimeoutMs?: number },
  ): Promise<{ contentType: string; fileName?: string; bytes: Uint8Array }>
  /** GET /_matrix/key/v2/server. */
  serverKeys(destination: ServerName, options?: CallOptions): Promise<JsonObject>
  /** GET /_matrix/key/v2/query/{serverName} at a notary, for documents that are valid until `minimumValidUntil` at least. */
  notaryKeys(
    notary: ServerName,
    server: ServerName,
    minimumValidUntil: number,
    options?: CallOptions,
  ): Promise<readonly JsonObject[]>
}

/** Calls the push gateways that pushers name. spec: push-gateway-api.md */
export interface PushGateway {
  /** Answers with the status, and the push keys that the gateway takes no more. @throws when there is no answer. */
  notify(
    url: string,
    body: JsonObject,
  ): Promise<{ readonly status: number; readonly rejected: readonly string[] }>
}

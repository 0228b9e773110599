/**
 * The ports: what the engine needs from the outside, and what a user interface needs beyond the Client-Server API.
 * Every value that crosses a port is structured-clonable, so that the two sides can live in different threads.
 */
import type { EventId, JsonObject, RoomAlias, RoomId, ServerName, UserId } from '@plexus/core'
import type {
  AliasRecord,
  Certificate,
  Envelope,
  ListingRecord,
  MailboxAddress,
  PublishedRecord,
  SignedAccountRecord,
  SignedRecord,
  SignedRequest,
  SignedShelf,
} from '@plexus/core/names'
import type { PublicRoomsPage, PublicRoomsQuery, SpaceHierarchy } from './directory/types.ts'

// --- Store -----------------------------------------------------------------------------------------------------

/** One change of a commit: a value to put, or `undefined` to delete. Keys hold code units U+0001 to U+00FF only. */
export type Write = { readonly map: string; readonly key: string; readonly value: string | undefined }

export type RangeOptions = { readonly limit?: number; readonly reverse?: boolean }

/** `relaxed` survives a kill of the process or tab, `strict` also a power cut. */
export type Durability = 'relaxed' | 'strict'

/**
 * Named ordered maps of strings. A map exists by being written to. Keys sort by code unit, alike in every adapter.
 * Invariants: a commit is atomic across maps; a read sees every commit that returned before it began; exactly one
 * owner can commit.
 */
export interface Store {
  /** The value at `key`, `undefined` when there is none. */
  get(map: string, key: string): Promise<string | undefined>
  /** The values in the order of `keys`. */
  getMany(map: string, keys: readonly string[]): Promise<readonly (string | undefined)[]>
  /** Entries with `lo <= key < hi`, in key order (`reverse`: from the top); empty when there are none. */
  range(
    map: string,
    lo: string,
    hi: string,
    options?: RangeOptions,
  ): Promise<readonly (readonly [string, string])[]>
  /**
   * Applies all writes or none; later writes of one key win. After it returned, nothing of it is lost.
   * @throws StoreError `fenced` when another owner took over (for good), `full` when there is no room (try later),
   * `failed` for the rest.
   */
  commit(writes: readonly Write[], durability: Durability): Promise<void>
  close(): Promise<void>
}

/** `fenced` and `closed` are final; `full` may pass when the user frees space. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: 'fenced' | 'full' | 'closed' | 'failed'
  constructor(code: 'fenced' | 'full' | 'closed' | 'failed', message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/** Media by content hash, kept beside the store. */
export interface Blobs {
  /** Keeps `bytes` under the unpadded URL-safe base64 of their SHA-256 and returns it; idempotent. Durable on return. */
  put(bytes: Uint8Array): Promise<string>
  /** `undefined` when this node does not hold it. */
  get(hash: string): Promise<Uint8Array | undefined>
  delete(hash: string): Promise<void>
}

// --- Pictures and web pages, where the platform can ------------------------------------------------------------

export type ThumbnailSize = {
  /** In pixels, as the client wants it at least. */
  readonly width: number
  readonly height: number
  /** `crop`: of exactly this aspect. `scale`: of the picture's own. */
  readonly method: 'crop' | 'scale'
  /** Whether the answer may move. */
  readonly animated: boolean
}

export type Picture = { readonly bytes: Uint8Array; readonly contentType: string }

/** Decodes pictures of strangers: its adapters bound pixels, memory and time. */
export interface Pictures {
  /**
   * A thumbnail, never enlarged; `original` when the picture is no larger than wanted, `too-large` when its pixels are too
   * many, `unreadable` for bytes that are no picture of a known kind.
   */
  thumbnail(
    bytes: Uint8Array,
    size: ThumbnailSize,
  ): Promise<Picture | 'original' | 'too-large' | 'unreadable'>
}

/** What a page says about itself: properties such as `og:title`, and its picture. */
export type WebPage = {
  readonly properties: Readonly<Record<string, string>>
  readonly picture?: Picture & { readonly width: number; readonly height: number }
}

/** Reads pages at addresses of strangers' choice: its adapters bound size, time and redirects, and spare private networks. */
export interface WebPages {
  /** `refused` for an address that this node does not ask, `failed` when no page came. */
  read(url: string): Promise<WebPage | 'refused' | 'failed'>
}

// --- Network ---------------------------------------------------------------------------------------------------

/** What travels: the request as X-Matrix signs it, and between Plexus nodes the envelope around it. */
export type EnvelopedRequest = {
  readonly request: SignedRequest
  readonly envelope: Envelope
  /** The origin's signature of `envelopeBytes(envelope)`, unpadded base64 of 64 bytes. */
  readonly signature: string
}

/** The committed sequence of one incarnation of the requester, see DESIGN "End-to-end acknowledgement". */
export type Acknowledgement = { readonly incarnation: string; readonly committed: number }

/** An HTTP-like answer. JSON bodies are UTF-8 with `contentType` `application/json`. */
export type CarrierResponse = {
  readonly status: number
  readonly contentType: string
  readonly body: Uint8Array
  readonly acknowledgement?: Acknowledgement
  /** Set by who answered a request whose signature was found good: the budget that it counts for is its origin's. */
  readonly isProven?: true
}

/** Brings a signed request to its destination. It is never trusted: both ends check signatures. */
export interface Carrier {
  /**
   * Resolves with the destination's answer, whatever its status. `maxBytes` of its body are of use to the caller, the
   * carrier's own bound if absent: more need not be brought.
   * @throws CarrierError when no answer came; the request may or may not have been processed.
   */
  send(
    request: EnvelopedRequest,
    options: { signal?: AbortSignal; timeoutMs: number; maxBytes?: number },
  ): Promise<CarrierResponse>
}

/** `unreachable`: not delivered; `timeout`: unknown; `refused`: the other side spoke nonsense or broke a bound. */
export class CarrierError extends Error {
  override readonly name = 'CarrierError'
  readonly code: 'unreachable' | 'timeout' | 'refused'
  constructor(code: 'unreachable' | 'timeout' | 'refused', message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

/**
 * A request as a carrier received it, unproven: over libp2p in an envelope, over HTTPS without one, and without a
 * signature where the endpoint asks for none.
 */
export type InboundRequest = {
  readonly request: Omit<SignedRequest, 'origin' | 'signatures'> &
    Partial<Pick<SignedRequest, 'origin' | 'signatures'>>
  /** The content as text, of a carrier that brings it so: parsing may lose what its origin signed. */
  readonly body?: Uint8Array
  readonly envelope?: Envelope
  readonly signature?: string
}

/** What a carrier calls for each request that it received; server-api implements it. */
export type InboundHandler<Request extends InboundRequest = InboundRequest> = (
  request: Request,
) => Promise<CarrierResponse>

/** Where a server may be reached. Multiaddrs are hints, never proof; the certificate is. */
export type ServerAddresses = { readonly name: ServerName; readonly multiaddrs: readonly string[] }

/** Names to addresses and records: from links, memory, relays and the DHT. Who answers is believed in nothing. */
export interface Directory {
  /** Remembers hints for reaching a server. */
  learn(addresses: ServerAddresses): Promise<void>
  /** Own addresses as they belong into an invite link; empty when no relay is reachable. */
  own(): Promise<readonly string[]>
  /**
   * The newest record of a name that relays and DHT have, never an older one than was seen before; `undefined` when there
   * is none. Takes seconds. What it says of the way to the name is used from then on.
   */
  find(name: ServerName): Promise<SignedAccountRecord | undefined>
  /** The same for an alias of a key name. */
  findAlias(alias: RoomAlias): Promise<SignedRecord<AliasRecord> | undefined>
  /** The same for the rooms that a key name publishes. */
  findListing(name: ServerName): Promise<SignedRecord<ListingRecord> | undefined>
  /**
   * Makes a record of this node known, and tells it again to relays that come later.
   * @throws CarrierError when nobody took it: it is told to relays that come later all the same
   */
  publish(record: SignedRecord<PublishedRecord>): Promise<void>
}

// --- Mail: sealed requests that relays keep for who is away. DESIGN section 8 --------------------------------------

/**
 * Which quota a mail counts for: what cannot be fetched again (to-device, invites), events, and what comes from somebody
 * without the recipient's access key.
 */
export type MailLane = 'keys' | 'events' | 'strangers'

/** A mail as a relay keeps it: nothing but the recipient is known of it. */
export type SealedMail = {
  readonly recipient: ServerName
  readonly lane: MailLane
  /** Of the recipient's sealing key. */
  readonly keyId: string
  /** Milliseconds since 1970 after which it is of no use. */
  readonly expires: number
  /** Encapsulated key and ciphertext. */
  readonly bytes: Uint8Array
}

/** A mail with its place in one mailbox: `cursor` rises in the order of arrival there. */
export type KeptMail = { readonly cursor: number; readonly mail: SealedMail }

/** Why a relay does not take something. */
export type MailRefusal =
  /** The recipient keeps no mailbox there. */
  | 'unknown-recipient'
  /** The sealing key is not of the recipient's newest record, which the answer holds. */
  | 'old-key'
  /** A record of this node that is newer than the one registered, or another of the same sequence: the answer holds it. */
  | 'old-record'
  | 'bad-access'
  | 'quota'
  | 'too-large'
  | 'too-fast'
  | 'not-allowed'
  | 'nonsense'

/** The relay answered that it does not take it. */
export class MailError extends Error {
  override readonly name = 'MailError'
  readonly code: MailRefusal
  /** The newest record of the recipient, soundly signed, with `old-key` and `old-record`; sometimes with others. */
  readonly record: SignedAccountRecord | undefined
  constructor(code: MailRefusal, record?: SignedAccountRecord) {
    super(`the relay refuses: ${code}`)
    this.code = code
    this.record = record
  }
}

/** An X25519 pair, 32 bytes each. */
export type SealingPair = { readonly publicKey: Uint8Array; readonly privateKey: Uint8Array }

/** Seals bytes to a public key, by HPKE in base mode (RFC 9180): nothing tells who sealed them. */
export interface Sealer {
  makeKey(): Promise<SealingPair>
  /** Encapsulated key and ciphertext, 48 bytes more than `text`. @throws for a public key that is none. */
  seal(publicKey: Uint8Array, info: Uint8Array, text: Uint8Array): Promise<Uint8Array>
  /** `undefined` for what was altered, or sealed to another key or with another `info`. Never throws on any bytes. */
  open(pair: SealingPair, info: Uint8Array, sealed: Uint8Array): Promise<Uint8Array | undefined>
}

/** What became of a mail. */
export type MailVerdict =
  /** It is committed. `isNews`: it held more than word of what came to its origin by mail. */
  | {
      readonly kind: 'taken'
      readonly origin: ServerName
      readonly incarnation: string
      readonly txnId: string
      readonly isNews: boolean
    }
  /** It never will be. */
  | { readonly kind: 'refused'; readonly why: string }
  /** The store does not take it at present. */
  | { readonly kind: 'later' }

/** Takes in opened mails, unproven, and answers about each after the commit; server-api implements it. Never rejects. */
export type MailHandler = (mails: readonly EnvelopedRequest[]) => Promise<readonly MailVerdict[]>

/** Keys of one device for a shelf, each under its name as `POST /user/keys/claim` answers. */
export type DeviceStock = {
  /** One-time keys beside those that are there. They are given out once, and never brought again. */
  readonly add: readonly JsonObject[]
  /** In the place of the one that is there. */
  readonly fallback?: JsonObject
}

/** By device id. */
export type ShelfKeys = Readonly<Record<string, DeviceStock>>

/** One-time keys that a relay says to have left, and whether it gave out the fallback key; by device id. */
export type ShelfCounts = Readonly<Record<string, { readonly left: number; readonly fallbackUsed: boolean }>>

/** A user's shelf as a relay shows it, and a key of each device that was asked for and has one. */
export type ShelfAnswer = { readonly shelf: SignedShelf; readonly keys: Readonly<Record<string, JsonObject>> }

/** Mailboxes at relays: those of this node, and those of others to leave mail in. Relays are believed in nothing. */
export interface Mailboxes {
  /** Relays that are connected now and offer mailboxes. */
  relays(): Promise<readonly MailboxAddress[]>
  /**
   * Makes or keeps this node's mailbox at a connected relay, which keeps and serves `record` from then on.
   * `accessKeyHash`: unpadded base64 of the SHA-256 of the 32 bytes of the key that lanes `keys` and `events` ask for.
   * @throws MailError, CarrierError
   */
  register(relay: string, registration: { record: SignedAccountRecord; accessKeyHash: string }): Promise<void>
  /**
   * Mail of this node's mailbox after `cursor`, in order of arrival, bounded by the relay; empty when there is no more.
   * @throws MailError, CarrierError
   */
  fetch(relay: string, cursor: number): Promise<readonly KeptMail[]>
  /** This device has everything up to `cursor`, on disk. @throws MailError, CarrierError */
  acknowledge(relay: string, cursor: number): Promise<void>
  /**
   * Leaves mail at a relay, under an identity that is used for this recipient alone. On disk there when it resolves; the
   * same bytes again change nothing. Resolves with the milliseconds that the relay says to keep mail for at most. `accessKey`, unpadded base64 of 32 bytes, goes with the lanes `keys` and `events`;
   * without it the lane is `strangers`, and a proof of work is made.
   * @throws MailError, CarrierError
   */
  deposit(mailbox: MailboxAddress, mail: SealedMail, accessKey: string | undefined): Promise<number>
  /**
   * Puts the shelf of a user in the place of an older one at a relay that keeps this node's mail, and keys on it. The keys of
   * devices that it does not name are gone. What is left is the relay's word. @throws MailError, CarrierError
   */
  stock(relay: string, shelf: SignedShelf, keys: ShelfKeys): Promise<ShelfCounts>
  /**
   * The shelf that a relay shows of a user of `name`, soundly signed and not over, and a key of each of these devices, which it
   * gives nobody else: fallback keys excepted. Asked under an identity that is used for this name alone.
   * @throws MailError, CarrierError
   */
  ask(
    mailbox: MailboxAddress,
    name: ServerName,
    question: { user: UserId; devices: readonly string[] },
  ): Promise<ShelfAnswer>
}

// --- Application services ---------------------------------------------------------------------------------------

export type ServiceResponse = { readonly status: number; readonly body: string }

/** HTTP to the addresses of application services, which the operator named. */
export interface ServiceHttp {
  /**
   * Resolves with the answer, whatever its status; no redirect is followed. `token` goes into the Authorization header,
   * `body` is JSON.
   * @throws CarrierError when no answer came, or (`refused`) one of more than `maxBytes`.
   */
  send(request: {
    readonly method: 'GET' | 'POST' | 'PUT'
    readonly url: string
    readonly token: string
    readonly body?: string
    readonly timeoutMs: number
    readonly maxBytes: number
  }): Promise<ServiceResponse>
}

// --- Federation client (server-api implements it; the engine says what, it says how) ----------------------------

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

/** The newest event of the destination that is here, by room, told between Plexus nodes as `plexus.taken`. */
export type Taken = Readonly<Record<RoomId, EventId>>

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
  /** PUT /v2/send_join with `omit_members`: the answer names the servers of the room if it leaves out its members. */
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
  stateIds(
    destination: ServerName,
    roomId: RoomId,
    eventId: EventId,
    options?: CallOptions,
  ): Promise<{ pduIds: readonly EventId[]; authChainIds: readonly EventId[] }>
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

// --- Keys, time, chance, log -----------------------------------------------------------------------------------

/** Holds the name key. It signs bytes that this node built, see DESIGN section 2. */
export interface Signer {
  readonly name: ServerName
  /** `ed25519:<version>`, the key id under which signatures stand. */
  readonly keyId: string
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** 64 bytes. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

export type SignatureCheck = {
  readonly publicKey: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
}

/** Checks Ed25519 signatures; every adapter gives equal answers for the cases of `test/vectors/ed25519.json`. */
export interface Verifier {
  /** One answer per check, in order. Never throws on any bytes. */
  verify(checks: readonly SignatureCheck[]): Promise<readonly boolean[]>
}

export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number
  /** Calls `run` once after `ms`; the answer cancels it. */
  after(ms: number, run: () => void): () => void
}

export interface Random {
  bytes(length: number): Uint8Array
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Structured log; `fields` never hold secrets, tokens, keys or message text. */
export interface Log {
  log(
    level: LogLevel,
    message: string,
    fields?: Readonly<Record<string, string | number | boolean | undefined>>,
  ): void
}

// --- What a user interface needs beyond the Client-Server API ---------------------------------------------------

/**
 * How far an event of ours has got: `delivered` of `members`, the nodes of the other joined members. For `atRelay` of
 * the others it waits in a mailbox.
 */
export type Delivery = {
  readonly eventId: EventId
  readonly roomId: RoomId
  readonly delivered: number
  readonly atRelay: number
  readonly members: number
}

export type Session = {
  readonly userId: UserId
  readonly deviceId: string
  readonly accessToken: string
  /** Of a session whose access tokens expire. */
  readonly refresh?: { readonly token: string; readonly expiresInMs: number }
}

/** The parts of an invite link, DESIGN section 7 "Invite links". */
export type InviteLink = {
  readonly roomId: RoomId
  /** State key of the `m.room.third_party_invite` event. */
  readonly token: string
  /** Unpadded URL-safe base64 of the one-time Ed25519 seed. */
  readonly secret: string
  readonly inviter: UserId
  /** Hints for reaching the inviter. */
  readonly multiaddrs: readonly string[]
  /** What to call the room before it is joined; shown as the link's claim, never trusted. */
  readonly roomName?: string
}

export interface NodeControl {
  /** The account of this single-user node, `undefined` before sign-up. */
  session(): Promise<Session | undefined>
  /** Makes the one account of this node. @throws when there is one, or the localpart is not allowed. */
  createAccount(localpart: string, deviceName: string): Promise<Session>
  /** The current deliveries of own events in flight, then every change, until the answer is called. */
  watchDeliveries(listener: (delivery: Delivery) => void): Promise<() => void>
  /** The delivery of one own event; `undefined` for an event that is not ours. */
  delivery(roomId: RoomId, eventId: EventId): Promise<Delivery | undefined>
  /** Own events that neither another member's node nor a relay has yet. */
  waiting(): Promise<number>
  /** Makes the third-party invite event and the link's parts; valid for 7 days. */
  createInvite(roomId: RoomId, as: UserId): Promise<InviteLink>
  revokeInvite(roomId: RoomId, token: string, as: UserId): Promise<void>
  /**
   * Exchanges a link for an ordinary invite, which arrives by sync: `waiting` for one that comes by mail once the inviter's node
   * is up. @throws with what to do, when it cannot.
   */
  openInvite(link: InviteLink, as: UserId): Promise<'invited' | 'waiting'>
  /** Certificate that binds a transport key (libp2p peer id) to this node's name. */
  certify(peerId: string): Promise<{ certificate: Certificate; signature: string }>
  /** A peer's node appeared: whatever waits for it is sent. */
  peerAppeared(name: ServerName): void
  /** The kept copy of another server's media failed its hash check: the next download fetches it anew. */
  forgetMedia(server: ServerName, mediaId: string): Promise<void>
}

/**
 * The ports: what the engine needs from the outside, and what a user interface needs beyond the Client-Server API.
 * Every value that crosses a port is structured-clonable, so that the two sides can live in different threads.
 */
import type { EventId, RoomAlias, RoomId, ServerName, UserId } from '@plexus/core'
import type {
  AliasRecord,
  Certificate,
  Envelope,
  ListingRecord,
  PublishedRecord,
  SignedAccountRecord,
  SignedRecord,
  SignedRequest,
} from '@plexus/core/names'

export * from './ports-federation.ts'
export * from './ports-mail.ts'

// --- Store -----------------------------------------------------------------------------------------------------

/** One change of a commit: a value to put, or `undefined` to delete. Keys hold code units U+0001 to U+00FF only. */
export type Write = { readonly map: string; readonly key: string; readonly value: string | undefined }

export type RangeOptions = { readonly limit?: number; readonly reverse?: boolean }

/** `relaxed` survives a kill of the process or tab, `strict` also a power cut. */
export type Durability = 'relaxed' | 'strict'

/** What only the newest life of a store in its place knows, of the last life and of this one. */
export type Place = { readonly before: string | undefined; readonly now: string }

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

/** A link whose inviter is asked by mail. */
export type OpenedLink = {
  readonly link: InviteLink
  /** Milliseconds since 1970 from which on the link is good no more, whenever it was made. */
  readonly expires: number
  /** The inviter's node says that it is not good. */
  readonly refused: boolean
}

export interface NodeControl {
  /** The account of this single-user node, `undefined` before sign-up. */
  session(): Promise<Session | undefined>
  /** The account was taken over by another device: this node sends, takes and answers nothing for it any more. Durable. */
  isReplaced(): boolean
  /** Calls back when that happens, until the answer is called. */
  watchReplaced(listener: () => void): () => void
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
  /** The links of a user that wait for an invite by mail, or wait in vain. */
  openedLinks(as: UserId): Promise<readonly OpenedLink[]>
  /** Calls back when these may be others, until the answer is called. */
  watchOpenedLinks(listener: () => void): () => void
  /** Waits no longer. What comes all the same is an ordinary invite. */
  forgetOpenedLink(roomId: RoomId, as: UserId): Promise<void>
  /** Certificate that binds a transport key (libp2p peer id) to this node's name. */
  certify(peerId: string): Promise<{ certificate: Certificate; signature: string }>
  /** A peer's node appeared: whatever waits for it is sent. */
  peerAppeared(name: ServerName): void
  /** The kept copy of another server's media failed its hash check: the next download fetches it anew. */
  forgetMedia(server: ServerName, mediaId: string): Promise<void>
}

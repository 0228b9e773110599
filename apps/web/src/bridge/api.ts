/** What the worker offers the page and the page the worker. Every value is structured-clonable. */
import type { EventId, RoomAlias, RoomId, ServerName, UserId } from '@plexus/core'
import type {
  AliasRecord,
  ListingRecord,
  MailboxAddress,
  PublishedRecord,
  SignedAccountRecord,
  SignedRecord,
  SignedShelf,
} from '@plexus/core/names'
import type {
  CarrierResponse,
  Delivery,
  EnvelopedRequest,
  InviteLink,
  KeptMail,
  Mailboxes,
  NodeControl,
  OpenedLink,
  SealedMail,
  ServerAddresses,
  Session,
  ShelfAnswer,
  ShelfCounts,
  ShelfKeys,
} from '@plexus/engine/ports'

/** A request of the Client-Server API. `path` with query, from `/_matrix/` on. */
export type WireRequest = {
  readonly method: string
  readonly path: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Uint8Array | string | undefined
}

export type WireResponse = {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Uint8Array
}

export type SignUp = {
  readonly localpart: string
  /** The words of an account to restore; without them a new one is made. */
  readonly phrase: string | undefined
  readonly deviceName: string
}

type Certified = Awaited<ReturnType<NodeControl['certify']>>

/** `NodeControl` and `InboundHandler` of the engine, the Client-Server API, and the keys, which the worker keeps. */
export type NodeApi = {
  /**
   * Opens keys and store and starts the engine when there is an account. `takeBack`: from a device that took it over.
   * @throws StoreError
   */
  readonly open: (how: { readonly takeBack: boolean }) => Promise<Session | undefined>
  readonly signUp: (signUp: SignUp) => Promise<Session>
  readonly fetch: (request: WireRequest, signal: AbortSignal) => Promise<WireResponse>
  readonly inbound: (request: EnvelopedRequest) => Promise<CarrierResponse>
  /** Starts the messages `delivered` and `wanted`, first with how things stand, and `linksChanged`. */
  readonly watch: (argument: null) => Promise<void>
  readonly delivery: (event: {
    readonly roomId: RoomId
    readonly eventId: EventId
  }) => Promise<Delivery | undefined>
  readonly waiting: (argument: null) => Promise<number>
  readonly createInvite: (invite: { readonly roomId: RoomId; readonly as: UserId }) => Promise<InviteLink>
  readonly revokeInvite: (invite: {
    readonly roomId: RoomId
    readonly token: string
    readonly as: UserId
  }) => Promise<void>
  readonly openInvite: (invite: {
    readonly link: InviteLink
    readonly as: UserId
  }) => ReturnType<NodeControl['openInvite']>
  readonly openedLinks: (as: UserId) => Promise<readonly OpenedLink[]>
  readonly forgetOpenedLink: (opened: { readonly roomId: RoomId; readonly as: UserId }) => Promise<void>
  /** Another device has the account: the network is not to be started. */
  readonly isReplaced: (argument: null) => Promise<boolean>
  readonly certify: (peerId: string) => Promise<Certified>
  readonly peerAppeared: (name: ServerName) => Promise<void>
  /** The relay has come up, or has mail. */
  readonly mailArrived: (relay: string) => Promise<void>
  readonly forgetMedia: (media: { readonly server: ServerName; readonly mediaId: string }) => Promise<void>
  /** The words of the recovery phrase, until they are confirmed. */
  readonly phrase: (argument: null) => Promise<string | undefined>
  readonly confirmPhrase: (argument: null) => Promise<void>
  /** The words in their plain form. @throws with what is wrong with them, for the user */
  readonly checkPhrase: (typed: string) => Promise<string>
  /** Opens an export. @throws with words for the user */
  readonly unseal: (file: { readonly phrase: string; readonly sealed: string }) => Promise<string>
  /** Encrypts an export so that only the recovery phrase opens it. */
  readonly seal: (text: string) => Promise<string>
  /** Secret of the page's libp2p node, made by `generate` at the first start. */
  readonly transportKey: (generated: Uint8Array) => Promise<Uint8Array>
  /** Small things that the page's libp2p node remembers, by name. */
  readonly recall: (name: string) => Promise<string | undefined>
  readonly remember: (note: { readonly name: string; readonly text: string }) => Promise<void>
}

/** `Carrier`, `Directory` and `Mailboxes` of the page's libp2p node, and what the page is told. */
export type PageApi = {
  readonly send: (
    request: { readonly request: EnvelopedRequest; readonly timeoutMs: number },
    signal: AbortSignal,
  ) => Promise<CarrierResponse>
  readonly learn: (addresses: ServerAddresses) => Promise<void>
  readonly ownAddresses: (argument: null) => Promise<readonly string[]>
  readonly find: (name: ServerName) => Promise<SignedAccountRecord | undefined>
  readonly findAlias: (alias: RoomAlias) => Promise<SignedRecord<AliasRecord> | undefined>
  readonly findListing: (name: ServerName) => Promise<SignedRecord<ListingRecord> | undefined>
  readonly publish: (record: SignedRecord<PublishedRecord>) => Promise<void>
  readonly mailRelays: (argument: null) => Promise<readonly MailboxAddress[]>
  readonly mailRegister: (at: {
    readonly relay: string
    readonly registration: Parameters<Mailboxes['register']>[1]
  }) => Promise<void>
  readonly mailFetch: (at: {
    readonly relay: string
    readonly cursor: number
    readonly end: 'last' | undefined
  }) => Promise<readonly KeptMail[]>
  readonly mailAcknowledge: (at: { readonly relay: string; readonly cursor: number }) => Promise<void>
  readonly mailDeposit: (at: {
    readonly mailbox: MailboxAddress
    readonly mail: SealedMail
    readonly accessKey: string | undefined
  }) => Promise<number>
  readonly mailStock: (at: {
    readonly relay: string
    readonly shelf: SignedShelf
    readonly keys: ShelfKeys
  }) => Promise<ShelfCounts>
  readonly mailAsk: (at: {
    readonly mailbox: MailboxAddress
    readonly name: ServerName
    readonly question: Parameters<Mailboxes['ask']>[2]
  }) => Promise<ShelfAnswer>
  readonly delivered: (delivery: Delivery) => Promise<void>
  /** `openedLinks` may answer otherwise. */
  readonly linksChanged: (argument: null) => Promise<void>
  /** Another device took the account over. */
  readonly replaced: (argument: null) => Promise<void>
  /** The servers to keep connected: those that share a room with this one. */
  readonly wanted: (names: readonly ServerName[]) => Promise<void>
  /** The node can go on no more: another page took over, or the disk is full. */
  readonly stopped: (reason: {
    readonly code: 'fenced' | 'full' | 'failed'
    readonly message: string
  }) => Promise<void>
}

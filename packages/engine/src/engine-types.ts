/** What an engine is made of, and what it offers. */
import type { ServerName } from '@plexus/core'
import type {
  NodeControl,
  Place,
  Blobs,
  Clock,
  Directory,
  Federation,
  Log,
  Mailboxes,
  Pictures,
  PushGateway,
  Random,
  Sealer,
  Signer,
  Store,
  Verifier,
  WebPages,
} from './ports.ts'
import type { AppServicesInit } from './app-services/index.ts'
import type { AppServiceCalls, AppServices } from './app-services/types.ts'
import type { Committer } from './kernel/committer.ts'
import type { ServerKeys } from './keys/types.ts'
import type { Mail } from './mail/index.ts'
import type { Inbound, Outbox } from './outbox-types.ts'
import type { FanOutInit } from './outbox/fan-out.ts'
import type { Presence, ReadMarkers, Receipts, Typing } from './rooms-ephemeral/types.ts'
import type { Rooms } from './rooms/types.ts'
import type { RoomDirectory } from './directory/index.ts'
import type { Polls, RoomReader, SlidingSync, Sync } from './sync/index.ts'
import type { UsersInit } from './users/deps.ts'
import type { Users } from './users/types.ts'

export type EngineDeps = {
  readonly store: Store
  readonly blobs: Blobs
  /** Absent where the platform decodes no pictures: small ones then stand in for their thumbnails. */
  readonly pictures?: Pictures | undefined
  /** Absent where no web pages are read: there are no URL previews then. */
  readonly webPages?: WebPages | undefined
  /** Made with the incarnation of the store, which its envelopes name. */
  readonly federation: (incarnation: string) => Federation
  readonly directory: Directory
  readonly signer: Signer
  readonly verifier: Verifier
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Absent where no push gateways can be called: clients can set no pushers then. */
  readonly pushGateway?: PushGateway | undefined
  /** Absent where no relays can be asked to keep mail. */
  readonly mail?: { readonly mailboxes: Mailboxes; readonly sealer: Sealer } | undefined
  /** Resolves when what is ready to run has run. For a store that commits at once, so that changes can share a commit. */
  readonly turn?: () => Promise<void>
}

export type EngineInit = {
  readonly users?: UsersInit
  /** Servers asked about the keys of servers that do not answer; none by default. */
  readonly notaries?: readonly ServerName[]
  /** From which size on the events of a room spread by gossip, and to how many servers at once. */
  readonly fanOut?: FanOutInit | undefined
  /** JSON text of the durable EDUs that wait for other servers, in UTF-16 code units; `MAX_WAITING_LENGTH` by default. */
  readonly maxWaitingLength?: number | undefined
  /** None by default. */
  readonly appServices?: AppServicesInit
  /** Tells a copy of the store that was put in its place, which may know less than others have from here. Absent where there are none. */
  readonly place?: Place | undefined
  /** Takes the account back from the device that took it over, if one did: that one then is replaced itself. */
  readonly takeBack?: boolean
}

export interface Engine {
  readonly serverName: ServerName
  /** 128 random bits of this store, unpadded URL-safe base64. */
  readonly incarnation: string
  readonly clock: Clock
  readonly log: Log
  readonly random: Random
  readonly committer: Committer
  readonly federation: Federation
  readonly keys: ServerKeys
  readonly rooms: Rooms
  readonly users: Users
  readonly receipts: Receipts
  readonly readMarkers: ReadMarkers
  readonly typing: Typing
  readonly presence: Presence
  readonly sync: Sync
  readonly slidingSync: SlidingSync
  readonly polls: Polls
  readonly reader: RoomReader
  readonly roomDirectory: RoomDirectory
  readonly appServices: AppServices & AppServiceCalls
  readonly outbox: Outbox
  readonly inbound: Inbound
  readonly control: NodeControl
  /** Absent where no relays can be asked to keep mail. */
  readonly mail: Mail | undefined
  /** Takes up what an earlier process left in staging and outbox. */
  resume(): Promise<void>
  /** Resolves when nothing is being processed, sent or committed; what waits for a peer may remain. */
  idle(): Promise<void>
  close(): Promise<void>
}

/** What the users slice is made of. */
import type { Scrypt } from './password.ts'
import type { Committer } from '../kernel/committer.ts'
import type { UserId } from '@plexus/core'
import type { AppServices } from '../app-services/types.ts'
import type { KeyedMutex } from '../kernel/mutex.ts'
import type { Outbox } from '../outbox-types.ts'
import type {
  Blobs,
  Clock,
  Federation,
  Log,
  Pictures,
  PushGateway,
  Random,
  Signer,
  Store,
  Verifier,
  WebPages,
} from '../ports.ts'
import type { Rooms } from '../rooms/types.ts'
import type { TurnInit } from './turn.ts'

export type UsersDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly blobs: Blobs
  readonly pictures?: Pictures | undefined
  readonly webPages?: WebPages | undefined
  /** Absent where no push gateways can be called. */
  readonly pushGateway?: PushGateway | undefined
  readonly clock: Clock
  readonly random: Random
  readonly signer: Signer
  readonly verifier: Verifier
  readonly federation: Federation
  readonly outbox: Outbox
  /** Asked at each use: rooms need users as much as users need rooms. */
  readonly rooms: () => Rooms
  readonly log: Log
  readonly appServices: Pick<AppServices, 'isUserReserved'>
  /** A local user who is not there may be after this. Never rejects. */
  readonly seekUser: (userId: UserId) => Promise<void>
  /** An account was given up. */
  readonly deactivated: () => void
}

export type RegistrationInit = {
  /** Who may make an account through the Client-Server API: everybody, who has the token, or nobody. */
  readonly mode: 'open' | 'token' | 'closed'
  /** Secret. Needed in mode `token`. */
  readonly token?: string
}

export type UsersInit = {
  /** Localparts of the administrators; none by default. */
  readonly admins?: readonly string[]
  /** Open by default. */
  readonly registration?: RegistrationInit
  /** None by default. */
  readonly turn?: TurnInit | undefined
  /** Accounts that this node hosts at most; 1 in a tab. */
  readonly maxAccounts?: number
  /** Account data entries of one user, in all rooms together. */
  readonly maxAccountDataEntries?: number
  /** Bytes of the largest upload. */
  readonly maxUploadBytes?: number
  /** Bytes of the media that one user may keep here. */
  readonly maxMediaBytesPerUser?: number
  /** Bytes of other servers' media that are kept. */
  readonly maxRemoteMediaBytes?: number
  /** log2 of the scrypt cost N of new password hashes. */
  readonly passwordCost?: number
  /** Off the thread, where the platform can. */
  readonly scrypt?: Scrypt
}

/** The parts of the slice share one mutex: a key is `<what> <user id>`. */
export type UsersContext = UsersDeps & { readonly mutex: KeyedMutex }

/**
 * What the users slice offers to the APIs: accounts, devices, end-to-end keys, to-device messages, account data, push
 * rules, profiles, media. Every method that changes something resolves after its commit; what `/sync` shows carries the
 * stream position of its commit.
 */
import type { EventId, JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import type { AppService } from '../app-services/types.ts'
import type { EduHandler } from '../outbox-types.ts'
import type { Session, ThumbnailSize } from '../ports.ts'
import type {
  AccountData,
  Filters,
  Media,
  MediaItem,
  OpenId,
  Previews,
  Turn,
  Profiles,
  PushRules,
  Pushers,
  Thumbnails,
  UpgradedRooms,
  UserDirectory,
} from './types-data.ts'
import type {
  DehydratedDevices,
  DeviceLists,
  Devices,
  E2eeKeys,
  KeyBackups,
  KeyClaims,
  KeyShelf,
  ToDevice,
} from './types-keys.ts'

export * from './types-data.ts'
export * from './types-keys.ts'

/** A request about users cannot be done; `errcode` as in the Client-Server API. */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly errcode: UserErrorCode
  constructor(errcode: UserErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.errcode = errcode
  }
}

/** Bounds on the wait for other servers. */
export type RemoteOptions = { readonly timeoutMs?: number; readonly signal?: AbortSignal }

export type UserErrorCode =
  | 'M_BAD_JSON'
  | 'M_BAD_STATE'
  | 'M_CANNOT_OVERWRITE_MEDIA'
  | 'M_EXCLUSIVE'
  | 'M_FORBIDDEN'
  | 'M_INVALID_PARAM'
  | 'M_INVALID_SIGNATURE'
  | 'M_INVALID_USERNAME'
  | 'M_LIMIT_EXCEEDED'
  | 'M_MISSING_PARAM'
  | 'M_NOT_FOUND'
  | 'M_NOT_YET_UPLOADED'
  | 'M_PROFILE_TOO_LARGE'
  | 'M_KEY_TOO_LARGE'
  | 'M_TOO_LARGE'
  | 'M_UNKNOWN'
  | 'M_USER_DEACTIVATED'
  | 'M_USER_IN_USE'
  | 'M_WEAK_PASSWORD'
  | 'M_WRONG_ROOM_KEYS_VERSION'

/** Who makes a request: a user on one of their devices. */
export type Caller = { readonly userId: UserId; readonly deviceId: string }

// --- Accounts ---------------------------------------------------------------------------------------------------

export type NewAccount = {
  /** Made up when absent. */
  readonly localpart?: string
  /** An account without a password can be used only from its first device, or through `openSession`. */
  readonly password?: string
  /** The application service that makes it. */
  readonly by?: AppService
}

export type NewDevice = {
  readonly deviceId?: string
  readonly displayName?: string
  /** The client can refresh its access token: it gets one that expires. */
  readonly refreshable?: boolean
  /** Where the client is. */
  readonly address?: string
}

/** `softLogout`: the token has expired, and the client may log in again with its device. */
export type Authentication =
  | { readonly kind: 'requester'; readonly requester: Caller }
  | { readonly kind: 'unknown'; readonly softLogout: boolean }

/** Accounts of this node: `@localpart:<signer.name>`. Passwords are kept as scrypt hashes, tokens as SHA-256. */
export interface Accounts {
  /**
   * @throws UserError M_USER_IN_USE, M_INVALID_USERNAME, M_EXCLUSIVE for what an application service has for itself or
   * `by` has not in its namespace, M_FORBIDDEN when this node takes no more accounts.
   */
  checkAvailable(localpart: string, by?: AppService): Promise<void>
  /** Makes an account, and with `device` its first session. @throws as `checkAvailable`; M_WEAK_PASSWORD. */
  register(account: NewAccount): Promise<UserId>
  register(account: NewAccount, device: NewDevice): Promise<Session>
  /** `user` is a localpart or a whole user id. @throws UserError M_FORBIDDEN, M_USER_DEACTIVATED, M_LIMIT_EXCEEDED. */
  login(user: string, password: string, device: NewDevice): Promise<Session>
  /** A session without a password, for the node's own user interface; ends the device's session before it. */
  openSession(userId: UserId, device: NewDevice): Promise<Session>
  /**
   * A new access token for the session of a refresh token, which stays good; the one before ends. `undefined` for a token
   * that is not known. spec: client-server-api "Refreshing access tokens"
   */
  refresh(
    refreshToken: string,
  ): Promise<{ readonly accessToken: string; readonly expiresInMs: number } | undefined>
  /** Whose token it is; answers from memory for tokens seen before. */
  authenticate(accessToken: string, address?: string): Promise<Authentication>
  /** Deletes the device too. */
  logout(caller: Caller): Promise<void>
  logoutAll(userId: UserId): Promise<void>
  hasPassword(userId: UserId): Promise<boolean>
  /** Constant time in the password; false for an account without one. @throws UserError M_LIMIT_EXCEEDED. */
  checkPassword(userId: UserId, password: string): Promise<boolean>
  /** `keep`: all other devices are deleted. @throws UserError M_WEAK_PASSWORD. */
  setPassword(userId: UserId, password: string, options?: { readonly keep?: Caller }): Promise<void>
  /** For good: ends all sessions, leaves all rooms, empties the profile. The localpart stays taken. */
  deactivate(userId: UserId): Promise<void>
  /** True for an account of this node that is not deactivated. */
  exists(userId: UserId): Promise<boolean>
  /** The accounts of this node that are not deactivated, sorted. */
  list(): Promise<readonly UserId[]>
}

/** The body of a 401 answer. spec: client-server-api/_index.md "User-interactive API in the REST API" */
export type InteractiveChallenge = {
  readonly flows: readonly { readonly stages: readonly string[] }[]
  readonly params: JsonObject
  readonly session: string
  readonly completed?: readonly string[]
  readonly errcode?: string
  readonly error?: string
}

/** User-interactive authentication. Sessions live in memory, bounded in number and time. */
export interface Interactive {
  /**
   * Checks `auth`, the `auth` key of a request body as it came. `operation` names what is authorised (method, path and
   * caller): a session counts for the operation it began with. `stages` is the one flow offered.
   * @returns `undefined` when all stages are complete, else the body of the 401 answer.
   * @throws UserError M_FORBIDDEN for the password of somebody else than `userId`.
   */
  check(
    operation: string,
    auth: JsonObject | undefined,
    stages: readonly string[],
    userId?: UserId,
  ): Promise<InteractiveChallenge | undefined>
  /** What proves an existing user: the password, or for an account without one the dummy stage. */
  stagesFor(userId: UserId): Promise<readonly string[]>
}

/** What administrators do to accounts. spec: client-server-api/_index.md "Account moderation" */
export interface Moderation {
  isAdmin(userId: UserId): boolean
  /** Asked for each request; from memory. */
  restrictionsOf(userId: UserId): Promise<{ readonly locked?: boolean; readonly suspended?: boolean }>
  /** As `restrictionsOf`. @throws UserError M_INVALID_PARAM for a user of another server, M_NOT_FOUND */
  find(userId: UserId): ReturnType<Moderation['restrictionsOf']>
  /** @throws as `find`; M_FORBIDDEN for an administrator. */
  restrict(
    userId: UserId,
    change: { readonly locked: boolean } | { readonly suspended: boolean },
  ): Promise<void>
}

export type Report = {
  readonly by: UserId
  /** Milliseconds since the epoch. */
  readonly at: number
  /** In the words of the user; may be empty. */
  readonly reason: string
  readonly roomId?: RoomId
  readonly eventId?: EventId
  readonly userId?: UserId
}

/** What users tell the operator of. */
export interface Reports {
  /** @throws UserError M_TOO_LARGE */
  add(by: UserId, about: Pick<Report, 'roomId' | 'eventId' | 'userId'>, reason: string): Promise<void>
  /** The newest first. */
  list(): Promise<readonly Report[]>
}

export interface LoginTokens {
  /** A token with which a client logs in as this user. */
  issue(userId: UserId): { readonly token: string; readonly expiresInMs: number }
  /** Whose it is; `undefined` when it was used, has expired or never was. */
  take(token: string): UserId | undefined
}

export interface Registration {
  readonly mode: 'open' | 'token' | 'closed'
  /** The stages of user-interactive authentication that a new account takes. */
  readonly stages: readonly string[]
  /** Constant time in the token. Always false where none is asked for. */
  isToken(text: string): boolean
}

// --- Federation -------------------------------------------------------------------------------------------------

/** What other servers may ask. Answers are the bodies of the Server-Server API. */
export interface UserQueries {
  /** GET /user/devices/{userId}. @throws UserError M_NOT_FOUND. */
  devices(origin: ServerName, userId: UserId): Promise<JsonObject>
  /** POST /user/keys/query. */
  queryKeys(origin: ServerName, deviceKeys: Readonly<Record<string, readonly string[]>>): Promise<JsonObject>
  /**
   * POST /user/keys/claim. `requestId` is the same when the same request comes again (the hash of the signed request with
   * its envelope): the answer is then the same too, and no further key is given out.
   */
  claimKeys(origin: ServerName, requestId: string, claims: KeyClaims): Promise<JsonObject>
  /** GET /query/profile. @throws UserError M_NOT_FOUND. */
  profile(origin: ServerName, userId: UserId, field?: string): Promise<JsonObject>
  /** GET /media/download/{mediaId}: own media only. @throws UserError M_NOT_FOUND, M_NOT_YET_UPLOADED. */
  media(origin: ServerName, mediaId: string, options: RemoteOptions): Promise<MediaItem>
  /** GET /media/thumbnail/{mediaId}: of own media only. @throws as `media`; UserError M_UNKNOWN, M_TOO_LARGE. */
  thumbnail(
    origin: ServerName,
    mediaId: string,
    size: ThumbnailSize,
    options: RemoteOptions,
  ): Promise<MediaItem>
}

export type UserEduType = 'm.direct_to_device' | 'm.device_list_update' | 'm.signing_key_update'

/** The whole slice. */
export type Users = {
  readonly accounts: Accounts
  readonly interactive: Interactive
  readonly registration: Registration
  readonly loginTokens: LoginTokens
  readonly reports: Reports
  readonly moderation: Moderation
  readonly devices: Devices
  readonly keys: E2eeKeys
  readonly keyShelf: KeyShelf
  readonly deviceLists: DeviceLists
  readonly toDevice: ToDevice
  readonly dehydrated: DehydratedDevices
  readonly accountData: AccountData
  readonly pushRules: PushRules
  readonly upgradedRooms: UpgradedRooms
  readonly pushers: Pushers
  readonly filters: Filters
  readonly profiles: Profiles
  readonly directory: UserDirectory
  readonly openId: OpenId
  readonly turn: Turn
  readonly media: Media
  readonly thumbnails: Thumbnails
  /** `undefined` where the node reads no web pages. */
  readonly previews: Previews | undefined
  readonly backups: KeyBackups
  readonly queries: UserQueries
  readonly edus: Readonly<Record<UserEduType, EduHandler>>
}

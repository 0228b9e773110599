/**
 * What the users slice offers to the APIs: accounts, devices, end-to-end keys, to-device messages, account data, push
 * rules, profiles, media. Every method that changes something resolves after its commit; what `/sync` shows carries the
 * stream position of its commit.
 */
import type { JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import type { EduHandler } from '../outbox-types.ts'
import type { Session } from '../ports.ts'
import type { RoomSnapshot } from '../rooms/types.ts'

/** A request about users cannot be done; `errcode` as in the Client-Server API. */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly errcode: UserErrorCode
  constructor(errcode: UserErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.errcode = errcode
  }
}

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

// --- Accounts --------------------------------------------------------------------------------------------------

export type NewAccount = {
  /** Made up when absent. */
  readonly localpart?: string
  /** An account without a password can be used only from its first device, or through `openSession`. */
  readonly password?: string
}

export type NewDevice = { readonly deviceId?: string; readonly displayName?: string }

/** `softLogout`: the token has expired, and the client may log in again with its device. */
export type Authentication =
  | { readonly kind: 'requester'; readonly requester: Caller }
  | { readonly kind: 'unknown'; readonly softLogout: boolean }

/** Accounts of this node: `@localpart:<signer.name>`. Passwords are kept as scrypt hashes, tokens as SHA-256. */
export interface Accounts {
  /** @throws UserError M_USER_IN_USE, M_INVALID_USERNAME, or M_FORBIDDEN when this node takes no more accounts. */
  checkAvailable(localpart: string): Promise<void>
  /** Makes an account, and with `device` its first session. @throws as `checkAvailable`; M_WEAK_PASSWORD. */
  register(account: NewAccount): Promise<UserId>
  register(account: NewAccount, device: NewDevice): Promise<Session>
  /** `user` is a localpart or a whole user id. @throws UserError M_FORBIDDEN, M_USER_DEACTIVATED, M_LIMIT_EXCEEDED. */
  login(user: string, password: string, device: NewDevice): Promise<Session>
  /** A session without a password, for the node's own user interface; ends the device's session before it. */
  openSession(userId: UserId, device: NewDevice): Promise<Session>
  /** Whose token it is; answers from memory for tokens seen before. */
  authenticate(accessToken: string): Promise<Authentication>
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

// --- Devices and keys ------------------------------------------------------------------------------------------

export type Device = {
  readonly deviceId: string
  readonly displayName?: string
  readonly createdAt: number
  /** Milliseconds since the epoch, precise to `LAST_SEEN_PRECISION_MS`. */
  readonly lastSeenAt?: number
}

export interface Devices {
  /** Sorted by id. */
  list(userId: UserId): Promise<readonly Device[]>
  get(caller: Caller): Promise<Device | undefined>
  /** @throws UserError M_NOT_FOUND. */
  rename(caller: Caller, displayName: string): Promise<void>
  /** Deletes devices with their sessions, keys and messages; unknown ones are ignored. */
  delete(userId: UserId, deviceIds: readonly string[]): Promise<void>
}

export type KeyUpload = {
  readonly deviceKeys?: JsonObject
  /** By `<algorithm>:<key id>`. */
  readonly oneTimeKeys?: JsonObject
  readonly fallbackKeys?: JsonObject
}

/** What `/sync` says about a device's keys. */
export type KeyCounts = {
  /** Unclaimed one-time keys by algorithm. */
  readonly oneTimeKeys: Readonly<Record<string, number>>
  readonly unusedFallbackTypes: readonly string[]
  /** When either changed last. */
  readonly position: StreamPosition
}

/** The shape of the answer to `/keys/query`, members in the specification's own names. */
export type KeyQueryAnswer = {
  readonly device_keys: Readonly<Record<string, Readonly<Record<string, JsonObject>>>>
  readonly master_keys: Readonly<Record<string, JsonObject>>
  readonly self_signing_keys: Readonly<Record<string, JsonObject>>
  readonly user_signing_keys: Readonly<Record<string, JsonObject>>
  readonly failures: Readonly<Record<string, JsonObject>>
}

/** User id to device id to `<algorithm>:<key id>` to key. */
export type ClaimedKeys = Readonly<Record<string, Readonly<Record<string, JsonObject>>>>

/** User id to device id to algorithm. */
export type KeyClaims = Readonly<Record<string, Readonly<Record<string, string>>>>

export type CrossSigningKeys = {
  readonly master?: JsonObject
  readonly selfSigning?: JsonObject
  readonly userSigning?: JsonObject
}

export type RemoteOptions = { readonly timeoutMs?: number; readonly signal?: AbortSignal }

/** spec: client-server-api/modules/end_to_end_encryption.md "Key management API" */
export interface E2eeKeys {
  /** @throws UserError M_INVALID_PARAM, M_FORBIDDEN (an id that is in use), M_TOO_LARGE. */
  upload(caller: Caller, keys: KeyUpload): Promise<KeyCounts>
  counts(caller: Caller): Promise<KeyCounts>
  /** `deviceKeys`: user id to device ids, none for all. Remote users come from the cache or from their server. */
  query(
    userId: UserId,
    deviceKeys: Readonly<Record<string, readonly string[]>>,
    options?: RemoteOptions,
  ): Promise<KeyQueryAnswer>
  /** Gives each one-time key out once; the fallback key when there is none left. */
  claim(
    claims: KeyClaims,
    options?: RemoteOptions,
  ): Promise<{ one_time_keys: ClaimedKeys; failures: Readonly<Record<string, JsonObject>> }>
  /** True when the request brings a key that differs from what is there, and there is a master key. */
  crossSigningNeedsAuth(userId: UserId, keys: CrossSigningKeys): Promise<boolean>
  /** @throws UserError M_INVALID_SIGNATURE, M_MISSING_PARAM, M_FORBIDDEN (the key is the id of a device). */
  uploadCrossSigning(userId: UserId, keys: CrossSigningKeys): Promise<void>
  /** User id to key id to signed object; answers with the failures in the same shape. */
  uploadSignatures(
    userId: UserId,
    signatures: Readonly<Record<string, JsonObject>>,
  ): Promise<Readonly<Record<string, Readonly<Record<string, JsonObject>>>>>
}

export interface DeviceLists {
  /**
   * For `/sync` and `/keys/changes`: whose keys changed or who came to share a room with `userId` at a position in
   * (from, to], and who no longer shares one.
   */
  changes(
    userId: UserId,
    from: StreamPosition,
    to: StreamPosition,
  ): Promise<{ readonly changed: readonly UserId[]; readonly left: readonly UserId[] }>
  /**
   * To be called after `userId` came to be joined to the room, with the snapshot after it: servers that are new to a
   * local user get that user's device list, and what was cached of a remote user from before is no longer trusted.
   */
  joined(snapshot: RoomSnapshot, userId: UserId): Promise<void>
}

// --- To-device -------------------------------------------------------------------------------------------------

export type ToDeviceEvent = { readonly sender: UserId; readonly type: string; readonly content: JsonObject }

export type ToDevicePage = {
  readonly events: readonly ToDeviceEvent[]
  /** All messages up to this position are in the page or were before it; `to` when nothing is left. */
  readonly position: StreamPosition
}

/** spec: client-server-api/modules/send_to_device.md */
export interface ToDevice {
  /** Sends once for each transaction id of a device. `messages`: user id to device id (or `*`) to content. */
  send(
    caller: Caller,
    eventType: string,
    transactionId: string,
    messages: Readonly<Record<string, JsonObject>>,
  ): Promise<void>
  /** Messages with a position in (from, to], oldest first; whole positions, `limit` or a few more. */
  inbox(caller: Caller, from: StreamPosition, to: StreamPosition, limit: number): Promise<ToDevicePage>
  /** The client has what is at or below `position`. */
  acknowledge(caller: Caller, position: StreamPosition): Promise<void>
}

// --- Account data, push rules, filters -------------------------------------------------------------------------

export type AccountDataEntry = {
  /** Absent for global account data. */
  readonly roomId?: RoomId
  readonly type: string
  readonly content: JsonObject
  readonly position: StreamPosition
}

export interface AccountData {
  get(userId: UserId, roomId: RoomId | undefined, type: string): Promise<JsonObject | undefined>
  /** Also for the types that the server manages; the endpoint refuses those. @throws UserError M_TOO_LARGE. */
  set(userId: UserId, roomId: RoomId | undefined, type: string, content: JsonObject): Promise<StreamPosition>
  /** Reads, changes and writes without another change between; `undefined` from `change` leaves it alone. */
  update(
    userId: UserId,
    roomId: RoomId | undefined,
    type: string,
    change: (content: JsonObject | undefined) => JsonObject | undefined,
  ): Promise<void>
  /** Entries with a position in (from, to], by position; from 0 gives all, the push rules included. */
  since(userId: UserId, from: StreamPosition, to: StreamPosition): Promise<readonly AccountDataEntry[]>
  /** All entries of one room, whatever their position. */
  ofRoom(userId: UserId, roomId: RoomId): Promise<readonly AccountDataEntry[]>
}

export type PushRuleKind = 'override' | 'content' | 'room' | 'sender' | 'underride'
export const PUSH_RULE_KINDS: readonly PushRuleKind[] = ['override', 'content', 'room', 'sender', 'underride']

export type PushRule = {
  readonly rule_id: string
  readonly default: boolean
  readonly enabled: boolean
  readonly actions: readonly (string | JsonObject)[]
  readonly conditions?: readonly JsonObject[]
  readonly pattern?: string
}

export type PushRuleset = Readonly<Record<PushRuleKind, readonly PushRule[]>>

/** What a rule needs to know about the room, as it was at the event. */
export type PushContext = {
  readonly memberCount: number
  readonly displayName?: string
  readonly senderPowerLevel: number
  /** `notifications` of the power levels; a missing key counts 50. */
  readonly notificationLevels: Readonly<Record<string, number>>
}

export type PushOutcome = { readonly notify: boolean; readonly highlight: boolean; readonly sound?: string }

/** `event` in client form: type, sender, content, state_key for state. */
export type PushEvaluator = (event: JsonObject, context: PushContext) => PushOutcome

export type NewPushRule = {
  readonly actions: readonly (string | JsonObject)[]
  readonly conditions?: readonly JsonObject[]
  readonly pattern?: string
  readonly before?: string
  readonly after?: string
}

/** spec: client-server-api/modules/push.md */
export interface PushRules {
  ruleset(userId: UserId): Promise<PushRuleset>
  /** @throws UserError M_NOT_FOUND. */
  rule(userId: UserId, kind: PushRuleKind, ruleId: string): Promise<PushRule>
  /** @throws UserError M_INVALID_PARAM, M_NOT_FOUND (`before` or `after`), M_LIMIT_EXCEEDED. */
  put(userId: UserId, kind: PushRuleKind, ruleId: string, rule: NewPushRule): Promise<void>
  /** @throws UserError M_NOT_FOUND. */
  delete(userId: UserId, kind: PushRuleKind, ruleId: string): Promise<void>
  setEnabled(userId: UserId, kind: PushRuleKind, ruleId: string, enabled: boolean): Promise<void>
  setActions(
    userId: UserId,
    kind: PushRuleKind,
    ruleId: string,
    actions: readonly (string | JsonObject)[],
  ): Promise<void>
  /** The user's rules of this moment, ready to be applied to many events. */
  evaluator(userId: UserId): Promise<PushEvaluator>
}

export interface Pushers {
  list(userId: UserId): Promise<readonly JsonObject[]>
  /** `pusher` as in the request body; `kind: null` deletes. @throws UserError M_LIMIT_EXCEEDED. */
  set(caller: Caller, pusher: JsonObject): Promise<void>
}

export interface Filters {
  /** Equal filters have equal ids. @throws UserError M_LIMIT_EXCEEDED, M_TOO_LARGE. */
  create(userId: UserId, filter: JsonObject): Promise<string>
  get(userId: UserId, filterId: string): Promise<JsonObject | undefined>
}

// --- Profiles, presence, directory -----------------------------------------------------------------------------

/** spec: client-server-api/_index.md "Profiles" */
export interface Profiles {
  /** All fields of a local or remote user. @throws UserError M_NOT_FOUND, M_UNKNOWN when their server is away. */
  get(userId: UserId, options?: RemoteOptions): Promise<JsonObject>
  /** @throws as `get`; M_NOT_FOUND when the field is not set. */
  field(userId: UserId, field: string, options?: RemoteOptions): Promise<JsonObject[string]>
  /** The member event content that a local user joins with: `displayname` and `avatar_url` as far as set. */
  memberContent(userId: UserId): Promise<JsonObject>
  /**
   * `undefined` deletes the field. A new name or avatar goes into the member events of all joined rooms.
   * @throws UserError M_PROFILE_TOO_LARGE, M_KEY_TOO_LARGE, M_INVALID_PARAM.
   */
  set(userId: UserId, field: string, value: JsonObject[string]): Promise<void>
}

export type PresenceState = 'online' | 'offline' | 'unavailable'
export type PresenceRecord = {
  readonly presence: PresenceState
  readonly statusMessage?: string
  readonly lastActiveAt: number
}

/** Kept in memory: presence is worth nothing after a restart. */
export interface Presence {
  get(userId: UserId): PresenceRecord | undefined
  set(userId: UserId, presence: PresenceState, statusMessage?: string): void
}

export type DirectoryUser = {
  readonly user_id: UserId
  readonly display_name?: string
  readonly avatar_url?: string
}

export interface UserDirectory {
  /** Local users and those who share a room with `userId`, whose id or name contains the term. */
  search(
    userId: UserId,
    term: string,
    limit: number,
  ): Promise<{ readonly results: readonly DirectoryUser[]; readonly limited: boolean }>
}

/** spec: client-server-api/modules/openid.md */
export interface OpenId {
  create(userId: UserId): { readonly token: string; readonly expiresIn: number }
  /** For the federation's `/openid/userinfo`. */
  userOf(token: string): UserId | undefined
}

// --- Media -----------------------------------------------------------------------------------------------------

export type MediaItem = {
  readonly bytes: Uint8Array
  readonly contentType: string
  readonly fileName?: string
}

export type MediaMetadata = { readonly contentType?: string; readonly fileName?: string }

/** spec: client-server-api/modules/content_repo.md */
export interface Media {
  /** Bytes of the largest upload. */
  readonly maxUploadBytes: number
  /** Keeps an upload and answers its media id. @throws UserError M_TOO_LARGE, M_FORBIDDEN (quota). */
  upload(userId: UserId, bytes: Uint8Array, metadata: MediaMetadata): Promise<string>
  /** Reserves a media id for a later upload. @throws UserError M_LIMIT_EXCEEDED. */
  create(userId: UserId): Promise<{ readonly mediaId: string; readonly expiresAt: number }>
  /** Uploads to a reserved id. @throws UserError M_FORBIDDEN, M_CANNOT_OVERWRITE_MEDIA, M_NOT_FOUND, M_TOO_LARGE. */
  complete(userId: UserId, mediaId: string, bytes: Uint8Array, metadata: MediaMetadata): Promise<void>
  /**
   * Own media, or another server's from the cache or by federation.
   * @throws UserError M_NOT_FOUND, M_NOT_YET_UPLOADED, M_TOO_LARGE.
   */
  download(server: ServerName, mediaId: string, options?: RemoteOptions): Promise<MediaItem>
}

// --- Key backup ------------------------------------------------------------------------------------------------

export type BackupVersion = {
  readonly algorithm: string
  readonly auth_data: JsonObject
  readonly version: string
  readonly etag: string
  readonly count: number
}

/** Which keys of a backup: all, of one room, or one session. */
export type BackupScope = { readonly roomId?: string; readonly sessionId?: string }

/** spec: client-server-api/modules/end_to_end_encryption.md "Server-side key backups" */
export interface KeyBackups {
  createVersion(userId: UserId, algorithm: string, authData: JsonObject): Promise<string>
  /** The newest when `version` is absent. @throws UserError M_NOT_FOUND. */
  version(userId: UserId, version?: string): Promise<BackupVersion>
  /** @throws UserError M_NOT_FOUND, M_INVALID_PARAM when the algorithm differs. */
  updateVersion(userId: UserId, version: string, algorithm: string, authData: JsonObject): Promise<void>
  deleteVersion(userId: UserId, version: string): Promise<void>
  /**
   * Room id to session id to key data; a better key replaces, a worse one is dropped.
   * @throws UserError M_NOT_FOUND, M_WRONG_ROOM_KEYS_VERSION, M_TOO_LARGE.
   */
  putKeys(
    userId: UserId,
    version: string,
    rooms: Readonly<Record<string, Readonly<Record<string, JsonObject>>>>,
  ): Promise<{ readonly etag: string; readonly count: number }>
  /** Room id to session id to key data. @throws UserError M_NOT_FOUND for an unknown version. */
  keys(
    userId: UserId,
    version: string,
    scope: BackupScope,
  ): Promise<Readonly<Record<string, Readonly<Record<string, JsonObject>>>>>
  deleteKeys(
    userId: UserId,
    version: string,
    scope: BackupScope,
  ): Promise<{ readonly etag: string; readonly count: number }>
}

// --- Federation ------------------------------------------------------------------------------------------------

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
  media(origin: ServerName, mediaId: string): Promise<MediaItem>
}

export type UserEduType = 'm.direct_to_device' | 'm.device_list_update' | 'm.signing_key_update'

/** The whole slice. */
export type Users = {
  readonly accounts: Accounts
  readonly interactive: Interactive
  readonly devices: Devices
  readonly keys: E2eeKeys
  readonly deviceLists: DeviceLists
  readonly toDevice: ToDevice
  readonly accountData: AccountData
  readonly pushRules: PushRules
  readonly pushers: Pushers
  readonly filters: Filters
  readonly profiles: Profiles
  readonly presence: Presence
  readonly directory: UserDirectory
  readonly openId: OpenId
  readonly media: Media
  readonly backups: KeyBackups
  readonly queries: UserQueries
  readonly edus: Readonly<Record<UserEduType, EduHandler>>
}

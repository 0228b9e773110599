/** Devices, end-to-end keys, to-device messages and key backup, as the APIs see them. */
import type { JsonObject, UserId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import type { RoomSnapshot } from '../rooms/types.ts'
import type { Caller, RemoteOptions } from './types.ts'

// --- Devices and keys -------------------------------------------------------------------------------------------

export type Device = {
  readonly deviceId: string
  readonly displayName?: string
  readonly createdAt: number
  /** Milliseconds since the epoch, precise to `LAST_SEEN_PRECISION_MS`. */
  readonly lastSeenAt?: number
  /** The address of the client at that time; unknown in a tab. */
  readonly lastSeenFrom?: string
}

export interface Devices {
  /** Sorted by id. */
  list(userId: UserId): Promise<readonly Device[]>
  get(caller: Caller): Promise<Device | undefined>
  /** A device without a session. @throws UserError M_INVALID_PARAM, M_FORBIDDEN when the user has no room for it. */
  create(caller: Caller, displayName: string | undefined): Promise<void>
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

/** What relays are given of the keys of this node's users. */
export interface KeyShelf {
  users(): Promise<readonly UserId[]>
  /** As `GET /user/devices` answers, without the names of devices. */
  list(userId: UserId): Promise<JsonObject>
  /** The oldest one-time keys, each under its name, given out for good: half of those that there are at most. */
  take(device: Caller, count: number): Promise<readonly JsonObject[]>
  /** The fallback key under its name. */
  fallback(device: Caller): Promise<JsonObject | undefined>
  /** It was given to somebody: its device is to make another. */
  fallbackGiven(device: Caller): Promise<void>
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
   * To be called after `users` came to be joined to the room, with the snapshot after it: servers that are new to a
   * local user get that user's device list, and what was cached of a remote user from before is no longer trusted.
   */
  joined(snapshot: RoomSnapshot, users: readonly UserId[]): Promise<void>
  /** Servers for which too much waited, and does no more, are told that lists have changed. */
  catchUp(): Promise<void>
}

// --- To-device --------------------------------------------------------------------------------------------------

export type ToDeviceEvent = { readonly sender: UserId; readonly type: string; readonly content: JsonObject }

export type ToDevicePage = {
  readonly events: readonly ToDeviceEvent[]
  /** All messages up to this position are in the page or were before it; `to` when nothing is left. */
  readonly position: StreamPosition
}

/** spec: client-server-api/modules/send_to_device.md */
export interface ToDevice {
  /**
   * Sends once for each transaction id of a device. `messages`: user id to device id (or `*`) to content.
   * @throws UserError M_BAD_JSON, M_INVALID_PARAM, M_TOO_LARGE; M_LIMIT_EXCEEDED where too much waits for other servers.
   */
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

// --- Dehydrated devices -----------------------------------------------------------------------------------------

export type DehydratedDevice = {
  readonly deviceId: string
  /** Encrypted by the client: what it takes to be that device again. */
  readonly data: JsonObject
}

export type NewDehydratedDevice = DehydratedDevice &
  KeyUpload & { readonly deviceKeys: JsonObject; readonly displayName?: string }

/** A device without a client, which receives room keys until a client takes them over. source: proposal 3814 */
export interface DehydratedDevices {
  /** @throws UserError M_NOT_FOUND */
  get(userId: UserId): Promise<DehydratedDevice>
  /**
   * Takes the place of the one before, which is deleted.
   * @throws UserError M_INVALID_PARAM, M_TOO_LARGE, M_FORBIDDEN (the id is of another device or key).
   */
  put(userId: UserId, device: NewDehydratedDevice): Promise<void>
  /** Answers with its id. @throws UserError M_NOT_FOUND */
  delete(userId: UserId): Promise<string>
  /** Messages after `from`; they stay. `done` when none are left. @throws UserError M_FORBIDDEN for another device. */
  events(
    userId: UserId,
    deviceId: string,
    from: StreamPosition,
  ): Promise<ToDevicePage & { readonly done: boolean }>
}

// --- Key backup -------------------------------------------------------------------------------------------------

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

/** Every table of the users slice. Positions in values say when a thing changed last. */
import type { JsonObject, UserId } from '@plexus/core'
import { table } from '../kernel/table.ts'
import type { Table } from '../kernel/table.ts'
import type { Write } from '../ports.ts'
import type { DehydratedDevice, Report } from './types.ts'

type One = readonly [string]
type Two = readonly [string, string]
type Three = readonly [string, string, string]

// --- accounts and devices ---

export type AccountRow = {
  readonly createdAt: number
  readonly password?: PasswordHash
  readonly deactivated?: true
}

/** scrypt parameters stand with the hash, so that they can grow. Base64. */
export type PasswordHash = {
  readonly cost: number
  readonly parallelism: number
  readonly salt: string
  readonly hash: string
}

export type DeviceRow = {
  readonly createdAt: number
  readonly displayName?: string
  readonly lastSeenAt?: number
  readonly lastSeenFrom?: string
  /** Key of its row in `tokens`; absent for a device without a session. */
  readonly tokenHash?: string
  /** Key of its row in `refreshTokens`, if its access tokens expire. */
  readonly refreshHash?: string
}

/** user id */
export const accounts: Table<One, AccountRow> = table('accounts', ['s'])
/** user id, device id */
export const devices: Table<Two, DeviceRow> = table('devices', ['s', 's'])
export type TokenRow = {
  readonly userId: UserId
  readonly deviceId: string
  /** Milliseconds since the epoch; a token without it does not expire. */
  readonly expires?: number
}

/** unpadded base64 of the SHA-256 of an access token */
export const tokens: Table<One, TokenRow> = table('tokens', ['s'])
/** likewise of a refresh token */
export const refreshTokens: Table<One, TokenRow> = table('refresh_tokens', ['s'])

/** Servers that were not told of changes of device lists, since too much waited for them. */
export const behindOnLists: Table<One, 1> = table('behind-on-lists', ['s'])

// --- end-to-end keys of local users ---

/** user id, device id: the object as it was uploaded */
export const deviceKeys: Table<Two, JsonObject> = table('device_keys', ['s', 's'])
/** user id, device id, algorithm, position of the upload, key id */
export const oneTimeKeys: Table<readonly [string, string, string, number, string], JsonObject | string> =
  table('one_time_keys', ['s', 's', 's', 'n', 's'])
/** user id, device id, algorithm */
export const fallbackKeys: Table<
  Three,
  { readonly keyId: string; readonly key: JsonObject | string; readonly used: boolean }
> = table('fallback_keys', ['s', 's', 's'])
/** user id, device id */
export const keyCounts: Table<
  Two,
  { readonly oneTimeKeys: Readonly<Record<string, number>>; readonly position: number }
> = table('key_counts', ['s', 's'])

export type CrossSigningRow = {
  readonly master?: JsonObject
  readonly selfSigning?: JsonObject
  readonly userSigning?: JsonObject
}

/** user id: the objects as they were uploaded */
export const crossSigning: Table<One, CrossSigningRow> = table('cross_signing', ['s'])
/** user id and key id of the signed object, signer, key id of the signer: a signature */
export const signatures: Table<readonly [string, string, string, string], string> = table('signatures', [
  's',
  's',
  's',
  's',
])

// --- device lists ---

/** user id: stream id of the last update sent */
export const listStreams: Table<One, number> = table('device_list_streams', ['s'])
/** position, user id, audience (a user id, or '' for all) */
export const listChanges: Table<readonly [number, string, string], 1> = table('device_list_changes', [
  'n',
  's',
  's',
])
/** user id, audience: position of its row in `listChanges` */
export const listLatest: Table<Two, number> = table('device_list_latest', ['s', 's'])

export type RemoteListRow = {
  readonly streamId: number
  /** True when an update was missed: what is here is old. */
  readonly stale: boolean
  /** When it was known to be right. */
  readonly position: number
  readonly master?: JsonObject
  readonly selfSigning?: JsonObject
}

export type RemoteDeviceRow = { readonly keys?: JsonObject; readonly displayName?: string }

/** user id of another server */
export const remoteLists: Table<One, RemoteListRow> = table('remote_lists', ['s'])
/** user id of another server, device id */
export const remoteDevices: Table<Two, RemoteDeviceRow> = table('remote_devices', ['s', 's'])

// --- to-device ---

/** user id, device id, position, number in the order of arrival within the position */
export const inboxes: Table<readonly [string, string, number, number], JsonObject> = table('to_device', [
  's',
  's',
  'n',
  'n',
])

// --- account data and what clients keep here ---

export type AccountDataRow = { readonly content: JsonObject; readonly position: number }

/** user id, room id or '', type */
export const accountData: Table<Three, AccountDataRow> = table('account_data', ['s', 's', 's'])
/** user id, position, room id or '', type */
export const accountDataStream: Table<readonly [string, number, string, string], 1> = table(
  'account_data_stream',
  ['s', 'n', 's', 's'],
)
/** user id, filter id */
export const filters: Table<Two, JsonObject> = table('filters', ['s', 's'])
export type PusherRow = {
  readonly deviceId: string
  readonly pusher: JsonObject
  /** When the push key was set, milliseconds since the epoch; absent in rows of before there was push. */
  readonly setAt?: number
  /** What happened up to this position was before it; likewise. */
  readonly upTo?: number
}

/** user id, app id, push key */
export const pushers: Table<Three, PusherRow> = table('pushers', ['s', 's', 's'])
/** What happened up to this position was pushed, by the key of the pusher: in a row of its own, which brings none back that is gone. */
export const pushed: Table<Three, number> = table('pushed', ['s', 's', 's'])
export const pusherDeletes = (key: Three): readonly Write[] => [pushers.delete(key), pushed.delete(key)]
/** user id */
export const profiles: Table<One, JsonObject> = table('profiles', ['s'])

// --- media ---

export type MediaRow = {
  readonly owner: UserId | undefined
  readonly createdAt: number
  /** Absent for an id that is reserved and not yet uploaded to. */
  readonly hash?: string
  readonly size: number
  readonly contentType?: string
  readonly fileName?: string
}

/** server, media id */
export const media: Table<Two, MediaRow> = table('media', ['s', 's'])
/** hash, server, media id: who uses a blob */
export const mediaByHash: Table<Three, 1> = table('media_by_hash', ['s', 's', 's'])
/** owner (a user id, or '' for the cache), time of creation, server, media id: size in bytes */
export const mediaByOwner: Table<readonly [string, number, string, string], number> = table(
  'media_by_owner',
  ['s', 'n', 's', 's'],
)

// --- dehydrated devices ---

/** By user id; the device itself is a row of `devices`, without a session. */
export const dehydratedDevices: Table<One, DehydratedDevice> = table('dehydrated_devices', ['s'])

// --- key backup ---

export type BackupRow = {
  readonly algorithm: string
  readonly authData: JsonObject
  readonly etag: number
  readonly count: number
  readonly deleted?: true
}

/** user id, version */
export const backups: Table<readonly [string, number], BackupRow> = table('backups', ['s', 'n'])
/** user id, version, room id, session id */
export const backupKeys: Table<readonly [string, number, string, string], JsonObject> = table('backup_keys', [
  's',
  'n',
  's',
  's',
])

// --- moderation ---

export type Restrictions = { readonly locked?: boolean; readonly suspended?: boolean }

/** By user id: accounts that are restricted. */
export const restrictions: Table<One, Restrictions> = table('restrictions', ['s'])

// --- reports ---

/** By position. */
export const reports: Table<readonly [number], Report> = table('reports', ['n'])

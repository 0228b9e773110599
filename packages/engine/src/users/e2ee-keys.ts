/** The key endpoints on top of local keys, remote lists and federation. */
import { checkCanonical, isJsonObject, parseUserId, serverOf } from '@plexus/core'
import type { JsonObject, ServerName, UserId } from '@plexus/core'
import type { UsersContext } from './deps.ts'
import type { CrossSigning } from './cross-signing.ts'
import { isOneTimeKey, splitKeyName } from './key-format.ts'
import { publicSigningKeys, signaturesOn, signedMaster } from './local-identity.ts'
import type { LocalKeys } from './local-keys.ts'
import { mapPool } from './pool.ts'
import { withSignatures } from './public-device.ts'
import { objectAt } from './read.ts'
import type { RemoteLists } from './remote-lists.ts'
import type { SignatureUpload } from './signatures.ts'
import { accounts, deviceKeys, devices } from './tables.ts'
import { UserError } from './types.ts'
import type { ClaimedKeys, E2eeKeys, KeyClaims, KeyQueryAnswer, RemoteOptions } from './types.ts'

/** Users in one query. */
const MAX_QUERIED_USERS = 5_000
/** Devices in one claim. */
const MAX_CLAIMED_DEVICES = 5_000
/** Requests to other servers at a time, for one client request. */
const REMOTE_WIDTH = 20
const LOCAL_WIDTH = 50

export type LocalQuery = {
  readonly devices: Readonly<Record<string, JsonObject>>
  readonly master?: JsonObject
  readonly selfSigning?: JsonObject
  readonly userSigning?: JsonObject
}

export interface KeyReader {
  /** What `viewer` may see of a local user; without `ids` all devices that have keys. */
  local(userId: UserId, ids: readonly string[], viewer: string | undefined): Promise<LocalQuery>
  /** One-time keys of local devices; those of unknown ones are absent. */
  claimLocal(claims: KeyClaims): Promise<ClaimedKeys>
}

export function createKeyReader({ store }: UsersContext, local: LocalKeys): KeyReader {
  return {
    async local(userId, ids, viewer) {
      const rows = await devices.list(store, [userId])
      const wanted = ids.length === 0 ? rows : rows.filter(([[, deviceId]]) => ids.includes(deviceId))
      const found = await Promise.all(
        wanted.map(async ([[, deviceId], { displayName }]) => {
          const keys = await deviceKeys.get(store, [userId, deviceId])
          if (keys === undefined) return []
          const entries = await signaturesOn(store, userId, deviceId)
          const visible = entries.filter(([signer]) => signer === userId || signer === viewer)
          return [[deviceId, shown(withSignatures(keys, visible), displayName)] as const]
        }),
      )
      return {
        devices: Object.fromEntries(found.flat()),
        ...(await publicSigningKeys(store, userId, viewer)),
      }
    },
    async claimLocal(claims) {
      const found = await mapPool(flatten(claims), LOCAL_WIDTH, async ({ userId, deviceId, algorithm }) => ({
        userId,
        deviceId,
        key: await local.claim({ userId, deviceId }, algorithm),
      }))
      return nest(found)
    },
  }
}

export type KeyParts = {
  readonly local: LocalKeys
  readonly reader: KeyReader
  readonly remote: RemoteLists
  readonly crossSigning: CrossSigning
  readonly signatureUpload: SignatureUpload
}

export function createE2eeKeys(context: UsersContext, parts: KeyParts): E2eeKeys {
  const { store, signer, federation, log } = context
  const { local, reader, remote, crossSigning, signatureUpload } = parts

  const claimRemote = async (
    server: ServerName,
    claims: KeyClaims,
    options: RemoteOptions,
  ): Promise<ClaimedKeys | undefined> => {
    try {
      const answer = await federation.claimKeys(server, claims, options)
      return checkedClaims(claims, objectAt(answer, 'one_time_keys') ?? {})
    } catch (error) {
      log.log('debug', 'one-time keys could not be claimed', { server, error: String(error) })
      return undefined
    }
  }

  return {
    upload: (caller, keys) => local.upload(caller, keys),
    counts: (caller) => local.counts(caller),
    crossSigningNeedsAuth: (userId, keys) => crossSigning.needsAuth(userId, keys),
    uploadCrossSigning: (userId, keys) => crossSigning.upload(userId, keys),
    uploadSignatures: (userId, signed) => signatureUpload.upload(userId, signed),

    async query(viewer, wanted, options = {}) {
      const users = Object.entries(wanted).flatMap(([text, ids]) => {
        const userId = parseUserId(text)
        return userId === undefined ? [] : [{ userId, ids }]
      })
      if (users.length > MAX_QUERIED_USERS) {
        throw new UserError('M_TOO_LARGE', `at most ${MAX_QUERIED_USERS} users in one query`)
      }
      const found = await mapPool(users, REMOTE_WIDTH, async ({ userId, ids }) => {
        if (serverOf(userId) === signer.name) {
          const account = await accounts.get(store, [userId])
          const found = account === undefined ? [] : [await reader.local(userId, ids, viewer)]
          return found.map((one) => ({ userId, current: true, ...one }))
        }
        return [{ userId, ...(await queryRemote(context, remote, userId, ids, viewer, options)) }]
      })
      return answerOf(found.flat())
    },

    async claim(claims, options = {}) {
      const all = flatten(claims)
      if (all.length > MAX_CLAIMED_DEVICES) {
        throw new UserError('M_TOO_LARGE', `at most ${MAX_CLAIMED_DEVICES} devices in one claim`)
      }
      const servers = [...new Set(all.map(({ userId }) => serverOf(userId)))].sort()
      const failures: ServerName[] = []
      const answers = await mapPool(servers, REMOTE_WIDTH, async (server) => {
        const own = Object.fromEntries(
          Object.entries(claims).filter(([userId]) => serverOf(userId as UserId) === server),
        )
        if (server === signer.name) return reader.claimLocal(own)
        const answer = await claimRemote(server, own, options)
        if (answer === undefined) failures.push(server)
        return answer ?? {}
      })
      return {
        one_time_keys: Object.fromEntries(answers.flatMap((answer) => Object.entries(answer))),
        failures: failuresOf(failures),
      }
    },
  }
}

type Found = LocalQuery & { readonly userId: UserId; readonly current: boolean }

async function queryRemote(
  { store }: UsersContext,
  remote: RemoteLists,
  userId: UserId,
  ids: readonly string[],
  viewer: UserId,
  options: RemoteOptions,
): Promise<LocalQuery & { readonly current: boolean }> {
  const { list, current } = await remote.get(userId, options)
  const shownDevices = [...list.devices].flatMap(([deviceId, { keys, displayName }]) =>
    keys === undefined || (ids.length > 0 && !ids.includes(deviceId))
      ? []
      : [[deviceId, shown(keys, displayName)] as const],
  )
  return {
    current,
    devices: Object.fromEntries(shownDevices),
    ...(list.master === undefined ? {} : { master: await signedMaster(store, userId, list.master, viewer) }),
    ...(list.selfSigning === undefined ? {} : { selfSigning: list.selfSigning }),
  }
}

function answerOf(found: readonly Found[]): KeyQueryAnswer {
  const keysBy = (name: 'master' | 'selfSigning' | 'userSigning'): Readonly<Record<string, JsonObject>> =>
    Object.fromEntries(
      found.flatMap((one) => {
        const key = one[name]
        return key === undefined ? [] : [[one.userId, key]]
      }),
    )
  const away = found.flatMap(({ userId, current }) => (current ? [] : [serverOf(userId)]))
  return {
    // A user who is unknown, or about whom nothing is known, is absent.
    device_keys: Object.fromEntries(
      found.flatMap(({ userId, devices, current }) =>
        current || Object.keys(devices).length > 0 ? [[userId, devices]] : [],
      ),
    ),
    master_keys: keysBy('master'),
    self_signing_keys: keysBy('selfSigning'),
    user_signing_keys: keysBy('userSigning'),
    failures: failuresOf(away),
  }
}

function failuresOf(servers: readonly ServerName[]): Readonly<Record<string, JsonObject>> {
  return Object.fromEntries(servers.map((server) => [server, { error: 'the server gave no usable answer' }]))
}

function shown(keys: JsonObject, displayName: string | undefined): JsonObject {
  return { ...keys, unsigned: displayName === undefined ? {} : { device_display_name: displayName } }
}

type Claim = { readonly userId: UserId; readonly deviceId: string; readonly algorithm: string }

function flatten(claims: KeyClaims): readonly Claim[] {
  return Object.entries(claims).flatMap(([text, ofUser]) => {
    const userId = parseUserId(text)
    if (userId === undefined) return []
    return Object.entries(ofUser).map(([deviceId, algorithm]) => ({ userId, deviceId, algorithm }))
  })
}

function nest(
  found: readonly {
    readonly userId: string
    readonly deviceId: string
    readonly key: JsonObject | undefined
  }[],
): ClaimedKeys {
  const users = new Map<string, Map<string, JsonObject>>()
  for (const { userId, deviceId, key } of found) {
    if (key === undefined) continue
    const ofUser = users.get(userId) ?? new Map<string, JsonObject>()
    users.set(userId, ofUser.set(deviceId, key))
  }
  return Object.fromEntries([...users].map(([userId, ofUser]) => [userId, Object.fromEntries(ofUser)]))
}

/** What was asked for and is a key; the rest of the answer is dropped. */
function checkedClaims(claims: KeyClaims, answer: JsonObject): ClaimedKeys {
  return nest(
    flatten(claims).map(({ userId, deviceId, algorithm }) => {
      const keys = objectAt(objectAt(answer, userId) ?? {}, deviceId) ?? {}
      const [name, key] = Object.entries(keys)[0] ?? []
      const right = name !== undefined && splitKeyName(name)?.algorithm === algorithm && isOneTimeKey(key)
      const whole = right && (!isJsonObject(key) || checkCanonical(key) === undefined)
      return { userId, deviceId, key: whole ? { [name]: key } : undefined }
    }),
  )
}

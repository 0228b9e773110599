/**
 * Device keys, one-time keys and fallback keys of local devices.
 *
 * Invariants: all changes of one device's keys are made one after the other; a one-time key leaves its table in the
 * commit that gives it out, and an id that was given out is not taken again.
 */
import { canonicalJson, checkCanonical, isJsonObject } from '@plexus/core'
import type { JsonObject, JsonValue } from '@plexus/core'
import type { Write } from '../ports.ts'
import type { UsersContext } from './deps.ts'
import type { LocalLists } from './device-lists-local.ts'
import { deviceKeysFault, isOneTimeKey, splitKeyName } from './key-format.ts'
import { publicDevice } from './public-device.ts'
import { createReadCache } from '../kernel/read-cache.ts'
import type { RecentIds } from './recent-ids.ts'
import { deviceKeys, devices, fallbackKeys, keyCounts, oneTimeKeys, signatures } from './tables.ts'
import type { DeviceRow } from './tables.ts'
import { UserError } from './types.ts'
import type { Caller, KeyCounts, KeyUpload } from './types.ts'

/** Unclaimed one-time keys of one device, all algorithms together. */
const MAX_ONE_TIME_KEYS = 1_000
/** Algorithms of one device's fallback keys. */
const MAX_FALLBACK_KEYS = 10
/** Devices whose counts are known without a look into the store. */
const MAX_COUNTS_IN_MEMORY = 10_000

export interface LocalKeys {
  upload(caller: Caller, keys: KeyUpload): Promise<KeyCounts>
  /** The writes of the keys of a device that is about to be made. @throws as `upload`. */
  initial(caller: Caller, keys: KeyUpload): (position: number) => readonly Write[]
  counts(caller: Caller): Promise<KeyCounts>
  /** The device was deleted. */
  forget(device: Caller): void
  /** A key that is then given out for good: `<algorithm>:<key id>` to key. */
  claim(device: Caller, algorithm: string): Promise<JsonObject | undefined>
  /** Up to `count` one-time keys that are then given out for good, half of those that there are at most; each as `claim` answers. */
  take(device: Caller, algorithm: string, count: number): Promise<readonly JsonObject[]>
  /** The fallback key as `claim` answers. */
  fallback(device: Caller, algorithm: string): Promise<JsonObject | undefined>
  /** Somebody got the fallback key elsewhere. */
  fallbackGiven(device: Caller, algorithm: string): Promise<void>
}

type NewKey = { readonly algorithm: string; readonly keyId: string; readonly key: string | JsonObject }

export function createLocalKeys(context: UsersContext, lists: LocalLists, used: RecentIds<1>): LocalKeys {
  const { store, committer, mutex } = context
  const lock = <T>(caller: Caller, work: () => Promise<T>): Promise<T> =>
    mutex.run(`keys ${caller.userId} ${caller.deviceId}`, work)
  // A device that is made anew numbers its keys anew.
  const scopeOf = ({ userId, deviceId }: Caller, { createdAt }: DeviceRow): string =>
    JSON.stringify([userId, deviceId, createdAt])

  const cache = createReadCache<KeyCounts>(MAX_COUNTS_IN_MEMORY)
  const forget = ({ userId, deviceId }: Caller): void => cache.drop(JSON.stringify([userId, deviceId]))
  const counts = (caller: Caller): Promise<KeyCounts> =>
    cache.get(JSON.stringify([caller.userId, caller.deviceId]), () => readCounts(caller))

  const readCounts = async ({ userId, deviceId }: Caller): Promise<KeyCounts> => {
    const row = await keyCounts.get(store, [userId, deviceId])
    const fallback = await fallbackKeys.list(store, [userId, deviceId])
    return {
      oneTimeKeys: row?.oneTimeKeys ?? {},
      unusedFallbackTypes: fallback.flatMap(([[, , algorithm], { used }]) => (used ? [] : [algorithm])),
      position: row?.position ?? 0,
    }
  }

  /** The one-time keys of an upload that are not there yet. @throws UserError when an id has another key. */
  const newOneTimeKeys = async (
    caller: Caller,
    device: DeviceRow,
    upload: JsonObject,
  ): Promise<readonly NewKey[]> => {
    const parsed = parseKeys(upload)
    const { userId, deviceId } = caller
    const held = await oneTimeKeys.list(store, [userId, deviceId])
    const byName = new Map(held.map(([[, , algorithm, , keyId], key]) => [`${algorithm}:${keyId}`, key]))
    const fresh = parsed.filter(({ algorithm, keyId, key }) => {
      const before = byName.get(`${algorithm}:${keyId}`)
      if (before === undefined) return true
      if (sameJson(before, key)) return false
      throw new UserError(
        'M_INVALID_PARAM',
        `there is another one-time key with the id ${algorithm}:${keyId}`,
      )
    })
    const given = await used.getMany(
      scopeOf(caller, device),
      fresh.map(({ algorithm, keyId }) => `${algorithm}:${keyId}`),
    )
    const wanted = fresh.filter((_, index) => given[index] === undefined)
    checkCount(held.length + wanted.length)
    return wanted
  }

  const deviceKeyWrites = async (caller: Caller, keys: JsonObject): Promise<readonly Write[] | undefined> => {
    const { userId, deviceId } = caller
    checkDeviceKeys(caller, keys)
    const before = await deviceKeys.get(store, [userId, deviceId])
    if (before !== undefined && sameJson(before, keys)) return undefined
    // Signatures are of the keys that were there; another key needs others.
    const old =
      before === undefined || sameKeys(before, keys) ? [] : await signatures.list(store, [userId, deviceId])
    return [deviceKeys.put([userId, deviceId], keys), ...old.map(([key]) => signatures.delete(key))]
  }

  return {
    counts,
    forget,

    upload: (caller, upload) =>
      lock(caller, async () => {
        const { userId, deviceId } = caller
        const device = await devices.get(store, [userId, deviceId])
        if (device === undefined) throw new UserError('M_FORBIDDEN', 'this device has been deleted')
        const fresh = await newOneTimeKeys(caller, device, upload.oneTimeKeys ?? {})
        const fallback = parseKeys(upload.fallbackKeys ?? {})
        const held = fallback.length === 0 ? [] : await fallbackKeys.list(store, [userId, deviceId])
        checkFallback(
          fallback,
          held.map(([[, , algorithm]]) => algorithm),
        )
        const ofDevice = upload.deviceKeys && (await deviceKeyWrites(caller, upload.deviceKeys))
        const before = await counts(caller)
        if (fresh.length === 0 && fallback.length === 0 && ofDevice === undefined) return before
        const change =
          ofDevice &&
          (await lists.change(userId, {
            devices: [publicDevice(userId, deviceId, device, upload.deviceKeys, [])],
          }))
        const position = await committer.submit({
          writes: (position) => [
            ...(ofDevice ?? []),
            ...(change?.writes(position) ?? []),
            ...keyWrites(caller, { fresh, fallback, before: before.oneTimeKeys }, position),
          ],
          publish: () => forget(caller),
          // The client forgets what it uploaded: a key that is lost here can never be made again.
          durability: 'strict',
        })
        change?.sent()
        return { ...(await counts(caller)), position }
      }),

    initial(caller, { deviceKeys: keys, oneTimeKeys: oneTime = {}, fallbackKeys: fallbacks = {} }) {
      const fresh = parseKeys(oneTime)
      checkCount(fresh.length)
      const fallback = parseKeys(fallbacks)
      checkFallback(fallback, [])
      if (keys !== undefined) checkDeviceKeys(caller, keys)
      return (position) => [
        ...(keys === undefined ? [] : [deviceKeys.put([caller.userId, caller.deviceId], keys)]),
        ...keyWrites(caller, { fresh, fallback, before: {} }, position),
      ]
    },

    claim: (caller, algorithm) =>
      lock(caller, async () => {
        const device = await devices.get(store, [caller.userId, caller.deviceId])
        if (device === undefined) return undefined
        const [key] = await takeOneTime(caller, device, algorithm, () => 1)
        return key ?? claimFallback(caller, algorithm)
      }),

    take: (caller, algorithm, count) =>
      lock(caller, async () => {
        const device = await devices.get(store, [caller.userId, caller.deviceId])
        if (device === undefined) return []
        return takeOneTime(caller, device, algorithm, (held) => Math.min(count, Math.floor(held / 2)))
      }),

    async fallback({ userId, deviceId }, algorithm) {
      const fallback = await fallbackKeys.get(store, [userId, deviceId, algorithm])
      return fallback && { [`${algorithm}:${fallback.keyId}`]: fallback.key }
    },

    fallbackGiven: (caller, algorithm) =>
      lock(caller, async () => {
        await claimFallback(caller, algorithm)
      }),
  }

  /** `howMany` of those that are held. */
  async function takeOneTime(
    caller: Caller,
    device: DeviceRow,
    algorithm: string,
    howMany: (held: number) => number,
  ): Promise<readonly JsonObject[]> {
    const { userId, deviceId } = caller
    const before = await counts(caller)
    const held = before.oneTimeKeys[algorithm] ?? 1
    const limit = howMany(held)
    const rows = limit === 0 ? [] : await oneTimeKeys.list(store, [userId, deviceId, algorithm], { limit })
    if (rows.length === 0) return []
    const scope = scopeOf(caller, device)
    const names = rows.map(([[, , , , keyId]]) => `${algorithm}:${keyId}`)
    await used.getMany(scope, names)
    const left = Math.max(0, held - rows.length)
    await committer.submit({
      writes: (position) => [
        ...rows.map(([row]) => oneTimeKeys.delete(row)),
        ...names.flatMap((name) => used.claim(scope, name, 1) ?? []),
        keyCounts.put([userId, deviceId], {
          oneTimeKeys: { ...before.oneTimeKeys, [algorithm]: left },
          position,
        }),
      ],
      publish: () => forget(caller),
      durability: 'strict',
    })
    return rows.map(([, key], index) => ({ [names[index] ?? '']: key }))
  }

  async function claimFallback(caller: Caller, algorithm: string): Promise<JsonObject | undefined> {
    const { userId, deviceId } = caller
    const fallback = await fallbackKeys.get(store, [userId, deviceId, algorithm])
    if (fallback === undefined) return undefined
    if (!fallback.used) {
      const { oneTimeKeys: left } = await counts(caller)
      await committer.submit({
        writes: (position) => [
          fallbackKeys.put([userId, deviceId, algorithm], { ...fallback, used: true }),
          keyCounts.put([userId, deviceId], { oneTimeKeys: left, position }),
        ],
        publish: () => forget(caller),
      })
    }
    return { [`${algorithm}:${fallback.keyId}`]: fallback.key }
  }
}

type NewKeys = {
  readonly fresh: readonly NewKey[]
  readonly fallback: readonly NewKey[]
  /** One-time keys that are there, by algorithm. */
  readonly before: Readonly<Record<string, number>>
}

function keyWrites(
  { userId, deviceId }: Caller,
  { fresh, fallback, before }: NewKeys,
  position: number,
): readonly Write[] {
  return [
    ...fresh.map(({ algorithm, keyId, key }) =>
      oneTimeKeys.put([userId, deviceId, algorithm, position, keyId], key),
    ),
    ...fallback.map(({ algorithm, keyId, key }) =>
      fallbackKeys.put([userId, deviceId, algorithm], { keyId, key, used: false }),
    ),
    keyCounts.put([userId, deviceId], { oneTimeKeys: added(before, fresh), position }),
  ]
}

function checkCount(oneTimeKeys: number): void {
  if (oneTimeKeys <= MAX_ONE_TIME_KEYS) return
  throw new UserError('M_TOO_LARGE', `a device has at most ${MAX_ONE_TIME_KEYS} one-time keys`)
}

function checkDeviceKeys({ userId, deviceId }: Caller, keys: JsonObject): void {
  const fault = deviceKeysFault(keys, userId, deviceId) ?? checkCanonical(keys)
  if (fault !== undefined) throw new UserError('M_BAD_JSON', `device_keys: ${fault}`)
}

/** `held`: the algorithms of the fallback keys that are there. */
function checkFallback(fallback: readonly NewKey[], held: readonly string[]): void {
  const algorithms = fallback.map(({ algorithm }) => algorithm)
  if (new Set(algorithms).size !== algorithms.length) {
    throw new UserError('M_INVALID_PARAM', 'fallback_keys: one key for each algorithm')
  }
  if (new Set([...held, ...algorithms]).size > MAX_FALLBACK_KEYS) {
    throw new UserError(
      'M_TOO_LARGE',
      `a device has fallback keys of at most ${MAX_FALLBACK_KEYS} algorithms`,
    )
  }
}

function parseKeys(upload: JsonObject): readonly NewKey[] {
  return Object.entries(upload).map(([name, key]) => {
    const parts = splitKeyName(name)
    if (parts === undefined) throw new UserError('M_INVALID_PARAM', 'a key is named <algorithm>:<key id>')
    if (!isOneTimeKey(key) || checkCanonical(key) !== undefined) {
      throw new UserError(
        'M_INVALID_PARAM',
        'a one-time key is a string or an object with key and signatures',
      )
    }
    return { ...parts, key }
  })
}

function added(
  before: Readonly<Record<string, number>>,
  fresh: readonly NewKey[],
): Readonly<Record<string, number>> {
  const counts = new Map(Object.entries(before))
  for (const { algorithm } of fresh) counts.set(algorithm, (counts.get(algorithm) ?? 0) + 1)
  return Object.fromEntries(counts)
}

function sameKeys(a: JsonObject, b: JsonObject): boolean {
  return sameJson(a['keys'] ?? null, b['keys'] ?? null)
}

/** Equal as JSON, whatever the order of members. Stored values are canonical. */
export function sameJson(a: JsonValue, b: JsonValue): boolean {
  if (
    isJsonObject(a) !== isJsonObject(b) ||
    checkCanonical(a) !== undefined ||
    checkCanonical(b) !== undefined
  ) {
    return false
  }
  return canonicalJson(a) === canonicalJson(b)
}

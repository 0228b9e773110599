/**
 * Devices of local users with their sessions: making, renaming, deleting. All changes of one user's devices are made
 * one after the other. A deleted device leaves nothing behind, and its access token is worth nothing at once.
 */
import { encodeBase64, encodeBase64Url } from '@plexus/core'
import type { JsonObject, UserId } from '@plexus/core'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { createLru } from '../kernel/lru.ts'
import type { Session, Write } from '../ports.ts'
import type { UsersContext } from './deps.ts'
import type { LocalLists } from './device-lists-local.ts'
import { isDeviceId, parseCrossSigningKey } from './key-format.ts'
import { signaturesOn } from './local-identity.ts'
import { publicDevice } from './public-device.ts'
import {
  crossSigning,
  dehydratedDevices,
  deviceKeys,
  devices,
  fallbackKeys,
  inboxes,
  keyCounts,
  oneTimeKeys,
  pusherDeletes,
  pushers,
  refreshTokens,
  signatures,
  tokens,
} from './tables.ts'
import type { DeviceRow, TokenRow } from './tables.ts'
import { UserError } from './types.ts'
import type { Accounts, Authentication, Caller, Device, Devices, NewDevice } from './types.ts'

const MAX_DEVICES_PER_USER = 500
/** In UTF-16 code units. */
const MAX_DEVICE_NAME_LENGTH = 250
const LAST_SEEN_PRECISION_MS: number = 60 * 60 * 1000
/** Tokens whose owner is known without a look into the store. */
const MAX_TOKENS_IN_MEMORY = 10_000
const TOKEN_BYTES = 32
/** How long an access token is good that its client can refresh. */
export const ACCESS_TOKEN_MS: number = 60 * 60 * 1000
const DEVICE_ID_LENGTH = 10

export interface DeviceStore extends Devices {
  /** A session of a new device, or of one that is there: its session before ends. `extra` is committed along. */
  open(userId: UserId, device: NewDevice, extra?: (position: number) => readonly Write[]): Promise<Session>
  authenticate(accessToken: string, address?: string): Promise<Authentication>
  refresh: Accounts['refresh']
  /**
   * Makes a device without a session in the place of `before`, with `extra`, in one commit.
   * @throws UserError M_INVALID_PARAM; M_FORBIDDEN when another device or key has the id.
   */
  replace(
    before: string | undefined,
    device: Caller & { readonly displayName?: string; readonly keys: JsonObject },
    extra: (position: number) => readonly Write[],
  ): Promise<void>
  /** Deletes all devices but one. */
  deleteAll(userId: UserId, keep?: string): Promise<void>
}

/** `gone` is told of every device after its deletion was committed. */
export function createDeviceStore(
  context: UsersContext,
  lists: LocalLists,
  gone: (device: Caller) => void,
): DeviceStore {
  const { store, committer, clock, random, mutex, log } = context
  const owners = createLru<string, TokenRow>(MAX_TOKENS_IN_MEMORY)
  const seen = createLru<string, number>(MAX_TOKENS_IN_MEMORY)
  const lock = <T>(userId: UserId, work: () => Promise<T>): Promise<T> => mutex.run(`devices ${userId}`, work)

  const newDeviceId = (): string =>
    Array.from(random.bytes(DEVICE_ID_LENGTH), (byte) => String.fromCharCode(0x41 + (byte % 26))).join('')

  /** @throws UserError when the user has no room for it, or the id is a cross-signing key. */
  const checkNew = async (userId: UserId, deviceId: string): Promise<void> => {
    const rows = await devices.list(store, [userId])
    if (rows.length >= MAX_DEVICES_PER_USER) {
      throw new UserError(
        'M_FORBIDDEN',
        `an account has at most ${MAX_DEVICES_PER_USER} devices; log one out first`,
      )
    }
    const keys = (await crossSigning.get(store, [userId])) ?? {}
    const ids = [
      keys.master && parseCrossSigningKey(keys.master, userId, 'master')?.id,
      keys.selfSigning && parseCrossSigningKey(keys.selfSigning, userId, 'self_signing')?.id,
      keys.userSigning && parseCrossSigningKey(keys.userSigning, userId, 'user_signing')?.id,
    ]
    if (ids.includes(deviceId)) throw new UserError('M_FORBIDDEN', 'the device id is a cross-signing key')
  }

  const openLocked = async (
    userId: UserId,
    device: NewDevice,
    extra: (position: number) => readonly Write[],
  ): Promise<Session> => {
    const deviceId = device.deviceId ?? newDeviceId()
    if (!isDeviceId(deviceId)) throw new UserError('M_INVALID_PARAM', 'not a device id')
    const before = await devices.get(store, [userId, deviceId])
    if (before === undefined) await checkNew(userId, deviceId)
    const accessToken = newToken()
    const tokenHash = hashOf(accessToken)
    const refreshToken = device.refreshable === true ? newToken() : undefined
    const refreshHash = refreshToken === undefined ? undefined : hashOf(refreshToken)
    const { tokenHash: _ended, refreshHash: _endedToo, ...kept } = before ?? {}
    const row: DeviceRow = {
      createdAt: clock.now(),
      ...(device.displayName === undefined ? {} : { displayName: checkName(device.displayName) }),
      ...kept,
      tokenHash,
      ...(refreshHash === undefined ? {} : { refreshHash }),
      lastSeenAt: clock.now(),
      ...(device.address === undefined ? {} : { lastSeenFrom: device.address }),
    }
    const owner: TokenRow = { userId, deviceId }
    const change =
      before === undefined
        ? await lists.change(userId, { devices: [publicDevice(userId, deviceId, row, undefined, [])] })
        : undefined
    await committer.submit({
      writes: (position) => [
        ...extra(position),
        ...(before === undefined ? [] : endOf(before)),
        tokens.put([tokenHash], refreshHash === undefined ? owner : expiring(owner)),
        ...(refreshHash === undefined ? [] : [refreshTokens.put([refreshHash], owner)]),
        devices.put([userId, deviceId], row),
        ...(change?.writes(position) ?? []),
      ],
      publish() {
        if (before?.tokenHash !== undefined) owners.delete(before.tokenHash)
      },
      durability: 'strict',
    })
    change?.sent()
    return {
      userId,
      deviceId,
      accessToken,
      ...(refreshToken === undefined
        ? {}
        : { refresh: { token: refreshToken, expiresInMs: ACCESS_TOKEN_MS } }),
    }
  }

  const newToken = (): string => encodeBase64Url(random.bytes(TOKEN_BYTES))
  const expiring = (owner: TokenRow): TokenRow => ({ ...owner, expires: clock.now() + ACCESS_TOKEN_MS })

  /** The writes that end the session of a device. */
  const endOf = ({ tokenHash, refreshHash }: DeviceRow): readonly Write[] => [
    ...(tokenHash === undefined ? [] : [tokens.delete([tokenHash])]),
    ...(refreshHash === undefined ? [] : [refreshTokens.delete([refreshHash])]),
  ]

  const refresh: Accounts['refresh'] = async (refreshToken) => {
    const refreshHash = hashOf(refreshToken)
    const claimed = await refreshTokens.get(store, [refreshHash])
    if (claimed === undefined) return undefined
    const { userId, deviceId } = claimed
    return lock(userId, async () => {
      const row = await devices.get(store, [userId, deviceId])
      if (row?.refreshHash !== refreshHash) return undefined
      const accessToken = newToken()
      const tokenHash = hashOf(accessToken)
      const { tokenHash: ended } = row
      await committer.submit({
        writes: () => [
          ...(ended === undefined ? [] : [tokens.delete([ended])]),
          tokens.put([tokenHash], expiring({ userId, deviceId })),
          devices.put([userId, deviceId], { ...row, tokenHash, lastSeenAt: clock.now() }),
        ],
        publish() {
          if (ended !== undefined) owners.delete(ended)
        },
        durability: 'strict',
      })
      return { accessToken, expiresInMs: ACCESS_TOKEN_MS }
    })
  }

  /** Everything that hangs on a device. */
  const removal = async (userId: UserId, deviceId: string): Promise<readonly Write[]> => {
    const [oneTime, fallback, inbox, signed, push, dehydrated] = await Promise.all([
      oneTimeKeys.list(store, [userId, deviceId]),
      fallbackKeys.list(store, [userId, deviceId]),
      inboxes.list(store, [userId, deviceId]),
      signatures.list(store, [userId, deviceId]),
      pushers.list(store, [userId]),
      dehydratedDevices.get(store, [userId]),
    ])
    return [
      devices.delete([userId, deviceId]),
      deviceKeys.delete([userId, deviceId]),
      keyCounts.delete([userId, deviceId]),
      ...oneTime.map(([key]) => oneTimeKeys.delete(key)),
      ...fallback.map(([key]) => fallbackKeys.delete(key)),
      ...inbox.map(([key]) => inboxes.delete(key)),
      ...signed.map(([key]) => signatures.delete(key)),
      ...push.flatMap(([key, row]) => (row.deviceId === deviceId ? pusherDeletes(key) : [])),
      ...(dehydrated?.deviceId === deviceId ? [dehydratedDevices.delete([userId])] : []),
    ]
  }

  const deleteLocked = async (userId: UserId, ids: readonly string[]): Promise<void> => {
    const rows = await devices.getMany(
      store,
      ids.map((id) => [userId, id] as const),
    )
    const found = ids.flatMap((deviceId, index) => {
      const row = rows[index]
      return row === undefined ? [] : [{ deviceId, row }]
    })
    if (found.length === 0) return
    const locks = found.map(({ deviceId }) => `keys ${userId} ${deviceId}`)
    await withAll(locks, async () => {
      const writes = (await Promise.all(found.map(({ deviceId }) => removal(userId, deviceId)))).flat()
      const hashes = found.flatMap(({ row }) => row.tokenHash ?? [])
      const change = await lists.change(userId, {
        devices: found.map(({ deviceId }) => ({ device_id: deviceId, deleted: true })),
      })
      await committer.submit({
        writes: (position) => [
          ...writes,
          ...found.flatMap(({ row }) => endOf(row)),
          ...change.writes(position),
        ],
        publish() {
          for (const hash of hashes) owners.delete(hash)
          for (const { deviceId } of found) gone({ userId, deviceId })
        },
      })
      change.sent()
    })
  }

  /** Takes locks in their order, so that two callers never wait for each other. */
  const withAll = (locks: readonly string[], work: () => Promise<void>): Promise<void> =>
    [...locks].sort().reduceRight<() => Promise<void>>((inner, key) => () => mutex.run(key, inner), work)()

  const touch = async ({ userId, deviceId }: Caller, now: number, address?: string): Promise<void> => {
    await lock(userId, async () => {
      const row = await devices.get(store, [userId, deviceId])
      if (row === undefined) return
      const from = address === undefined ? {} : { lastSeenFrom: address }
      const next = { ...row, lastSeenAt: now, ...from }
      await committer.submit({ writes: () => [devices.put([userId, deviceId], next)] })
    })
  }

  const noteSeen = (caller: Caller, hash: string, address?: string): void => {
    const now = clock.now()
    if (now - (seen.get(hash) ?? 0) < LAST_SEEN_PRECISION_MS) return
    seen.set(hash, now)
    touch(caller, now, address).catch((error: unknown) => {
      log.log('warn', 'the time a device was seen could not be kept', { error: String(error) })
    })
  }

  /** An expired token says that its client may refresh it or log in again. */
  const admitted = (
    { userId, deviceId, expires = Infinity }: TokenRow,
    hash: string,
    address?: string,
  ): Authentication => {
    if (clock.now() >= expires) return { kind: 'unknown', softLogout: true }
    const requester = { userId, deviceId }
    noteSeen(requester, hash, address)
    return { kind: 'requester', requester }
  }

  return {
    async list(userId) {
      const rows = await devices.list(store, [userId])
      return rows.map(([[, deviceId], row]) => toDevice(deviceId, row))
    },
    async get({ userId, deviceId }) {
      const row = await devices.get(store, [userId, deviceId])
      return row === undefined ? undefined : toDevice(deviceId, row)
    },
    create: ({ userId, deviceId }, displayName) =>
      lock(userId, async () => {
        if (!isDeviceId(deviceId)) throw new UserError('M_INVALID_PARAM', 'not a device id')
        await checkNew(userId, deviceId)
        const row: DeviceRow = {
          createdAt: clock.now(),
          ...(displayName === undefined ? {} : { displayName: checkName(displayName) }),
        }
        const change = await lists.change(userId, {
          devices: [publicDevice(userId, deviceId, row, undefined, [])],
        })
        await committer.submit({
          writes: (position) => [devices.put([userId, deviceId], row), ...change.writes(position)],
        })
        change.sent()
      }),
    replace: (before, { userId, deviceId, displayName, keys }, extra) =>
      lock(userId, async () => {
        if (!isDeviceId(deviceId)) throw new UserError('M_INVALID_PARAM', 'not a device id')
        if (deviceId !== before && (await devices.get(store, [userId, deviceId])) !== undefined)
          throw new UserError('M_FORBIDDEN', 'another device has the device id')
        await checkNew(userId, deviceId)
        const row: DeviceRow = {
          createdAt: clock.now(),
          ...(displayName === undefined ? {} : { displayName: checkName(displayName) }),
        }
        const locks = [...new Set([deviceId, ...(before === undefined ? [] : [before])])]
        await withAll(
          locks.map((id) => `keys ${userId} ${id}`),
          async () => {
            const removed = before === undefined ? [] : await removal(userId, before)
            const change = await lists.change(userId, {
              devices: [
                ...(before === undefined || before === deviceId
                  ? []
                  : [{ device_id: before, deleted: true as const }]),
                publicDevice(userId, deviceId, row, keys, []),
              ],
            })
            await committer.submit({
              writes: (position) => [
                ...removed,
                devices.put([userId, deviceId], row),
                ...extra(position),
                ...change.writes(position),
              ],
              publish() {
                for (const id of locks) gone({ userId, deviceId: id })
              },
              durability: 'strict',
            })
            change.sent()
          },
        )
      }),
    rename: ({ userId, deviceId }, displayName) =>
      lock(userId, async () => {
        const before = await devices.get(store, [userId, deviceId])
        if (before === undefined) throw new UserError('M_NOT_FOUND', 'there is no such device')
        const row: DeviceRow = { ...before, displayName: checkName(displayName) }
        const keys = await deviceKeys.get(store, [userId, deviceId])
        const entries = await signaturesOn(store, userId, deviceId)
        const change = await lists.change(userId, {
          devices: [publicDevice(userId, deviceId, row, keys, entries)],
        })
        await committer.submit({
          writes: (position) => [devices.put([userId, deviceId], row), ...change.writes(position)],
        })
        change.sent()
      }),
    delete: (userId, deviceIds) => lock(userId, () => deleteLocked(userId, [...new Set(deviceIds)])),
    deleteAll: (userId, keep) =>
      lock(userId, async () => {
        const rows = await devices.list(store, [userId])
        const ids = rows.map(([[, deviceId]]) => deviceId).filter((deviceId) => deviceId !== keep)
        await deleteLocked(userId, ids)
      }),
    open: (userId, device, extra = () => []) => lock(userId, () => openLocked(userId, device, extra)),
    async authenticate(accessToken, address) {
      const hash = hashOf(accessToken)
      const known = owners.get(hash)
      if (known !== undefined) return admitted(known, hash, address)
      const claimed = await tokens.get(store, [hash])
      if (claimed === undefined) return { kind: 'unknown', softLogout: false }
      // Under the user's lock nothing deletes the token between the look and the remembering.
      const owner = await lock(claimed.userId, async () => {
        const found = await tokens.get(store, [hash])
        if (found !== undefined) owners.set(hash, found)
        return found
      })
      return owner === undefined ? { kind: 'unknown', softLogout: false } : admitted(owner, hash, address)
    },
    refresh,
  }
}

function toDevice(deviceId: string, { createdAt, displayName, lastSeenAt, lastSeenFrom }: DeviceRow): Device {
  return {
    deviceId,
    createdAt,
    ...(displayName === undefined ? {} : { displayName }),
    ...(lastSeenAt === undefined ? {} : { lastSeenAt }),
    ...(lastSeenFrom === undefined ? {} : { lastSeenFrom }),
  }
}

function checkName(displayName: string): string {
  if (displayName.length <= MAX_DEVICE_NAME_LENGTH) return displayName.toWellFormed()
  throw new UserError('M_TOO_LARGE', `a device name has at most ${MAX_DEVICE_NAME_LENGTH} characters`)
}

/** A token is 256 random bits, so a plain hash keeps it secret. */
function hashOf(accessToken: string): string {
  return encodeBase64(sha256(utf8ToBytes(accessToken)))
}

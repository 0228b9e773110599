/**
 * Other servers' device lists. A list is fetched whole, then follows `m.device_list_update` EDUs: each names the one
 * before it, and a gap makes the list stale until it is fetched again.
 *
 * Invariants:
 * 1. Only users who share a room with a local user are kept, so strangers fill nothing.
 * 2. A list counts as right only if it is not stale and its user has shared a room since it was known to be right.
 * 3. What an update does is decided when its commit is assembled, so that updates in one commit follow each other.
 *
 * spec: server-server-api.md "Device Management"
 */
import { isJsonObject, ownValue, parseUserId, serverOf } from '@plexus/core'
import type { JsonObject, ServerName, UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { EduEffect } from '../outbox-types.ts'
import { FederationError } from '../ports.ts'
import type { Write } from '../ports.ts'
import type { UsersContext } from './deps.ts'
import type { ChangeLog } from './device-lists-local.ts'
import { deviceKeysFault, isDeviceId, parseCrossSigningKey } from './key-format.ts'
import { arrayAt, integerAt, objectAt, stringAt } from './read.ts'
import { sharedSince } from './sharing.ts'
import { accounts, remoteDevices, remoteLists } from './tables.ts'
import type { RemoteDeviceRow, RemoteListRow } from './tables.ts'
import type { RemoteOptions } from './types.ts'

/** A longer list is not believed. */
const MAX_REMOTE_DEVICES = 500
/** Lists whose numbers are kept in memory. */
const MAX_LISTS_IN_MEMORY = 5_000
/** Updates name few predecessors. */
const MAX_PREVIOUS_IDS = 100
const MAX_DEVICE_NAME_LENGTH = 1_000
const FETCH_TIMEOUT_MS = 10_000
/** Statuses that say that there is no such user, or none to be told about. */
const UNKNOWN_USER: readonly number[] = [403, 404]

export type RemoteList = {
  readonly devices: ReadonlyMap<string, RemoteDeviceRow>
  readonly master?: JsonObject
  readonly selfSigning?: JsonObject
}

export interface RemoteLists {
  /**
   * The devices of a user of another server. `current` is false when their server did not answer: what is known from
   * before is given, if there is anything.
   */
  get(
    userId: UserId,
    options?: RemoteOptions,
  ): Promise<{ readonly list: RemoteList; readonly current: boolean }>
  deviceListUpdate(origin: ServerName, content: JsonObject): Promise<EduEffect>
  signingKeyUpdate(origin: ServerName, content: JsonObject): Promise<EduEffect>
}

type Known = { row: RemoteListRow; devices: Set<string> }

export function createRemoteLists(context: UsersContext, changes: ChangeLog): RemoteLists {
  const { store, committer, federation, rooms, log } = context
  // Ahead of the store while a commit is under way; a list that is forgotten here meanwhile counts as stale.
  const known = createLru<string, Known>(MAX_LISTS_IN_MEMORY)
  committer.onFailure(() => {
    known.clear()
  })
  const fetching = new Map<string, Promise<RemoteList>>()

  const locals = async (): Promise<readonly UserId[]> =>
    (await accounts.list(store, [])).flatMap(([[userId], row]) =>
      row.deactivated === true ? [] : [userId as UserId],
    )

  const since = async (userId: UserId): Promise<number | undefined> =>
    sharedSince(rooms(), await locals(), userId)

  const load = async (userId: UserId): Promise<Known | undefined> => {
    const held = known.get(userId)
    if (held !== undefined) return held
    const row = await remoteLists.get(store, [userId])
    if (row === undefined) return undefined
    const devices = await remoteDevices.list(store, [userId])
    const loaded = { row, devices: new Set(devices.map(([[, deviceId]]) => deviceId)) }
    const meanwhile = known.get(userId)
    if (meanwhile !== undefined) return meanwhile
    known.set(userId, loaded)
    return loaded
  }

  const read = async (userId: UserId): Promise<RemoteList> => {
    const row = await remoteLists.get(store, [userId])
    const devices = await remoteDevices.list(store, [userId])
    return {
      devices: new Map(devices.map(([[, deviceId], device]) => [deviceId, device])),
      ...(row?.master === undefined ? {} : { master: row.master }),
      ...(row?.selfSigning === undefined ? {} : { selfSigning: row.selfSigning }),
    }
  }

  const keep = async (userId: UserId, snapshot: Snapshot, existed: boolean): Promise<void> => {
    const old = await remoteDevices.list(store, [userId])
    const oldRow = await remoteLists.get(store, [userId])
    const changed = existed && !sameList(old, oldRow, snapshot)
    const logged = changed ? await changes.change(userId) : () => []
    await committer.submit({
      writes(position) {
        // An update that came while the list was fetched may be newer than the list.
        const newest = known.get(userId)?.row.streamId ?? 0
        const stale = newest > snapshot.streamId
        const row: RemoteListRow = {
          streamId: stale ? newest : snapshot.streamId,
          stale,
          position,
          ...(snapshot.master === undefined ? {} : { master: snapshot.master }),
          ...(snapshot.selfSigning === undefined ? {} : { selfSigning: snapshot.selfSigning }),
        }
        known.set(userId, { row, devices: new Set(snapshot.devices.keys()) })
        return [
          ...old.map(([key]) => remoteDevices.delete(key)),
          ...[...snapshot.devices].map(([deviceId, device]) => remoteDevices.put([userId, deviceId], device)),
          remoteLists.put([userId], row),
          ...logged(position),
        ]
      },
    })
  }

  const fetch = (userId: UserId, options: RemoteOptions): Promise<RemoteList> => {
    const running = fetching.get(userId)
    if (running !== undefined) return running
    const run = async (): Promise<RemoteList> => {
      const held = await load(userId)
      const answer = await federation
        .userDevices(serverOf(userId), userId, { timeoutMs: options.timeoutMs ?? FETCH_TIMEOUT_MS })
        .catch((error: unknown) => {
          if (error instanceof FederationError && UNKNOWN_USER.includes(error.remote.status)) return undefined
          throw error
        })
      // The server knows no such user, any more: nothing is believed, and nothing is kept.
      if (answer === undefined) return { devices: new Map() }
      const snapshot = parseSnapshot(userId, answer)
      if (snapshot === undefined) throw new Error('the device list is malformed')
      if ((await since(userId)) !== undefined) await keep(userId, snapshot, held !== undefined)
      return snapshot
    }
    const result = run().finally(() => fetching.delete(userId))
    fetching.set(userId, result)
    return result
  }

  const refetch = (userId: UserId): void => {
    fetch(userId, {}).catch((error: unknown) => {
      log.log('info', 'a device list could not be fetched; it stays stale', { error: String(error) })
    })
  }

  /** Common to both EDUs: whose they are. */
  const subjectOf = (origin: ServerName, content: JsonObject): UserId | undefined => {
    const userId = parseUserId(stringAt(content, 'user_id') ?? '')
    return userId === undefined || serverOf(userId) !== origin ? undefined : userId
  }

  /** What they tell of who shares no room is not believed; a list from before is wrong then, should it turn out that they shared one. */
  const ofStranger = async (userId: UserId): Promise<EduEffect> => {
    const held = await load(userId)
    if (held === undefined || held.row.stale) return undefined
    return { writes: () => missed(userId, known.get(userId) ?? held, 0) }
  }

  return {
    async get(userId, options = {}) {
      const held = await load(userId)
      const shared = await since(userId)
      if (held !== undefined && !held.row.stale && shared !== undefined && shared <= held.row.position) {
        return { list: await read(userId), current: true }
      }
      try {
        return { list: await fetch(userId, options), current: true }
      } catch (error) {
        log.log('debug', 'a device list could not be fetched', { error: String(error) })
        return { list: await read(userId), current: false }
      }
    },

    async deviceListUpdate(origin, content) {
      const update = parseUpdate(content)
      const userId = subjectOf(origin, content)
      if (update === undefined || userId === undefined) return undefined
      if ((await since(userId)) === undefined) return ofStranger(userId)
      await load(userId)
      const logged = await changes.change(userId)
      let gap = false
      return {
        writes(position) {
          const held = known.get(userId)
          if (held === undefined) return isSeen(update, held) ? logged(position) : []
          if (update.streamId <= held.row.streamId) return []
          gap = held.row.stale || !follows(update, held)
          const news = gap || isSeen(update, held) ? logged(position) : []
          const writes = gap ? missed(userId, held, update.streamId) : apply(userId, held, update, position)
          return [...writes, ...news]
        },
        publish() {
          if (gap) refetch(userId)
        },
      }
    },

    async signingKeyUpdate(origin, content) {
      const userId = subjectOf(origin, content)
      const keys = userId === undefined ? undefined : signingKeysOf(content, userId)
      if (userId === undefined || keys === undefined) return undefined
      if ((await since(userId)) === undefined) return ofStranger(userId)
      await load(userId)
      const logged = await changes.change(userId)
      return {
        writes(position) {
          const held = known.get(userId)
          if (held === undefined) return logged(position)
          held.row = { ...held.row, ...keys }
          return [remoteLists.put([userId], held.row), ...logged(position)]
        },
      }
    },
  }
}

type Update = {
  readonly streamId: number
  readonly previous: readonly number[]
  readonly deviceId: string
  readonly device: RemoteDeviceRow | undefined
}

/** False for a new device without keys, as servers tell of one when its user joins a room: nobody can be told its keys. */
function isSeen({ device, deviceId }: Update, held: Known | undefined): boolean {
  return device === undefined || device.keys !== undefined || held?.devices.has(deviceId) === true
}

/** An update without predecessors starts a sequence, and who knows a list of before cannot tell what it missed. */
function follows(update: Update, { row, devices }: Known): boolean {
  if (update.device !== undefined && !devices.has(update.deviceId) && devices.size >= MAX_REMOTE_DEVICES)
    return false
  return update.previous.length > 0 && update.previous.every((id) => id <= row.streamId)
}

function missed(userId: UserId, held: Known, streamId: number): readonly Write[] {
  held.row = { ...held.row, stale: true, streamId: Math.max(held.row.streamId, streamId) }
  return [remoteLists.put([userId], held.row)]
}

function apply(userId: UserId, held: Known, update: Update, position: number): readonly Write[] {
  const { deviceId, device, streamId } = update
  held.row = { ...held.row, streamId, position }
  if (device === undefined) held.devices.delete(deviceId)
  else held.devices.add(deviceId)
  return [
    remoteLists.put([userId], held.row),
    device === undefined
      ? remoteDevices.delete([userId, deviceId])
      : remoteDevices.put([userId, deviceId], device),
  ]
}

function parseUpdate(content: JsonObject): Update | undefined {
  const streamId = integerAt(content, 'stream_id')
  const deviceId = stringAt(content, 'device_id')
  const previous = arrayAt(content, 'prev_id') ?? []
  if (streamId === undefined || streamId < 0 || deviceId === undefined || !isDeviceId(deviceId))
    return undefined
  if (previous.length > MAX_PREVIOUS_IDS || !previous.every(Number.isSafeInteger)) return undefined
  const ids = previous as readonly number[]
  if (ownValue(content, 'deleted') === true) return { streamId, previous: ids, deviceId, device: undefined }
  const device = parseDevice(
    stringAt(content, 'user_id') ?? '',
    deviceId,
    ownValue(content, 'keys'),
    ownValue(content, 'device_display_name'),
  )
  return device === undefined ? undefined : { streamId, previous: ids, deviceId, device }
}

function parseDevice(
  userId: string,
  deviceId: string,
  keys: JsonObject[string],
  name: JsonObject[string],
): RemoteDeviceRow | undefined {
  const displayName = typeof name === 'string' ? { displayName: name.slice(0, MAX_DEVICE_NAME_LENGTH) } : {}
  if (keys === undefined || keys === null) return displayName
  // Some servers send `{}` for a device without keys.
  if (isJsonObject(keys) && Object.keys(keys).length === 0) return displayName
  if (!isJsonObject(keys) || deviceKeysFault(keys, userId, deviceId) !== undefined) return undefined
  return { keys, ...displayName }
}

type Snapshot = RemoteList & { readonly streamId: number }

/** A device that is malformed is left out; a list that is malformed is none. */
function parseSnapshot(userId: UserId, answer: JsonObject): Snapshot | undefined {
  const streamId = integerAt(answer, 'stream_id')
  const devices = arrayAt(answer, 'devices')
  if (stringAt(answer, 'user_id') !== userId || streamId === undefined || devices === undefined)
    return undefined
  if (devices.length > MAX_REMOTE_DEVICES) return undefined
  const parsed = devices.flatMap((entry) => {
    if (!isJsonObject(entry)) return []
    const deviceId = stringAt(entry, 'device_id')
    if (deviceId === undefined || !isDeviceId(deviceId)) return []
    const name = ownValue(entry, 'device_display_name')
    const device = parseDevice(userId, deviceId, ownValue(entry, 'keys'), name)
    return device === undefined ? [] : [[deviceId, device] as const]
  })
  return { streamId, devices: new Map(parsed), ...signingKeysOf(answer, userId) }
}

/** The cross-signing keys that an object holds; `undefined` when it holds none. */
function signingKeysOf(
  object: JsonObject,
  userId: UserId,
): { master?: JsonObject; selfSigning?: JsonObject } | undefined {
  const master = objectAt(object, 'master_key')
  const selfSigning = objectAt(object, 'self_signing_key')
  const keys = {
    ...(master !== undefined && parseCrossSigningKey(master, userId, 'master') ? { master } : {}),
    ...(selfSigning !== undefined && parseCrossSigningKey(selfSigning, userId, 'self_signing')
      ? { selfSigning }
      : {}),
  }
  return Object.keys(keys).length === 0 ? undefined : keys
}

function sameList(
  old: readonly (readonly [readonly string[], RemoteDeviceRow])[],
  row: RemoteListRow | undefined,
  snapshot: Snapshot,
): boolean {
  const sorted = [...snapshot.devices].sort(([a], [b]) => (a < b ? -1 : 1))
  const before = old
    .map(([key, device]) => [key[1] ?? '', device] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return (
    JSON.stringify([before, row?.master, row?.selfSigning]) ===
    JSON.stringify([sorted, snapshot.master, snapshot.selfSigning])
  )
}

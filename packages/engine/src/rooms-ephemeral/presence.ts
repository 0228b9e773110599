/**
 * Who is here: in memory only, worth nothing after a restart. A user is what the most present of their devices is; a
 * device that stops syncing is gone after a moment. spec: client-server-api/modules/presence.md
 */
import { isJsonObject, ownValue, parseUserId, serverOf } from '@plexus/core'
import type { JsonObject, JsonValue, ServerName, UserId } from '@plexus/core'
import type { Serial } from '../kernel/serial.ts'
import type { Outbox } from '../outbox-types.ts'
import type { Clock, Log } from '../ports.ts'
import type { Rooms, RoomSnapshot } from '../rooms/types.ts'
import { joinedRooms } from '../users/sharing.ts'
import type { Caller } from '../users/types.ts'
import type { Presence, PresenceRecord, PresenceState } from './types.ts'

/** Servers of a room, this one included, of which others are told of presence for its sake. */
export const MAX_PRESENCE_SERVERS = 50
/** Users, here and elsewhere, whose presence is remembered; who changed longest ago is forgotten first. */
export const MAX_PRESENCE_RECORDS = 10_000
/** In UTF-16 code units; the rest is cut. */
export const MAX_STATUS_LENGTH = 1_000
/** Devices of one user that count; further ones are not looked at. */
export const MAX_PRESENT_DEVICES = 50
/** Users of one EDU; the rest is not looked at. */
export const MAX_PRESENCE_PUSH = 100
/** A device is here for so long after its last request for news has ended. */
export const DEVICE_GONE_MS = 30_000
/** Who does nothing for so long is not at the device. */
export const IDLE_MS = 300_000
/** A user of another server that says nothing for so long is offline. */
export const REMOTE_GONE_MS = 1_800_000
/** How often other servers are told again of who is still here. */
export const REFRESH_MS = 1_200_000

type Device = { readonly presence: PresenceState; readonly cancel: () => void }
type Entry = {
  record: PresenceRecord
  changed: number
  readonly devices: Map<string, Device>
  /** Of the next look at a user: idle, to be told again, or gone. */
  cancel: () => void
}

type PresenceDeps = {
  readonly rooms: () => Rooms
  readonly outbox: Pick<Outbox, 'sendCoalesced' | 'peers'>
  readonly clock: Clock
  readonly log: Log
  readonly serial: Serial
  readonly serverName: ServerName
}

const RANK: Readonly<Record<PresenceState, number>> = { offline: 0, unavailable: 1, online: 2 }
const nothing = (): void => undefined

/** Presence is told between the servers of such rooms. DESIGN section 7 "Fan-out" */
const isSmall = ({ joinedServers }: RoomSnapshot): boolean => joinedServers.length <= MAX_PRESENCE_SERVERS

export function createPresence({ rooms, outbox, clock, log, serial, serverName }: PresenceDeps): Presence {
  /** In the order of the last change. */
  const entries = new Map<UserId, Entry>()
  const listeners = new Set<() => void>()

  const entryOf = (userId: UserId): Entry => {
    const known = entries.get(userId)
    if (known !== undefined) return known
    const record: PresenceRecord = { presence: 'offline', lastActiveAt: clock.now() }
    const entry: Entry = { record, changed: 0, devices: new Map(), cancel: nothing }
    entries.set(userId, entry)
    for (const [oldest, { devices, cancel }] of entries) {
      if (entries.size <= MAX_PRESENCE_RECORDS) break
      cancel()
      for (const device of devices.values()) device.cancel()
      entries.delete(oldest)
    }
    return entry
  }

  const put = (userId: UserId, entry: Entry, record: PresenceRecord): boolean => {
    const { presence, statusMessage } = entry.record
    const differs = presence !== record.presence || statusMessage !== record.statusMessage
    entry.record = record
    if (!differs) return false
    entry.changed = serial.next()
    entries.delete(userId)
    entries.set(userId, entry)
    for (const listener of listeners) listener()
    return true
  }

  const tellAll = async (userId: UserId): Promise<void> => {
    const record = entries.get(userId)?.record
    if (record === undefined) return
    const push = [{ user_id: userId, ...presenceContent(record, clock.now()) }]
    const edu = { edu_type: 'm.presence', content: { push } }
    const shared = await joinedRooms(rooms(), userId)
    const servers = new Set(shared.filter(isSmall).flatMap(({ joinedServers }) => joinedServers))
    servers.delete(serverName)
    for (const server of servers) outbox.sendCoalesced(server, `presence ${userId}`, edu)
  }

  /** Nobody waits for it: a store that cannot be read, or is closed by now, keeps nobody from being present. */
  const tell = (userId: UserId): void => {
    tellAll(userId).catch((error: unknown) =>
      log.log('warn', 'other servers were not told of presence', { error: String(error) }),
    )
  }

  /** Which of the users of another server are in a room with one of ours: one look at each room, however many they are. */
  const sharingOf = async (origin: ServerName, users: ReadonlySet<UserId>): Promise<ReadonlySet<UserId>> => {
    const sharing = new Set<UserId>()
    for (const [roomId, servers] of outbox.peers()) {
      if (sharing.size === users.size) break
      if (!servers.includes(origin)) continue
      const snapshot = await rooms().snapshot(roomId)
      if (snapshot?.joinedServers.includes(serverName) !== true || !isSmall(snapshot)) continue
      for (const member of snapshot.joinedMembers) if (users.has(member)) sharing.add(member)
    }
    return sharing
  }

  /** Looks what a local user is by now, and when to look again. */
  const look = (userId: UserId, entry: Entry, record: PresenceRecord = entry.record): void => {
    entry.cancel()
    const idleFor = clock.now() - record.lastActiveAt
    const best = [...entry.devices.values()].reduce<PresenceState>(
      (most, { presence }) => (RANK[presence] > RANK[most] ? presence : most),
      'offline',
    )
    const presence = best === 'online' && idleFor >= IDLE_MS ? 'unavailable' : best
    if (put(userId, entry, { ...record, presence })) tell(userId)
    if (presence === 'offline') entry.cancel = nothing
    else if (presence === 'online') entry.cancel = clock.after(IDLE_MS - idleFor, () => look(userId, entry))
    else
      entry.cancel = clock.after(REFRESH_MS, () => {
        tell(userId)
        look(userId, entry)
      })
  }

  const place = (
    { userId, deviceId }: Caller,
    entry: Entry,
    presence: PresenceState,
    waitsMs: number = 0,
  ): void => {
    const known = entry.devices.get(deviceId)
    known?.cancel()
    if (known === undefined && entry.devices.size >= MAX_PRESENT_DEVICES) return
    const cancel = clock.after(waitsMs + DEVICE_GONE_MS, () => {
      entry.devices.delete(deviceId)
      look(userId, entry)
    })
    entry.devices.set(deviceId, { presence, cancel })
  }

  const bumped = (record: PresenceRecord): PresenceRecord => ({ ...record, lastActiveAt: clock.now() })

  return {
    get: (userId) => entries.get(userId)?.record,
    async maySee(viewer, userId) {
      if (viewer === userId) return true
      const shared = await joinedRooms(rooms(), viewer)
      return shared.some(({ joinedMembers }) => joinedMembers.includes(userId))
    },
    set(caller, presence, statusMessage) {
      const entry = entryOf(caller.userId)
      place(caller, entry, presence)
      const record = presence === 'online' ? bumped(entry.record) : entry.record
      const { statusMessage: _before, ...bare } = record
      look(caller.userId, entry, statusMessage === undefined ? bare : { ...bare, ...statusOf(statusMessage) })
    },
    syncing(caller, presence, waitsMs) {
      if (presence === 'offline') return
      const entry = entryOf(caller.userId)
      const arrives = entry.devices.size === 0
      place(caller, entry, presence, waitsMs)
      // Who comes is active; who stays may sit elsewhere.
      look(caller.userId, entry, arrives ? bumped(entry.record) : entry.record)
    },
    active(userId) {
      const entry = entries.get(userId)
      if (entry !== undefined) look(userId, entry, bumped(entry.record))
    },
    changedSince: (since) =>
      [...entries].filter(([, { changed }]) => changed > since).map(([userId]) => userId),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async edu(origin, content) {
      const push = ownValue(content, 'push')
      if (!Array.isArray(push)) return undefined
      const updates = (push as readonly JsonValue[])
        .slice(0, MAX_PRESENCE_PUSH)
        .flatMap((item) => toldOf(item, origin, clock.now()) ?? [])
      const sharing = await sharingOf(origin, new Set(updates.map(({ userId }) => userId)))
      for (const told of updates) {
        if (!sharing.has(told.userId)) continue
        const entry = entryOf(told.userId)
        entry.cancel()
        put(told.userId, entry, told.record)
        entry.cancel = clock.after(REMOTE_GONE_MS, () => {
          put(told.userId, entry, { ...entry.record, presence: 'offline' })
        })
      }
      return undefined
    },
  }
}

/** As clients and other servers get it. spec: m.presence */
export function presenceContent(
  { presence, statusMessage, lastActiveAt }: PresenceRecord,
  now: number,
): JsonObject {
  return {
    presence,
    last_active_ago: Math.max(0, now - lastActiveAt),
    currently_active: presence === 'online',
    ...(statusMessage === undefined ? {} : { status_msg: statusMessage }),
  }
}

function statusOf(text: string): Pick<PresenceRecord, 'statusMessage'> {
  return text === '' ? {} : { statusMessage: text.slice(0, MAX_STATUS_LENGTH) }
}

/** One update of an EDU; `undefined` for what is malformed or of another server's user. */
function toldOf(
  item: JsonValue,
  origin: ServerName,
  now: number,
): { readonly userId: UserId; readonly record: PresenceRecord } | undefined {
  if (!isJsonObject(item)) return undefined
  const user = ownValue(item, 'user_id')
  const userId = typeof user === 'string' ? parseUserId(user) : undefined
  const presence = ownValue(item, 'presence')
  const ago = ownValue(item, 'last_active_ago')
  const status = ownValue(item, 'status_msg')
  if (userId === undefined || serverOf(userId) !== origin || !isState(presence)) return undefined
  const lastActiveAt = typeof ago === 'number' ? Math.min(now, Math.max(0, now - ago)) : now
  return {
    userId,
    record: { presence, lastActiveAt, ...(typeof status === 'string' ? statusOf(status) : {}) },
  }
}

const isState = (value: JsonValue | undefined): value is PresenceState =>
  typeof value === 'string' && Object.hasOwn(RANK, value)

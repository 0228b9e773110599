/**
 * Changes of local users' device lists: each goes into the log that `/sync` reads and, in the same commit, to every
 * server that shares a room with the user.
 * spec: server-server-api.md "Device Management"
 */
import type { JsonObject, ServerName, UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Edu } from '../outbox-types.ts'
import type { Write } from '../ports.ts'
import type { UsersContext } from './deps.ts'
import { sharingServers } from './sharing.ts'
import { behindOnLists, listChanges, listLatest, listStreams } from './tables.ts'

/** The device of an update, without the members that number it. */
export type DeviceUpdate = {
  readonly device_id: string
  readonly device_display_name?: string
  readonly deleted?: true
  readonly keys?: JsonObject
}

/** A change that is ready to be committed: `writes` belong into the commit, `sent` is called after it. */
export type ListChange = {
  readonly writes: (position: number) => readonly Write[]
  readonly sent: () => void
}

/** Changes nothing where it is taken. */
const OF_NO_DEVICE: DeviceUpdate = { device_id: 'plexus.none', deleted: true }

export interface LocalLists {
  /** Devices of a local user change, or with `signingKeys` their public cross-signing keys. */
  change(
    userId: UserId,
    change: { readonly devices?: readonly DeviceUpdate[]; readonly signingKeys?: JsonObject },
  ): Promise<ListChange>
  /** The list as it is goes to these servers, for which the user is new. */
  announce(
    userId: UserId,
    servers: readonly ServerName[],
    devices: readonly DeviceUpdate[],
  ): Promise<ListChange>
  /** These servers lack changes, and are to fetch the list. */
  missed(userId: UserId, servers: readonly ServerName[]): Promise<ListChange>
  /** The stream id of the last update, 0 before the first. */
  streamId(userId: UserId): Promise<number>
}

export function createLocalLists(context: UsersContext, changes: ChangeLog): LocalLists {
  const { store, committer, clock, outbox, rooms } = context
  // The last stream id given out; ahead of the store while a commit is under way.
  const last = new Map<string, number>()
  committer.onFailure(() => {
    last.clear()
  })

  const load = async (userId: UserId): Promise<void> => {
    if (last.has(userId)) return
    const stored = (await listStreams.get(store, [userId])) ?? 0
    last.set(userId, Math.max(stored, last.get(userId) ?? 0))
  }

  const number = (userId: UserId, update: DeviceUpdate): Edu => {
    const before = last.get(userId) ?? 0
    const streamId = Math.max(clock.now(), before + 1)
    last.set(userId, streamId)
    return {
      edu_type: 'm.device_list_update',
      content: { ...update, user_id: userId, stream_id: streamId, prev_id: before === 0 ? [] : [before] },
    }
  }

  const send = async (
    userId: UserId,
    servers: readonly ServerName[],
    devices: readonly DeviceUpdate[],
    more: readonly Edu[],
    log: (position: number) => readonly Write[],
  ): Promise<ListChange> => {
    await load(userId)
    return {
      writes(position) {
        const edus = [...devices.map((update) => number(userId, update)), ...more]
        return [
          ...log(position),
          listStreams.put([userId], last.get(userId) ?? 0),
          ...servers.flatMap((server) =>
            outbox.isFull(server)
              ? behindOnLists.put([server], 1)
              : edus.flatMap((edu) => outbox.queueDurable(server, edu)),
          ),
        ]
      },
      sent() {
        if (servers.length > 0) outbox.kick(servers)
      },
    }
  }

  return {
    async change(userId, { devices = [], signingKeys }) {
      const servers = await sharingServers(rooms(), userId)
      const keys: readonly Edu[] =
        signingKeys === undefined
          ? []
          : [{ edu_type: 'm.signing_key_update', content: { ...signingKeys, user_id: userId } }]
      const log = await changes.change(userId)
      return send(userId, servers, devices, keys, log)
    },
    announce: (userId, servers, devices) => send(userId, servers, devices, [], () => []),
    async missed(userId, servers) {
      const { writes, sent } = await send(userId, servers, [OF_NO_DEVICE], [], () => [])
      return {
        writes(position) {
          // Who lacks the update before fetches the list: here all, for nobody gets it. Of signing keys alone they would lack none.
          // spec: server-server-api.md "Device Management", `prev_id`
          number(userId, OF_NO_DEVICE)
          return writes(position)
        },
        sent,
      }
    },
    async streamId(userId) {
      return (await listStreams.get(store, [userId])) ?? 0
    },
  }
}

/** Whose keys changed when: one row for each user, at the position of the last change. */
export interface ChangeLog {
  /** The writes that log a change of the user's keys, seen by `audience` alone or by all. */
  change(userId: UserId, audience?: UserId): Promise<(position: number) => readonly Write[]>
  /** Users whose keys changed for `audience` at a position in (from, to]. */
  between(audience: UserId, from: number, to: number): Promise<readonly UserId[]>
}

/** Users whose last change is kept in memory. */
const MAX_LATEST = 10_000

export function createChangeLog({ store, committer }: UsersContext): ChangeLog {
  // Where the row of a user stands; ahead of the store while a commit is under way. A row that is forgotten here and
  // stays behind costs only its room.
  const latest = createLru<string, number>(MAX_LATEST)
  // No row stands above this position.
  let newest = committer.committed
  committer.onFailure(() => {
    latest.clear()
  })
  return {
    async change(userId, audience) {
      const key = [userId, audience ?? ''] as const
      const name = JSON.stringify(key)
      if (latest.get(name) === undefined) {
        const stored = await listLatest.get(store, key)
        if (stored !== undefined && latest.get(name) === undefined) latest.set(name, stored)
      }
      return (position) => {
        const before = latest.get(name)
        latest.set(name, position)
        newest = Math.max(newest, position)
        return [
          ...(before === undefined ? [] : [listChanges.delete([before, ...key])]),
          listChanges.put([position, ...key], 1),
          listLatest.put(key, position),
        ]
      }
    },
    async between(audience, from, to) {
      if (from >= newest) return []
      const rows = await listChanges.range(store, [], from + 1, to + 1)
      const users = rows.flatMap(([[, userId, seenBy]]) =>
        seenBy === '' || seenBy === audience ? [userId as UserId] : [],
      )
      return [...new Set(users)].sort()
    },
  }
}

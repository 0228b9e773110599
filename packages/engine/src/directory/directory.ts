/** spec: client-server-api/_index.md "Room aliases", "Published room directory" */
import { POWER_LEVELS_KEY, requiredEventLevel, serverOf, userPowerLevel } from '@plexus/core'
import type { RoomAlias, RoomId, ServerName, UserId } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import type { Mutex } from '../kernel/mutex.ts'
import { createMutex } from '../kernel/mutex.ts'
import type { Table } from '../kernel/table.ts'
import { table } from '../kernel/table.ts'
import type { Clock, Directory, Federation, Log, Signer, Store, Write } from '../ports.ts'
import type { Rooms } from '../rooms/types.ts'
import { RoomError } from '../rooms/types.ts'
import { createAnnouncements } from './announcements.ts'
import { askForAlias } from './ask-for-alias.ts'
import { askForRooms, pageOf } from './public-rooms.ts'
import { publishedRoom } from './published-room.ts'
import { createSpaces } from './spaces.ts'
import type { PublishedRoom, ResolvedAlias, RoomDirectory } from './types.ts'

/** Aliases that one user may hold. */
export const MAX_ALIASES_PER_USER = 1_000
export const MAX_PUBLISHED_ROOMS = 5_000
/** Servers named with an alias. */
const MAX_ALIAS_SERVERS = 20

type AliasRecord = { readonly roomId: RoomId; readonly creator: UserId }

const aliases: Table<readonly [RoomAlias], AliasRecord> = table('alias', ['s'])
const aliasesByRoom: Table<readonly [RoomId, RoomAlias], true> = table('alias-room', ['s', 's'])
const aliasesByUser: Table<readonly [UserId, RoomAlias], true> = table('alias-user', ['s', 's'])
const publishedRooms: Table<readonly [RoomId], true> = table('published', ['s'])
/** Of networks of application services, by `instance_id`. */
const publishedOfNetworks: Table<readonly [string, RoomId], true> = table('published-network', ['s', 's'])

export type DirectoryDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly rooms: Rooms
  readonly federation: Federation
  /** Where records of names that are keys are found and published. */
  readonly directory: Pick<Directory, 'publish' | 'findAlias' | 'findListing'>
  readonly signer: Signer
  readonly serverName: ServerName
  readonly clock: Clock
  readonly log: Log
  /** A local alias that is not there may be after this. Never rejects. */
  readonly seek: (alias: RoomAlias) => Promise<void>
  /** Told after the commit. */
  readonly aliasAdded: (alias: RoomAlias, roomId: RoomId) => void
  readonly aliasRemoved: (alias: RoomAlias, roomId: RoomId) => void
}

/** All aliases of this server, once. */
export async function listAliases(store: Store): Promise<readonly (readonly [RoomAlias, RoomId])[]> {
  return (await aliases.list(store, [])).map(([[alias], { roomId }]) => [alias, roomId])
}

export function createRoomDirectory(deps: DirectoryDeps): RoomDirectory {
  const { store, committer, rooms, serverName } = deps
  const mutex: Mutex = createMutex()

  const find = async (alias: RoomAlias): Promise<ResolvedAlias | undefined> => {
    const record = await aliases.get(store, [alias])
    if (record === undefined) return undefined
    const servers = await viasOf(record.roomId)
    return { roomId: record.roomId, servers: servers.slice(0, MAX_ALIAS_SERVERS) }
  }

  const published = async (network: string | undefined, every = false): Promise<readonly PublishedRoom[]> => {
    const own =
      network === undefined ? (await publishedRooms.list(store, [])).map(([[roomId]]) => roomId) : []
    const prefix = network === undefined ? [] : [network]
    const others = network === undefined && !every ? [] : await publishedOfNetworks.list(store, prefix)
    const listed = new Set([...own, ...others.map(([[, roomId]]) => roomId)])
    const found = await Promise.all([...listed].map((roomId) => publishedRoom(rooms, roomId)))
    return found
      .filter((room) => room !== undefined)
      .sort((a, b) => b.joinedMembers - a.joinedMembers || (a.roomId < b.roomId ? -1 : 1))
  }

  const aliasesOf = async (roomId: RoomId): Promise<readonly RoomAlias[]> =>
    (await aliasesByRoom.list(store, [roomId])).map(([[, alias]]) => alias)
  const viasOf = async (roomId: RoomId): Promise<readonly ServerName[]> => {
    const joined = (await rooms.snapshot(roomId))?.joinedServers ?? []
    return [serverName, ...joined.filter((server) => server !== serverName)]
  }
  const announcements = createAnnouncements({
    ...deps,
    published: () => published(undefined),
    aliasesOf,
    viasOf,
  })

  return {
    ...createSpaces(deps),
    close: () => announcements.close(),
    holds: async (alias) => (await aliases.get(store, [alias])) !== undefined,
    async resolveLocal(alias) {
      const found = await find(alias)
      if (found !== undefined) return found
      await deps.seek(alias)
      return find(alias)
    },
    async resolve(alias, signal) {
      const server = serverOf(alias)
      if (server === serverName) {
        const found = await find(alias)
        if (found === undefined) throw new RoomError('M_NOT_FOUND', 'there is no such room alias')
        return found
      }
      const found = await askForAlias(deps, alias, signal)
      return {
        roomId: found.roomId,
        servers: [...new Set([...found.servers.slice(0, MAX_ALIAS_SERVERS), server])],
      }
    },
    create: (alias, roomId, userId) =>
      mutex.run(async () => {
        if (serverOf(alias) !== serverName)
          throw new RoomError('M_INVALID_PARAM', 'the alias belongs to another server')
        if ((await aliases.get(store, [alias])) !== undefined) return 'taken'
        const own = await aliasesByUser.list(store, [userId], { limit: MAX_ALIASES_PER_USER })
        if (own.length >= MAX_ALIASES_PER_USER)
          throw new RoomError('M_LIMIT_EXCEEDED', 'you hold too many aliases')
        await committer.submit({
          writes: () => [
            aliases.put([alias], { roomId, creator: userId }),
            aliasesByRoom.put([roomId, alias], true),
            aliasesByUser.put([userId, alias], true),
          ],
          publish() {
            deps.aliasAdded(alias, roomId)
            announcements.changed()
          },
        })
        return 'created'
      }),
    remove: (alias, userId) =>
      mutex.run(async () => {
        const record = await aliases.get(store, [alias])
        if (record === undefined) throw new RoomError('M_NOT_FOUND', 'there is no such room alias')
        const { roomId, creator } = record
        const isTheirs =
          userId === undefined || creator === userId || (await mayNameRoom(rooms, roomId, userId))
        if (!isTheirs) throw new RoomError('M_FORBIDDEN', 'the alias is not yours')
        await committer.submit({
          writes: () => [
            aliases.delete([alias]),
            aliasesByRoom.delete([roomId, alias]),
            aliasesByUser.delete([creator, alias]),
          ],
          publish: () => deps.aliasRemoved(alias, roomId),
        })
        return roomId
      }),
    aliasesOf,
    async isPublished(roomId) {
      return (await publishedRooms.get(store, [roomId])) === true
    },
    setPublished: (roomId, published, network) =>
      mutex.run(async () => {
        if (published) {
          const rows = network === undefined ? publishedRooms : publishedOfNetworks
          const all = await rows.list(store, [], { limit: MAX_PUBLISHED_ROOMS })
          if (all.length >= MAX_PUBLISHED_ROOMS)
            throw new RoomError('M_LIMIT_EXCEEDED', 'too many rooms are published')
        }
        const write =
          network === undefined
            ? publishing(publishedRooms, [roomId], published)
            : publishing(publishedOfNetworks, [network, roomId], published)
        await committer.submit({ writes: () => [write], publish: () => announcements.changed() })
      }),
    publicRooms: async (query) => pageOf(await published(query.network, query.everyNetwork), query),
    publicRoomsOf: (server, query, signal) => askForRooms(deps, server, query, signal),
  }
}

const publishing = <Key extends readonly string[]>(
  rows: Table<Key, true>,
  key: Key,
  published: boolean,
): Write => (published ? rows.put(key, true) : rows.delete(key))

/** True for a member who may set the canonical alias. */
async function mayNameRoom(rooms: Rooms, roomId: RoomId, userId: UserId): Promise<boolean> {
  const snapshot = await rooms.snapshot(roomId)
  if (snapshot?.joinedMembers.includes(userId) !== true) return false
  const [levels] = await rooms.stateEvents(snapshot.state, [POWER_LEVELS_KEY])
  const auth = {
    create: snapshot.create,
    get: (key: string) => (key === POWER_LEVELS_KEY ? levels?.pdu : undefined),
  }
  return (
    userPowerLevel(snapshot.version, auth, userId) >=
    requiredEventLevel(snapshot.version, auth, 'm.room.canonical_alias', true)
  )
}

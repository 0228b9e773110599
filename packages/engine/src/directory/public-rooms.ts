/** The list of rooms that a server publishes, page by page. spec: client-server-api/_index.md "Published room directory" */
import type { ServerName } from '@plexus/core'
import type { ListedRoom } from '@plexus/core/names'
import { isKeyName } from '@plexus/core/names'
import type { Directory, Federation } from '../ports.ts'
import { CarrierError } from '../ports.ts'
import { asRoomError } from '../rooms/remote-join.ts'
import { RoomError } from '../rooms/types.ts'
import type { PublicRoomsPage, PublicRoomsQuery, PublishedRoom } from './types.ts'

/** Rooms of one page of the directory. */
export const MAX_PUBLIC_PAGE = 500

export function pageOf(all: readonly PublishedRoom[], query: PublicRoomsQuery): PublicRoomsPage {
  const { since, limit = MAX_PUBLIC_PAGE, types } = query
  const start = since === undefined ? 0 : Number(/^p([0-9]{1,6})$/.exec(since)?.[1] ?? Number.NaN)
  if (Number.isNaN(start)) throw new RoomError('M_INVALID_PARAM', 'since is not a token of this server')
  const term = query.term?.toLowerCase()
  const rooms = all.filter((room) => {
    if (types !== undefined && !types.includes(room.roomType ?? null)) return false
    if (term === undefined) return true
    return [room.name, room.topic, room.canonicalAlias].some((text) => text?.toLowerCase().includes(term))
  })
  const end = start + Math.min(limit, MAX_PUBLIC_PAGE)
  return {
    rooms: rooms.slice(start, end),
    total: rooms.length,
    ...(end < rooms.length ? { next: `p${end}` } : {}),
    ...(start > 0 ? { previous: `p${Math.max(0, start - limit)}` } : {}),
  }
}

export type PublicRoomsDeps = {
  readonly federation: Pick<Federation, 'publicRooms'>
  readonly directory: Pick<Directory, 'findListing'>
}

/** As its server's record has it: who may read it is not told there. */
const listedRoom = (room: ListedRoom): PublishedRoom => ({
  ...room,
  worldReadable: false,
  guestCanJoin: false,
})

/** Asks the server; where that is away, its record. */
export async function askForRooms(
  { federation, directory }: PublicRoomsDeps,
  server: ServerName,
  query: PublicRoomsQuery,
  signal: AbortSignal | undefined,
): Promise<PublicRoomsPage> {
  const { limit = MAX_PUBLIC_PAGE } = query
  try {
    return await federation.publicRooms(
      server,
      { ...query, limit: Math.min(limit, MAX_PUBLIC_PAGE) },
      signal === undefined ? {} : { signal },
    )
  } catch (error) {
    signal?.throwIfAborted()
    const isAway = error instanceof CarrierError && isKeyName(server)
    const listing = isAway ? await directory.findListing(server) : undefined
    if (listing !== undefined) return pageOf(listing.record.rooms.map(listedRoom), query)
    throw asRoomError(error, 'the rooms of that server cannot be listed')
  }
}

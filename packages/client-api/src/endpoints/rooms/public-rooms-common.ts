/** What both ways of listing public rooms share. */
import type { JsonObject } from '@plexus/core'
import { MatrixError, invalidParam } from '../../matrix-error.ts'
import type { ApiEngine } from '../../services.ts'
import { chunkOf } from './summary-common.ts'

/** Rooms of one page of the directory. */
export const MAX_PUBLIC_PAGE = 500

export type Query = {
  readonly server?: string | undefined
  readonly since?: string | undefined
  readonly limit?: number | undefined
}

export async function listRooms(
  engine: ApiEngine,
  { server, since, limit = MAX_PUBLIC_PAGE }: Query,
  filter: {
    readonly term?: string
    readonly types?: readonly (string | null)[]
    readonly network?: string
    readonly everyNetwork?: boolean
  },
): Promise<JsonObject> {
  if (server !== undefined && server !== engine.serverName) {
    throw new MatrixError(400, 'M_UNKNOWN', 'this node does not ask other servers for their rooms')
  }
  const start = since === undefined ? 0 : Number(/^p([0-9]{1,6})$/.exec(since)?.[1] ?? Number.NaN)
  if (Number.isNaN(start)) throw invalidParam('since is not a token of this server')
  const term = filter.term?.toLowerCase()
  const rooms = (await engine.roomDirectory.published(filter.network, filter.everyNetwork)).filter((room) => {
    if (filter.types !== undefined && !filter.types.includes(room.roomType ?? null)) return false
    if (term === undefined) return true
    return [room.name, room.topic, room.canonicalAlias].some((text) => text?.toLowerCase().includes(term))
  })
  const end = start + Math.min(limit, MAX_PUBLIC_PAGE)
  return {
    chunk: rooms.slice(start, end).map((room) => chunkOf(room)),
    total_room_count_estimate: rooms.length,
    ...(end < rooms.length ? { next_batch: `p${end}` } : {}),
    ...(start > 0 ? { prev_batch: `p${Math.max(0, start - limit)}` } : {}),
  }
}

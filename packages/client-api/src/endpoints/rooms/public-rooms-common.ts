/** What both ways of listing public rooms share. */
import type { JsonObject, ServerName } from '@plexus/core'
import { publicRoomsJson } from '@plexus/engine'
import type { PublicRoomsQuery } from '@plexus/engine'
import type { ApiEngine } from '../../services.ts'

/** The rooms of this server, or of another one as it tells them. */
export async function listRooms(
  { serverName, roomDirectory }: ApiEngine,
  server: ServerName | undefined,
  query: PublicRoomsQuery,
  signal: AbortSignal,
): Promise<JsonObject> {
  const isOwn = server === undefined || server === serverName
  const page = isOwn ? roomDirectory.publicRooms(query) : roomDirectory.publicRoomsOf(server, query, signal)
  return publicRoomsJson(await page)
}

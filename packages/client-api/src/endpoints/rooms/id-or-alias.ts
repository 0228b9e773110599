/** A room named by id or alias, and the servers to find it through. */
import type { RoomId, ServerName } from '@plexus/core'
import { parseRoomAlias, parseRoomId } from '@plexus/core'
import * as v from 'valibot'
import { invalidParam } from '../../matrix-error.ts'
import { queryList, serverName } from '../../schemas.ts'
import { resolveAlias, type Asking } from '../app-services/resolve-alias.ts'

type Via = {
  readonly via?: readonly ServerName[] | undefined
  readonly server_name?: readonly ServerName[] | undefined
}
export type Where = { readonly roomId: RoomId; readonly via: readonly ServerName[] }

export const idOrAlias: v.GenericSchema<unknown, { roomIdOrAlias: string }> = v.object({
  roomIdOrAlias: v.string(),
})
const via = v.optional(queryList(serverName))
/** `server_name` is the name of `via` before v1.12. */
export const viaQuery: v.GenericSchema<unknown, Via> = v.object({ via, server_name: via })

export async function find({ engine, service, signal }: Asking, text: string, query: Via): Promise<Where> {
  const named = [...(query.via ?? []), ...(query.server_name ?? [])]
  const id = parseRoomId(text)
  if (id !== undefined) return { roomId: id, via: named }
  const alias = parseRoomAlias(text)
  if (alias === undefined) throw invalidParam('neither a room id nor a room alias')
  const { roomId, servers } = await resolveAlias({ engine, service, signal }, alias)
  return { roomId, via: [...new Set([...named, ...servers])] }
}

// GET /_matrix/client/v3/events https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events
import type { JsonValue, RoomId } from '@plexus/core'
import { formatSyncToken, NO_FILTER, NO_SYNC_FILTER, parseSyncToken } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { invalidParam } from '../../matrix-error.ts'
import { queryInteger, roomId } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'
import { MAX_PAGE } from './common.ts'
import { eventsOf, idsOf, inRoom, inviteEvents, roomsOf } from './old-sync-common.ts'

const MAX_TIMEOUT_MS = 120_000

/** News as clients from before `/sync` wait for them; with `room_id` of one room, which may be read without joining. */
export const events: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/events',
  auth: 'user',
  querySchema: v.object({
    from: v.optional(v.string()),
    timeout: v.optional(queryInteger(0, MAX_TIMEOUT_MS), '0'),
    room_id: v.optional(roomId),
  }),
  async handler({ engine, requester, query, signal }) {
    const start = query.from ?? formatSyncToken(engine.sync.now)
    const room = query.room_id
    const member = room === undefined ? undefined : await engine.rooms.membership(requester.userId, room)
    const { chunk, end } =
      room === undefined || member?.membership === 'join'
        ? await ownNews(engine, requester, start, room, query.timeout, signal)
        : await peekedNews(engine, requester, start, room, query.timeout, signal)
    return { start, end, chunk }
  },
})

type News = { readonly chunk: readonly JsonValue[]; readonly end: JsonValue }

async function ownNews(
  engine: ApiEngine,
  recipient: Requester,
  start: string,
  room: RoomId | undefined,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<News> {
  const since = parseSyncToken(start)
  if (since === undefined) throw invalidParam('from is not a token of this server')
  const filter = room === undefined ? NO_SYNC_FILTER : { ...NO_SYNC_FILTER, rooms: new Set([room]) }
  const request = {
    recipient,
    since,
    filter,
    fullState: false,
    stateKind: 'state',
    keepsInbox: true,
    timeoutMs,
    signal,
  } as const
  const body = await engine.sync.sync(request)
  const sections = roomsOf(body)
  const chunk: JsonValue[] = [...eventsOf(body, 'presence')]
  for (const section of [sections.join, sections.leave])
    for (const roomId of idsOf(section)) {
      const part = section[roomId] ?? {}
      chunk.push(...inRoom(roomId, [...eventsOf(part, 'timeline'), ...eventsOf(part, 'ephemeral')]))
    }
  for (const roomId of idsOf(sections.invite))
    chunk.push(...(await inviteEvents(engine, recipient, roomId, sections.invite[roomId] ?? {})))
  return { chunk, end: body['next_batch'] ?? start }
}

/** Of a room that the user is not in. @throws RoomError M_FORBIDDEN where others may not look. */
function peekedNews(
  { polls, reader, sync }: ApiEngine,
  requester: Requester,
  start: string,
  room: RoomId,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<News> {
  return polls.until(requester.userId, timeoutMs, signal, async () => {
    const now = formatSyncToken(sync.now)
    const request = { roomId: room, direction: 'f', from: start, limit: MAX_PAGE, filter: NO_FILTER } as const
    const { chunk, end } = await reader.page(requester, request)
    return { answer: { chunk, end: end ?? now }, empty: chunk.length === 0 }
  })
}

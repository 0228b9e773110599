// GET /_matrix/client/v3/rooms/{roomId}/initialSync https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidinitialsync
import { NO_FILTER } from '@plexus/engine'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { inRoom, pageLimit } from './common.ts'

/** What a client shows of a room at first: of this moment for a member, of their leave for a former one. */
export const roomInitialSync: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/initialSync',
  auth: 'user',
  pathSchema: inRoom,
  querySchema: v.object({ limit: pageLimit }),
  async handler({ engine, requester, path, query, signal }) {
    const { roomId } = path
    const request = {
      roomId,
      direction: 'b',
      limit: Math.max(1, query.limit),
      filter: NO_FILTER,
      signal,
    } as const
    const page = await engine.reader.page(requester, request)
    const own = await engine.rooms.membership(requester.userId, roomId)
    const isPublic = await engine.roomDirectory.isPublished(roomId)
    return {
      room_id: roomId,
      // Whoever knocks and may look has no membership that the answer has a word for.
      ...(own === undefined || own.membership === 'knock' ? {} : { membership: own.membership }),
      messages: {
        chunk: page.chunk.toReversed(),
        end: page.start,
        ...(page.end === undefined ? {} : { start: page.end }),
      },
      state: await engine.reader.state(requester, roomId),
      visibility: isPublic ? 'public' : 'private',
    }
  },
})

// PUT /_matrix/client/v3/directory/list/room/{roomId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistroomroomid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'
import { inRoom, requireMember } from './common.ts'

export const putVisibility: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/directory/list/room/{roomId}',
  auth: 'user',
  rateLimit: 'message',
  pathSchema: inRoom,
  bodySchema: v.object({ visibility: v.optional(v.picklist(['public', 'private']), 'public') }),
  handler: async ({ engine, requester, path, body }) => {
    if ((await engine.rooms.snapshot(path.roomId)) === undefined) throw notFound('there is no such room')
    await requireMember(engine, requester, path.roomId)
    await engine.roomDirectory.setPublished(path.roomId, body.visibility === 'public')
    return {}
  },
})

// GET /_matrix/client/v3/directory/list/room/{roomId} https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directorylistroomroomid
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { notFound } from '../../matrix-error.ts'
import { inRoom } from './common.ts'

export const getVisibility: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/directory/list/room/{roomId}',
  auth: 'none',
  pathSchema: inRoom,
  handler: async ({ engine, path }) => {
    if ((await engine.rooms.snapshot(path.roomId)) === undefined) throw notFound('there is no such room')
    return { visibility: (await engine.roomDirectory.isPublished(path.roomId)) ? 'public' : 'private' }
  },
})

// PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidtypinguserid
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden } from '../../matrix-error.ts'
import { roomId, userId } from '../../schemas.ts'

const DEFAULT_TYPING_MS = 30_000

export const typing: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/rooms/{roomId}/typing/{userId}',
  auth: 'user',
  pathSchema: v.object({ roomId, userId }),
  bodySchema: v.object({ typing: v.boolean(), timeout: v.optional(v.number()) }),
  handler: async ({ engine, requester, path, body }) => {
    if (path.userId !== requester.userId) throw forbidden('nobody types for somebody else')
    await engine.typing.set(requester.userId, path.roomId, body.typing, body.timeout ?? DEFAULT_TYPING_MS)
    return {}
  },
})

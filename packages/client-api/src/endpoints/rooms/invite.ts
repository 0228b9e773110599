// POST /_matrix/client/v3/rooms/{roomId}/invite https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite
import type { JsonObject } from '@plexus/core'
import { ownValue } from '@plexus/core'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { MatrixError, missingParam } from '../../matrix-error.ts'
import { userId } from '../../schemas.ts'
import { inRoom, reasonOf } from './common.ts'

export const invite: Endpoint = endpoint({
  method: 'POST',
  path: '/_matrix/client/v3/rooms/{roomId}/invite',
  auth: 'user',
  whileSuspended: false,
  rateLimit: 'message',
  pathSchema: inRoom,
  bodySchema: v.looseObject({ user_id: v.optional(userId), reason: v.optional(v.string()) }),
  handler: async ({ engine, service, requester, path, body }) => {
    if (body.user_id === undefined) {
      if (ownValue(body as JsonObject, 'medium') === undefined) throw missingParam('user_id is missing')
      throw new MatrixError(
        400,
        'M_THREEPID_NOT_FOUND',
        'there is no identity server here; invite by link instead',
      )
    }
    await engine.appServices.askForUser(body.user_id, service)
    await engine.rooms.invite(requester.userId, path.roomId, body.user_id, reasonOf(body.reason))
    return {}
  },
})

// PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag} https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidtagstag
import type { JsonObject } from '@plexus/core'
import { tagsOf } from './tags-content.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { roomId, shortText, userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const setTag: Endpoint = endpoint({
  method: 'PUT',
  path: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}',
  auth: 'user',
  pathSchema: v.object({ userId, roomId, tag: shortText }),
  bodySchema: v.looseObject({ order: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1))) }),
  async handler({ engine, requester, path, body }) {
    checkSelf(requester, path.userId)
    await engine.users.accountData.update(path.userId, path.roomId, 'm.tag', (content) => ({
      tags: { ...tagsOf(content), [path.tag]: body as JsonObject },
    }))
    return {}
  },
})

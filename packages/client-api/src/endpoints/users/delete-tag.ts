// DELETE /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag} https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3useruseridroomsroomidtagstag
import { without } from '@plexus/core'
import { tagsOf } from './tags-content.ts'
import * as v from 'valibot'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { roomId, shortText, userId } from '../../schemas.ts'
import { checkSelf } from './common.ts'

export const deleteTag: Endpoint = endpoint({
  method: 'DELETE',
  path: '/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}',
  auth: 'user',
  pathSchema: v.object({ userId, roomId, tag: shortText }),
  async handler({ engine, requester, path }) {
    checkSelf(requester, path.userId)
    await engine.users.accountData.update(path.userId, path.roomId, 'm.tag', (content) => {
      const tags = tagsOf(content)
      return Object.hasOwn(tags, path.tag) ? { tags: without(tags, path.tag) } : undefined
    })
    return {}
  },
})

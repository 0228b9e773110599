// GET /_matrix/client/v3/rooms/{roomId}/joined_members https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidjoined_members
import { isJsonObject, ownValue } from '@plexus/core'
import type { JsonObject } from '@plexus/core'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'
import { forbidden } from '../../matrix-error.ts'
import { inRoom } from './common.ts'

export const joinedMembers: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/rooms/{roomId}/joined_members',
  auth: 'user',
  pathSchema: inRoom,
  handler: async ({ engine, requester, path }) => {
    const row = await engine.rooms.membership(requester.userId, path.roomId)
    if (row?.membership !== 'join') throw forbidden('you are not a member of this room')
    const events = await engine.reader.members(requester, path.roomId)
    return { joined: Object.fromEntries(events.flatMap((event) => joinedEntry(event))) }
  },
})

function joinedEntry(event: JsonObject): readonly (readonly [string, JsonObject])[] {
  const { content, state_key: userId } = event
  if (!isJsonObject(content) || typeof userId !== 'string' || ownValue(content, 'membership') !== 'join')
    return []
  const name = ownValue(content, 'displayname')
  const avatar = ownValue(content, 'avatar_url')
  return [
    [
      userId,
      {
        ...(typeof name === 'string' ? { display_name: name } : {}),
        ...(typeof avatar === 'string' ? { avatar_url: avatar } : {}),
      },
    ],
  ]
}

// GET /_matrix/client/v3/joined_rooms https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3joined_rooms
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const joinedRooms: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/joined_rooms',
  auth: 'user',
  handler: async ({ engine, requester }) => {
    const rows = await engine.rooms.memberships(requester.userId)
    return {
      joined_rooms: rows.filter(({ membership }) => membership === 'join').map(({ roomId }) => roomId),
    }
  },
})

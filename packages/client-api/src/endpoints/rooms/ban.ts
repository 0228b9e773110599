// POST /_matrix/client/v3/rooms/{roomId}/ban https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidban
import type { Endpoint } from '../../endpoint.ts'
import { memberEndpoint } from './member-endpoint.ts'

export const ban: Endpoint = memberEndpoint('ban', 'ban')

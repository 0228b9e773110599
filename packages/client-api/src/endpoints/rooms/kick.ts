// POST /_matrix/client/v3/rooms/{roomId}/kick https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidkick
import type { Endpoint } from '../../endpoint.ts'
import { memberEndpoint } from './member-endpoint.ts'

export const kick: Endpoint = memberEndpoint('kick', 'leave', new Set(['join', 'invite', 'knock']))

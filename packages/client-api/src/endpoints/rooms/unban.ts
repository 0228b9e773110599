// POST /_matrix/client/v3/rooms/{roomId}/unban https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidunban
import type { Endpoint } from '../../endpoint.ts'
import { memberEndpoint } from './member-endpoint.ts'

export const unban: Endpoint = memberEndpoint('unban', 'leave', new Set(['ban']))

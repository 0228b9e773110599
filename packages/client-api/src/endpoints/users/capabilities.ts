// GET /_matrix/client/v3/capabilities https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3capabilities
import { DEFAULT_ROOM_VERSION, ROOM_VERSIONS } from '@plexus/core'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const capabilities: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v3/capabilities',
  auth: 'user',
  handler: async ({ engine, requester }) => ({
    capabilities: {
      'm.change_password': { enabled: true },
      'm.room_versions': {
        default: DEFAULT_ROOM_VERSION,
        available: Object.fromEntries(ROOM_VERSIONS.map((version) => [version, 'stable'])),
      },
      'm.set_displayname': { enabled: true },
      'm.set_avatar_url': { enabled: true },
      'm.3pid_changes': { enabled: false },
      'm.get_login_token': { enabled: await engine.users.accounts.hasPassword(requester.userId) },
      'm.profile_fields': { enabled: true },
    },
  }),
})

// GET /_matrix/client/v1/media/config https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediaconfig
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

export const mediaConfig: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/v1/media/config',
  aliases: ['/_matrix/media/v3/config', '/_matrix/media/r0/config'],
  auth: 'user',
  handler: ({ engine }) => ({ 'm.upload.size': engine.users.media.maxUploadBytes }),
})

/** Users that others ask about must be of this server. */
import type { UserId } from '@plexus/core'
import { parseUserId, serverOf } from '@plexus/core'
import { ApiError } from '../answer.ts'
import type { Services } from '../services.ts'

/** @throws ApiError M_MISSING_PARAM, M_INVALID_PARAM. */
export function localUser(services: Services, text: string | undefined): UserId {
  if (text === undefined) throw new ApiError(400, 'M_MISSING_PARAM', 'no user id')
  const user = parseUserId(text)
  if (user === undefined) throw new ApiError(400, 'M_INVALID_PARAM', 'not a user id')
  if (serverOf(user) !== services.serverName) {
    throw new ApiError(400, 'M_INVALID_PARAM', 'the user is not of this server')
  }
  return user
}

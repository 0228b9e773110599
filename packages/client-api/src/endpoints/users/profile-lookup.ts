import { serverOf } from '@plexus/core'
import type { UserId } from '@plexus/core'
import { forbidden } from '../../matrix-error.ts'
import type { ApiEngine, Requester } from '../../services.ts'

/**
 * Without a token only local profiles are told, so that nobody makes this node ask others: unless anybody gets a token
 * anyway. @throws MatrixError
 */
export function checkLookup(engine: ApiEngine, requester: Requester | undefined, userId: UserId): void {
  if (requester !== undefined || serverOf(userId) === engine.serverName) return
  if (engine.users.registration.mode === 'open') return
  throw forbidden('profiles of other servers are told to users of this one')
}

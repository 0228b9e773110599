import { serverOf } from '@plexus/core'
import type { UserId } from '@plexus/core'
import { MatrixError } from '../../matrix-error.ts'
import type { ApiEngine, Requester } from '../../services.ts'

/** Without a token only local profiles are told, so that nobody makes this node ask others. @throws MatrixError */
export function checkLookup(engine: ApiEngine, requester: Requester | undefined, userId: UserId): void {
  if (requester !== undefined || serverOf(userId) === engine.serverName) return
  throw new MatrixError(401, 'M_MISSING_TOKEN', 'an access token is needed for profiles of other servers')
}

import { StartError } from '@plexus/daemon'
import type { TurnInit } from '@plexus/engine'
import type { Config } from './config.ts'
import { readSecret } from './identity.ts'

/** How long the credentials of a TURN server are good. */
const TURN_LIFETIME_S = 86_400

/** `undefined` where no TURN server is named. @throws StartError when it lacks its secret. */
export function turnOf({
  turnUri: uris,
  turnSecretFile: file,
}: Pick<Config, 'turnUri' | 'turnSecretFile'>): TurnInit | undefined {
  if (uris.length === 0 && file === undefined) return undefined
  if (uris.length === 0 || file === undefined)
    throw new StartError('--turn-uri and --turn-secret-file need each other')
  return { uris, secret: readSecret(file), lifetimeSeconds: TURN_LIFETIME_S }
}

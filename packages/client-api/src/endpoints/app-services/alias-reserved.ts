/** spec: application-service-api.md "Server admin style permissions" */
import type { RoomAlias } from '@plexus/core'
import type { AppService } from '@plexus/engine'
import { MatrixError } from '../../matrix-error.ts'
import type { ApiEngine } from '../../services.ts'

/** Before an alias is made or deleted. @throws MatrixError M_EXCLUSIVE */
export function checkAliasIsFree(engine: ApiEngine, service: AppService | undefined, alias: RoomAlias): void {
  if (service !== undefined && !service.coversAlias(alias))
    throw new MatrixError(
      400,
      'M_EXCLUSIVE',
      'the alias is outside of the namespaces of the application service',
    )
  if (engine.appServices.isAliasReserved(alias, service))
    throw new MatrixError(400, 'M_EXCLUSIVE', 'the alias is reserved for an application service')
}

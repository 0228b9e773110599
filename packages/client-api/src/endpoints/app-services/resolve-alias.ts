/** spec: application-service-api.md "Querying" */
import { serverOf, type RoomAlias } from '@plexus/core'
import type { AppService, ResolvedAlias } from '@plexus/engine'
import type { ApiEngine } from '../../services.ts'

export type Asking = {
  readonly engine: ApiEngine
  /** The application service that looks for the alias. */
  readonly service: AppService | undefined
  readonly signal: AbortSignal
}

/** Gives application services the chance to make the room first. @throws RoomError M_NOT_FOUND, AppServiceError */
export async function resolveAlias(
  { engine, service, signal }: Asking,
  alias: RoomAlias,
): Promise<ResolvedAlias> {
  const { roomDirectory, appServices, serverName } = engine
  if (serverOf(alias) === serverName && !(await roomDirectory.holds(alias)))
    await appServices.askForAlias(alias, service)
  return roomDirectory.resolve(alias, signal)
}

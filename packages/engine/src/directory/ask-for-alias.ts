import { serverOf, type RoomAlias } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import { CarrierError, type Directory, type Federation } from '../ports.ts'
import type { ResolvedAlias } from './types.ts'

type AliasDeps = {
  readonly federation: Pick<Federation, 'directory'>
  readonly directory: Pick<Directory, 'findAlias'>
}

/** Asks the alias's server; where that is away, its record. @throws what the server or the carrier answers */
export async function askForAlias(
  { federation, directory }: AliasDeps,
  alias: RoomAlias,
  signal: AbortSignal | undefined,
): Promise<ResolvedAlias> {
  const server = serverOf(alias)
  try {
    return await federation.directory(server, alias, signal === undefined ? {} : { signal })
  } catch (error) {
    const isAway = error instanceof CarrierError && isKeyName(server)
    const found = isAway ? await directory.findAlias(alias) : undefined
    if (found === undefined) throw error
    return { roomId: found.record.roomId, servers: found.record.vias }
  }
}

/** SRV records by the system's DNS. spec: RFC 2782 */
import { Resolver } from 'node:dns/promises'
import type { LookupSrv } from './discovery.ts'

export type SrvRecord = {
  readonly name: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

/** How long one name server may take, in milliseconds, and how often it is asked. */
const TIMEOUT_MS = 3_000
const TRIES = 2

/** By these DNS says that there are no records, or (NOTIMP) that this name server has none of any name. */
const NONE: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'ENOTIMP'])

export type ResolveSrv = (name: string) => Promise<readonly SrvRecord[]>

/** `resolve` asks DNS, that of the system by default. */
export function createLookupSrv(resolve: ResolveSrv = systemSrv): LookupSrv {
  return async (name) => {
    try {
      return inOrder(await resolve(name), Math.random)
    } catch (error) {
      if (NONE.has((error as NodeJS.ErrnoException).code ?? '')) return []
      throw error
    }
  }
}

const systemSrv: ResolveSrv = (name) => new Resolver({ timeout: TIMEOUT_MS, tries: TRIES }).resolveSrv(name)

/** Lowest priority first; among equals by chance, in proportion to their weights. `random` is from 0 to 1. */
export function inOrder(records: readonly SrvRecord[], random: () => number): readonly SrvRecord[] {
  // The key of each is the time of the first of events that come at the rate of its weight.
  const drawn = records.map((record) => ({ record, key: -Math.log(1 - random()) / (record.weight + 0.01) }))
  return drawn
    .toSorted((a, b) => a.record.priority - b.record.priority || a.key - b.key)
    .map(({ record }) => record)
}

/** SRV records by the system's DNS. spec: RFC 2782 */
import { resolveSrv } from 'node:dns/promises'
import type { LookupSrv } from './discovery.ts'

export type SrvRecord = {
  readonly name: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

/** A name without records, or without an answer, has none. */
export const lookupSrv: LookupSrv = async (name) => {
  try {
    return inOrder(await resolveSrv(name), Math.random)
  } catch {
    return []
  }
}

/** Lowest priority first; among equals by chance, in proportion to their weights. `random` is from 0 to 1. */
export function inOrder(records: readonly SrvRecord[], random: () => number): readonly SrvRecord[] {
  // The key of each is the time of the first of events that come at the rate of its weight.
  const drawn = records.map((record) => ({ record, key: -Math.log(1 - random()) / (record.weight + 0.01) }))
  return drawn
    .toSorted((a, b) => a.record.priority - b.record.priority || a.key - b.key)
    .map(({ record }) => record)
}

/**
 * Durable EDUs that a fault of this node keeps from being applied. Their transaction fails, so that their origin, the relay or the
 * early ones bring them again; after a while one is done without, or it would keep all that follows from being applied for ever.
 */
import type { JsonObject, ServerName } from '@plexus/core'
import { encodeBase64 } from '@plexus/core'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { createSteady } from './kernel/steady.ts'
import type { Clock } from './ports.ts'

/** An EDU that still fails this long after it failed first is given up: it is tried twice at least. */
export const FAULT_PATIENCE_MS = 30_000
/** EDUs that are remembered as failing; of more, which failed first is forgotten and so tried for longer. */
export const MAX_FAILING_EDUS = 1_000

/** A handler threw. The same EDU may be applied later. */
export class EduFault extends Error {
  override readonly name = 'EduFault'
  constructor(cause: unknown) {
    super(`an EDU could not be applied: ${String(cause)}`, { cause })
  }
}

export interface EduFaults {
  /** True where it is given up. */
  failed(origin: ServerName, edu: JsonObject): boolean
  applied(origin: ServerName, edu: JsonObject): void
}

export function createEduFaults(clock: Clock): EduFaults {
  const steady = createSteady(clock)
  /** When each failed first. */
  const failing = new Map<string, number>()
  const keyOf = (origin: ServerName, edu: JsonObject): string =>
    `${origin} ${encodeBase64(sha256(utf8ToBytes(JSON.stringify(edu))))}`
  return {
    failed(origin, edu) {
      const key = keyOf(origin, edu)
      const now = steady()
      const first = failing.get(key) ?? now
      failing.set(key, first)
      const isGivenUp = now - first >= FAULT_PATIENCE_MS
      const [oldest] = failing.keys()
      if (isGivenUp) failing.delete(key)
      else if (failing.size > MAX_FAILING_EDUS && oldest !== undefined) failing.delete(oldest)
      return isGivenUp
    },
    applied(origin, edu) {
      if (failing.size > 0) failing.delete(keyOf(origin, edu))
    },
  }
}

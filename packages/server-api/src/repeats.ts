/**
 * Transactions that came without an envelope, so that one that its sender repeats, since it waited too long or lost the answer, is
 * processed once. What a transaction leaves is on disk before it is answered, and is known there when it comes again after a
 * restart: events and to-device messages by their ids, device lists by theirs.
 */
import type { ServerName } from '@plexus/core'
import type { Answer } from './answer.ts'
import { MAX_REMEMBERED_SERVERS, MAX_REMEMBERED_TRANSACTIONS } from './bounds.ts'

export interface Repeats {
  /** The answer to the same request of before, or that it is about to get; else that of `run`. A failure is forgotten. */
  once(origin: ServerName, hash: string, run: () => Promise<Answer>): Promise<Answer>
}

export function createRepeats(): Repeats {
  const servers = new Map<ServerName, Map<string, Promise<Answer>>>()
  return {
    once(origin, hash, run) {
      const own = servers.get(origin) ?? new Map<string, Promise<Answer>>()
      const known = own.get(hash)
      if (known !== undefined) return known
      const answer = run().catch((error: unknown) => {
        own.delete(hash)
        throw error
      })
      servers.delete(origin)
      dropOldest(servers.set(origin, own), MAX_REMEMBERED_SERVERS)
      dropOldest(own.set(hash, answer), MAX_REMEMBERED_TRANSACTIONS)
      return answer
    },
  }
}

function dropOldest<Key>(map: Map<Key, unknown>, max: number): void {
  const [oldest] = map.keys()
  if (map.size > max && oldest !== undefined) map.delete(oldest)
}

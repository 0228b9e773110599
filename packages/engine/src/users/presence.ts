/** Presence of local users, in memory. spec: client-server-api/modules/presence.md */
import type { UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Clock } from '../ports.ts'
import type { Presence, PresenceRecord } from './types.ts'

const MAX_PRESENCE_RECORDS = 10_000
/** In UTF-16 code units; the rest is cut. */
const MAX_STATUS_LENGTH = 1_000

export function createPresence(clock: Clock): Presence {
  const records = createLru<UserId, PresenceRecord>(MAX_PRESENCE_RECORDS)
  return {
    get: (userId) => records.get(userId),
    set(userId, presence, statusMessage) {
      const status =
        statusMessage === undefined ? {} : { statusMessage: statusMessage.slice(0, MAX_STATUS_LENGTH) }
      records.set(userId, { presence, ...status, lastActiveAt: clock.now() })
    },
  }
}

/** Filters that clients keep here. spec: client-server-api/_index.md "Filtering" */
import { encodeBase64Url } from '@plexus/core'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { UsersContext } from './deps.ts'
import { filters } from './tables.ts'
import { UserError } from './types.ts'
import type { Filters } from './types.ts'

const MAX_FILTERS_PER_USER = 200
/** JSON text of one filter, in UTF-16 code units. */
const MAX_FILTER_LENGTH = 65_536
const FILTER_ID_BYTES = 12

export function createFilters({ store, committer, mutex }: UsersContext): Filters {
  return {
    create: (userId, filter) =>
      mutex.run(`filters ${userId}`, async () => {
        const text = JSON.stringify(filter)
        if (text.length > MAX_FILTER_LENGTH) throw new UserError('M_TOO_LARGE', 'the filter is too large')
        // Clients make the same filter at every start.
        const id = encodeBase64Url(sha256(utf8ToBytes(text)).subarray(0, FILTER_ID_BYTES))
        if ((await filters.get(store, [userId, id])) !== undefined) return id
        const held = await filters.list(store, [userId], { limit: MAX_FILTERS_PER_USER })
        if (held.length >= MAX_FILTERS_PER_USER) {
          throw new UserError('M_LIMIT_EXCEEDED', `an account has at most ${MAX_FILTERS_PER_USER} filters`)
        }
        await committer.submit({ writes: () => [filters.put([userId, id], filter)] })
        return id
      }),
    get: (userId, filterId) => filters.get(store, [userId, filterId]),
  }
}

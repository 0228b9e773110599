/** What the relays that keep a node's mail show of its users' keys while it is away. DESIGN section 8 "Key shelf" */
import type { JsonValue } from '@plexus/core'
import { isJsonObject } from '@plexus/core'
import type { LocalKeys } from './local-keys.ts'
import type { Accounts, KeyShelf, UserQueries } from './types.ts'

/** The one algorithm of which clients make one-time keys. */
export const SHELF_ALGORITHM = 'signed_curve25519'

export function createKeyShelf(parts: {
  readonly accounts: Accounts
  readonly queries: Pick<UserQueries, 'devices'>
  readonly local: LocalKeys
  readonly ownName: Parameters<UserQueries['devices']>[0]
}): KeyShelf {
  const { accounts, queries, local, ownName } = parts
  return {
    users: () => accounts.list(),
    async list(userId) {
      const list = await queries.devices(ownName, userId)
      const devices = list['devices']
      return { ...list, devices: Array.isArray(devices) ? devices.map(withoutName) : [] }
    },
    take: (device, count) => local.take(device, SHELF_ALGORITHM, count),
    fallback: (device) => local.fallback(device, SHELF_ALGORITHM),
    fallbackGiven: (device) => local.fallbackGiven(device, SHELF_ALGORITHM),
  }
}

/** Names of devices are for who shares a room. */
function withoutName(device: JsonValue): JsonValue {
  if (!isJsonObject(device)) return device
  const { device_display_name: _name, ...rest } = device
  return rest
}

/** Which services an event goes to. spec: data/api/application-service/definitions/registration.yaml "namespaces" */
import { serverOf } from '@plexus/core'
import type { RoomAlias, RoomId, ServerName, UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { AppService } from './types.ts'

/** Local users of whom it is remembered which services cover them. */
const MAX_KNOWN_USERS = 10_000

export interface Interest {
  /** Those that want traffic and cover the user. */
  inUser(userId: UserId): readonly AppService[]
  /** Those that all events of a room go to while these users are joined to it. `joined` never changes. */
  inRoom(roomId: RoomId, joined: ReadonlySet<UserId> | readonly UserId[]): readonly AppService[]
  aliasAdded(alias: RoomAlias, roomId: RoomId): void
  aliasRemoved(alias: RoomAlias, roomId: RoomId): void
}

/** `services` are those that want traffic. */
export function createInterest(services: readonly AppService[], serverName: ServerName): Interest {
  const ofUser = createLru<UserId, readonly AppService[]>(MAX_KNOWN_USERS)
  // A room's members are the same set until one comes or goes.
  const ofMembers = new WeakMap<object, ReadonlySet<AppService>>()
  /** The aliases that a service covers, by room. */
  const aliases = new Map<RoomId, Set<RoomAlias>>()

  const inUser = (userId: UserId): readonly AppService[] => {
    if (services.length === 0 || serverOf(userId) !== serverName) return []
    const known = ofUser.get(userId)
    if (known !== undefined) return known
    const found = services.filter((service) => service.coversUser(userId))
    ofUser.set(userId, found)
    return found
  }

  const inMembers = (joined: ReadonlySet<UserId> | readonly UserId[]): ReadonlySet<AppService> => {
    const known = ofMembers.get(joined)
    if (known !== undefined) return known
    const found = new Set<AppService>()
    for (const userId of joined) for (const service of inUser(userId)) found.add(service)
    ofMembers.set(joined, found)
    return found
  }

  return {
    inUser,
    inRoom(roomId, joined) {
      if (services.length === 0) return []
      const byMember = inMembers(joined)
      const named = [...(aliases.get(roomId) ?? [])]
      return services.filter(
        (service) =>
          byMember.has(service) ||
          service.coversRoom(roomId) ||
          named.some((alias) => service.coversAlias(alias)),
      )
    },
    aliasAdded(alias, roomId) {
      if (!services.some((service) => service.coversAlias(alias))) return
      aliases.set(roomId, (aliases.get(roomId) ?? new Set()).add(alias))
    },
    aliasRemoved(alias, roomId) {
      const named = aliases.get(roomId)
      named?.delete(alias)
      if (named?.size === 0) aliases.delete(roomId)
    },
  }
}

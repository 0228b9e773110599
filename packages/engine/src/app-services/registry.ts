/** Who the services are, and what is theirs. spec: application-service-api.md "Registration" */
import { parseUserId, serverOf } from '@plexus/core'
import type { RoomAlias, ServerName, UserId } from '@plexus/core'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { AppService, AppServiceRegistration, AppServices, Namespace } from './types.ts'

/** @throws TypeError when two registrations share what must be their own, or one names no user. */
export function createAppServices(
  registrations: readonly AppServiceRegistration[],
  serverName: ServerName,
): AppServices {
  const all = registrations.map((registration) => toService(registration, serverName))
  const tokens = new Map(all.map((service) => [digest(service.registration.asToken), service]))
  const ids = new Set(all.map(({ id }) => id))
  if (tokens.size < all.length || ids.size < all.length)
    throw new TypeError('two application services have the same id or token')
  const isReserved = (by: AppService | undefined, isOf: (service: AppService) => boolean): boolean =>
    all.some((service) => service !== by && isOf(service))
  return {
    all,
    // The time that finding a hash takes tells nothing of the token.
    byToken: (token) => (all.length === 0 ? undefined : tokens.get(digest(token))),
    isUserReserved: (userId, by) =>
      isReserved(
        by,
        ({ sender, registration }) =>
          sender === userId ||
          (serverOf(userId) === serverName && reserves(registration.namespaces.users, userId)),
      ),
    isAliasReserved: (alias, by) =>
      isReserved(by, ({ registration }) => reserves(registration.namespaces.aliases, alias)),
  }
}

function toService(registration: AppServiceRegistration, serverName: ServerName): AppService {
  const { id, senderLocalpart, namespaces } = registration
  const sender = parseUserId(`@${senderLocalpart}:${serverName}`)
  if (sender === undefined) throw new TypeError(`the application service ${id} names no user`)
  return {
    id,
    sender,
    registration,
    coversUser: (userId) =>
      userId === sender || (serverOf(userId) === serverName && covers(namespaces.users, userId)),
    coversAlias: (alias) => covers(namespaces.aliases, alias),
    coversRoom: (roomId) => covers(namespaces.rooms, roomId),
  }
}

const covers = (namespaces: readonly Namespace[], id: string): boolean =>
  namespaces.some(({ matches }) => matches(id))

const reserves = (namespaces: readonly Namespace[], id: UserId | RoomAlias): boolean =>
  namespaces.some(({ exclusive, matches }) => exclusive && matches(id))

const digest = (token: string): string => sha256(utf8ToBytes(token)).join()

/** The application services of a node, put together. */
import type { Committer } from '../kernel/committer.ts'
import type { Serial } from '../kernel/serial.ts'
import type { Outbox } from '../outbox-types.ts'
import type { Clock, Log, Random, ServiceHttp, Store } from '../ports.ts'
import { CarrierError } from '../ports.ts'
import type { Presence, Receipts, Typing } from '../rooms-ephemeral/types.ts'
import type { ServiceQueue } from '../rooms/room.ts'
import type { Rooms } from '../rooms/types.ts'
import type { RoomAlias, RoomId, ServerName, UserId } from '@plexus/core'
import { createCallService, createPinging } from './calls.ts'
import { createInterest, type Interest } from './interest.ts'
import { createPush, type Push } from './push.ts'
import { createQueries } from './queries.ts'
import { createQueue } from './queue.ts'
import { createAppServices } from './registry.ts'
import { createThirdParty } from './third-party.ts'
import type { AppServiceCalls, AppServiceQueries, AppServiceRegistration, AppServices } from './types.ts'

export type AppServicesInit = {
  readonly http: ServiceHttp
  readonly registrations: readonly AppServiceRegistration[]
  /** Events that wait for one service. */
  readonly maxWaiting?: number
}

/** Where no service is registered, none is called. */
const NONE: AppServicesInit = {
  http: { send: () => Promise.reject(new CarrierError('unreachable', 'there are no application services')) },
  registrations: [],
}

export type AppServicesDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly serverName: ServerName
  readonly incarnation: string
  /** All aliases of this server. */
  readonly aliases: () => Promise<readonly (readonly [RoomAlias, RoomId])[]>
  /** Not asked before `start`. */
  readonly userExists: (userId: UserId) => Promise<boolean>
}

/** What is needed once the rooms are there. */
export type PushParts = {
  readonly rooms: Rooms
  readonly receipts: Receipts
  readonly typing: Typing
  readonly presence: Presence
  readonly outbox: Pick<Outbox, 'peers'>
  readonly serial: Serial
}

export interface AppServicesOwner {
  readonly services: AppServices
  readonly interest: Pick<Interest, 'aliasAdded' | 'aliasRemoved'>
  readonly queue: ServiceQueue
  readonly queries: AppServiceQueries
  start(parts: PushParts): Promise<{ readonly calls: AppServiceCalls; readonly push: Push }>
}

/** @throws TypeError as `createAppServices`. */
export async function createAppServicesOwner(
  deps: AppServicesDeps,
  { http, registrations, maxWaiting }: AppServicesInit = NONE,
): Promise<AppServicesOwner> {
  const services = createAppServices(registrations, deps.serverName)
  const reached = services.all.filter(({ registration }) => registration.url !== null)
  const interest = createInterest(reached, deps.serverName)
  if (reached.length > 0)
    for (const [alias, roomId] of await deps.aliases()) interest.aliasAdded(alias, roomId)
  const queue = await createQueue({
    ...deps,
    interest,
    services: reached,
    ...(maxWaiting === undefined ? {} : { maxWaiting }),
  })
  const call = createCallService(http)
  const parts = { ...deps, call, services: reached }
  const queries = createQueries(parts)
  return {
    services,
    interest,
    queue,
    queries,
    async start(more) {
      const push = await createPush({ ...parts, ...more, interest, queue })
      return {
        calls: {
          ...createPinging({ ...parts, appeared: (service) => push.appeared(service) }),
          ...queries,
          thirdParty: createThirdParty(parts),
        },
        push,
      }
    },
  }
}

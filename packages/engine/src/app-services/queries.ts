/** Asks services for users and rooms that they may make. spec: application-service-api.md "Querying" */
import { serverOf } from '@plexus/core'
import type { ServerName, UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Clock } from '../ports.ts'
import { CarrierError } from '../ports.ts'
import type { CallService } from './calls.ts'
import type { AppService, AppServiceQueries } from './types.ts'
import { AppServiceError } from './types.ts'
import { createSteady } from '../kernel/steady.ts'

/** "the homeserver should retry several times before timing out" */
export const QUERY_TRIES = 3
export const QUERY_TIMEOUT_MS = 10_000
export const QUERY_PAUSE_MS = 1_000
/** Queries under way; what is asked for beyond them counts as not there. */
export const MAX_QUERIES = 50
/** How long what no service has is not asked for again. */
export const ABSENT_MS = 60_000
const MAX_ABSENT = 10_000

export type QueryDeps = {
  readonly call: CallService
  readonly clock: Clock
  readonly serverName: ServerName
  /** Those that want traffic. */
  readonly services: readonly AppService[]
  readonly userExists: (userId: UserId) => Promise<boolean>
}

export function createQueries(deps: QueryDeps): AppServiceQueries {
  const { call, clock, services, serverName } = deps
  const steady = createSteady(clock)
  const underWay = new Map<string, Promise<void>>()
  /** Until when. */
  const absent = createLru<string, number>(MAX_ABSENT)

  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      clock.after(QUERY_PAUSE_MS, resolve)
    })

  const has = async (service: AppService, path: string): Promise<boolean> => {
    for (let tries = 1; ; tries += 1) {
      try {
        const { status } = await call(service, { method: 'GET', path, timeoutMs: QUERY_TIMEOUT_MS })
        return status === 200
      } catch (error) {
        if (!(error instanceof CarrierError)) throw error
        if (tries === QUERY_TRIES)
          throw new AppServiceError(`the application service ${service.id} does not answer`, { cause: error })
        await pause()
      }
    }
  }

  const askAll = async (path: string, asked: readonly AppService[]): Promise<void> => {
    for (const service of asked) if (await has(service, path)) return
    absent.set(path, steady() + ABSENT_MS)
  }

  const query = async (
    path: string,
    covering: readonly AppService[],
    by: AppService | undefined,
  ): Promise<void> => {
    const asked = covering.filter((service) => service !== by)
    if (asked.length === 0 || steady() < (absent.get(path) ?? 0)) return
    const running = underWay.get(path)
    if (running !== undefined) {
      // A service that looks for what it is being asked for would wait for itself.
      if (by === undefined) await running
      return
    }
    if (underWay.size >= MAX_QUERIES) return
    const run = askAll(path, asked)
    underWay.set(path, run)
    try {
      await run
    } finally {
      underWay.delete(path)
    }
  }

  return {
    async askForUser(userId, by) {
      if (services.length === 0 || serverOf(userId) !== serverName) return
      const covering = services.filter((service) => service.coversUser(userId))
      if (covering.length === 0 || (await deps.userExists(userId))) return
      await query(`users/${encodeURIComponent(userId)}`, covering, by)
    },
    askForAlias: (alias, by) =>
      query(
        `rooms/${encodeURIComponent(alias)}`,
        services.filter((service) => service.coversAlias(alias)),
        by,
      ),
  }
}

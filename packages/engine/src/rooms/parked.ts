/**
 * Events whose signature cannot be checked yet, since the key of a server cannot be had. They are not in staging: of
 * an event that nobody proved there may be a forged copy and a true one.
 *
 * Invariants:
 * 1. An event is acknowledged only after it is committed here. It leaves in a later commit than that of what became of it.
 * 2. What one server can put here is bounded, and so is the whole. Nothing waits for longer than `MAX_PARKED_MS`.
 */
import type { EventId, ServerName } from '@plexus/core'
import { backoffMs } from '../kernel/backoff.ts'
import type { Committer } from '../kernel/committer.ts'
import { createMutex } from '../kernel/mutex.ts'
import type { ServerKeys } from '../keys/types.ts'
import type { Clock, Log, Random, RangeOptions, Store } from '../ports.ts'
import { FIRST_RETRY_MS, LAST_RETRY_MS } from './gap-turns.ts'
import { parked, type ParkedRecord } from './records.ts'
import { createSteady } from '../kernel/steady.ts'

/** Events that one server sent and that may wait, and their JSON text in UTF-16 code units. */
export const MAX_PARKED_OF_SERVER = 200
export const MAX_PARKED_LENGTH_OF_SERVER = 2_097_152
/** Events of all servers that may wait, and their JSON text. */
export const MAX_PARKED = 5_000
export const MAX_PARKED_LENGTH = 33_554_432
/** Who shows no key for this long is given up, as far as the events go that waited. */
export const MAX_PARKED_MS = 604_800_000

export type ParkedDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly keys: Pick<ServerKeys, 'watch'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Takes in what one server sent; answers with those that still cannot be checked. */
  readonly receive: (
    origin: ServerName,
    records: readonly ParkedRecord[],
  ) => Promise<ReadonlySet<ParkedRecord>>
}

export interface Parked {
  /** Keeps the events; resolves after the commit, with the ids of those for which there is no room. */
  park(records: readonly ParkedRecord[]): Promise<ReadonlySet<EventId>>
  /** Resolves once what waited for the key of a server, if it came, is taken in. */
  ready(server: ServerName): Promise<void>
  /** Takes up what an earlier process left. */
  resume(): Promise<void>
  idle(): Promise<void>
  close(): void
}

export function createParked(deps: ParkedDeps): Parked {
  const { store, committer, clock } = deps
  const usage = createUsage()
  const parking = createMutex()
  const now = createSteady(clock)
  const wanted = createWantedKeys(deps.random, now)
  let trying: Promise<void> | undefined
  let cancelTimer: (() => void) | undefined
  let closed = false

  const tryServer = async (server: ServerName, options?: RangeOptions): Promise<number> => {
    const records = (await parked.list(store, [server], options)).map(([, record]) => record)
    const left = await tryAgain(deps, records)
    const leaving = records.filter((record) => !left.has(record))
    if (closed || leaving.length === 0) return 0
    await committer.submit({ writes: () => leaving.map((record) => parked.delete(keyOf(record))) })
    for (const record of leaving) {
      usage.remove(record)
      wanted.remove(record.server)
    }
    return leaving.length
  }

  const tryDue = async (): Promise<void> => {
    for (const { server, hasCome } of wanted.due()) {
      if (closed) return
      // One has the key asked for; the others follow when it comes.
      if (hasCome || (await tryServer(server, { limit: 1 })) > 0) await tryServer(server)
    }
  }

  const pump = (): void => {
    cancelTimer?.()
    const next = wanted.next()
    if (closed || trying !== undefined || next === undefined) return
    const pauseMs = next - now()
    if (pauseMs > 0) cancelTimer = clock.after(pauseMs, pump)
    else trying = tryDue().catch(failed).then(tried)
  }
  const failed = (error: unknown): void =>
    deps.log.log('error', 'events could not be tried again', { error: String(error) })
  const tried = (): void => {
    trying = undefined
    pump()
  }

  const stopWatching = deps.keys.watch((server) => {
    if (wanted.come(server)) pump()
  })

  return {
    park: (records) => parking.run(() => park(deps, usage, wanted, records).finally(pump)),
    async ready(server) {
      if (wanted.has(server)) await trying
    },
    async resume() {
      for (const [, record] of await parked.list(store, [])) {
        usage.add(record)
        wanted.add(record.server)
      }
      pump()
    },
    async idle() {
      while (trying !== undefined) await trying
    },
    close() {
      closed = true
      stopWatching()
      cancelTimer?.()
    },
  }
}

async function park(
  { store, committer }: ParkedDeps,
  usage: Usage,
  wanted: WantedKeys,
  records: readonly ParkedRecord[],
): Promise<ReadonlySet<EventId>> {
  const known = await parked.getMany(store, records.map(keyOf))
  const fresh = records.filter((_, index) => known[index] === undefined)
  const kept = fresh.filter((record) => usage.add(record))
  try {
    await committer.submit({
      durability: 'strict',
      writes: () => kept.map((record) => parked.put(keyOf(record), record)),
    })
  } catch (error) {
    for (const record of kept) usage.remove(record)
    throw error
  }
  for (const { server } of kept) wanted.add(server)
  return new Set(fresh.filter((record) => !kept.includes(record)).map(({ id }) => id))
}

const keyOf = ({ server, origin, id }: ParkedRecord): readonly [ServerName, ServerName, EventId] => [
  server,
  origin,
  id,
]

/** Those that wait on. */
async function tryAgain(
  { clock, log, receive }: ParkedDeps,
  records: readonly ParkedRecord[],
): Promise<ReadonlySet<ParkedRecord>> {
  const left = new Set<ParkedRecord>()
  for (const origin of new Set(records.map((record) => record.origin))) {
    const own = records.filter((record) => record.origin === origin)
    const recent = own.filter(({ at }) => at > clock.now() - MAX_PARKED_MS)
    if (recent.length < own.length) log.log('warn', 'events whose key nobody has are dropped', { origin })
    const still = await receive(origin, recent).catch((error: unknown) => {
      log.log('info', 'events wait on', { origin, error: String(error) })
      return recent
    })
    for (const record of still) left.add(record)
  }
  return left
}

/** The servers whose keys are wanted, and when they are asked for again. */
interface WantedKeys {
  add(server: ServerName): void
  remove(server: ServerName): void
  has(server: ServerName): boolean
  /** The key has come; false where nobody waits for it. */
  come(server: ServerName): boolean
  /** Those whose pause is over, each of which is to be tried: its next pause begins. */
  due(): readonly { readonly server: ServerName; readonly hasCome: boolean }[]
  /** When the first pause is over. */
  next(): number | undefined
}

function createWantedKeys(random: Random, now: () => number): WantedKeys {
  /** `until` is 0 when the key has come. */
  const waiting = new Map<ServerName, { count: number; failures: number; until: number }>()
  return {
    add(server) {
      const known = waiting.get(server) ?? { count: 0, failures: 0, until: now() + FIRST_RETRY_MS }
      known.count += 1
      waiting.set(server, known)
    },
    remove(server) {
      const known = waiting.get(server)
      if (known === undefined) return
      known.count -= 1
      if (known.count === 0) waiting.delete(server)
    },
    has: (server) => waiting.has(server),
    come(server) {
      const known = waiting.get(server)
      if (known !== undefined) known.until = 0
      return known !== undefined
    },
    due() {
      const found: { readonly server: ServerName; readonly hasCome: boolean }[] = []
      for (const [server, known] of waiting) {
        if (known.until > now()) continue
        found.push({ server, hasCome: known.until === 0 })
        known.failures += 1
        known.until = now() + backoffMs(random, known.failures, FIRST_RETRY_MS, LAST_RETRY_MS)
      }
      return found
    },
    next() {
      let next: number | undefined
      for (const { until } of waiting.values()) if (next === undefined || until < next) next = until
      return next
    },
  }
}

/** What the servers that sent them have here. */
interface Usage {
  /** False, and nothing changes, where there is no room. */
  add(record: ParkedRecord): boolean
  remove(record: ParkedRecord): void
}

function createUsage(): Usage {
  const perServer = new Map<ServerName, { count: number; length: number }>()
  const all = { count: 0, length: 0 }
  const change = ({ origin, pdu }: ParkedRecord, by: 1 | -1): void => {
    const own = perServer.get(origin) ?? { count: 0, length: 0 }
    for (const each of [own, all]) {
      each.count += by
      each.length += by * JSON.stringify(pdu).length
    }
    if (own.count === 0) perServer.delete(origin)
    else perServer.set(origin, own)
  }
  return {
    add(record) {
      change(record, 1)
      const own = perServer.get(record.origin)
      const isOver =
        all.count > MAX_PARKED ||
        all.length > MAX_PARKED_LENGTH ||
        (own?.count ?? 0) > MAX_PARKED_OF_SERVER ||
        (own?.length ?? 0) > MAX_PARKED_LENGTH_OF_SERVER
      if (isOver) change(record, -1)
      return !isOver
    },
    remove: (record) => change(record, -1),
  }
}

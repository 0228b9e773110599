/**
 * Durable EDUs that came by mail before those of their server that go in front of them: relays keep to no order, a mail that
 * is left again stands behind later ones, and one may be lost. They wait for a while, since the keys of Olm that are
 * skipped are few; then they are applied all the same, as who left them may never come back.
 */
import type { JsonObject, ServerName } from '@plexus/core'
import type { Committer } from './kernel/committer.ts'
import type { Table } from './kernel/table.ts'
import { table } from './kernel/table.ts'
import type { Clock, Log, Store, Write } from './ports.ts'

/** How long those in front are waited for: other relays, and the server itself if it is there, tell them by then. */
export const EARLY_WAIT_MS = 60_000
/** EDUs of one server ahead of a gap, and of all, applied ones included. What is beyond is left to its sender. */
export const MAX_EARLY_EDUS = 2_000
export const MAX_EARLY_EDUS_OF_ALL = 20_000
/** JSON text of those of one server that wait, and of all, in UTF-16 code units. */
export const MAX_EARLY_LENGTH: number = 8 * 1024 * 1024
export const MAX_EARLY_LENGTH_OF_ALL: number = 32 * 1024 * 1024

/** After this long nobody is expected to close a gap: whose store was lost never does. */
const EARLY_KEPT_MS: number = 120 * 24 * 3_600_000

/** Without `edu` it is applied. `at`: when it came. */
type EarlyRow = { readonly at: number; readonly edu?: JsonObject }
type Place = readonly [ServerName, incarnation: string, sequence: number]
/** `length` of what waits, 0 once it is applied. */
type Held = { readonly place: Place; readonly length: number }

const rows: Table<Place, EarlyRow> = table('early-edu', ['s', 's', 'n'])

/** Calls about one server come one after the other. */
export interface EarlyEdus {
  /** Keeps those for which there is room, the first at `sequence`. On disk when it resolves. */
  keep(
    origin: ServerName,
    incarnation: string,
    { sequence, edus }: { sequence: number; edus: readonly JsonObject[] },
  ): Promise<void>
  /** What is known of this sequence ahead of its turn. */
  get(origin: ServerName, incarnation: string, sequence: number): Promise<JsonObject | 'applied' | undefined>
  /** Those of a server that wait, in order, with the write that says that it is applied and what to do after its commit. */
  waiting(origin: ServerName): Promise<
    readonly {
      readonly edu: JsonObject
      readonly write: Write
      readonly publish: () => void
    }[]
  >
  /** Forgets those up to this sequence: nothing in front of them is missing. */
  forgetUpTo(origin: ServerName, incarnation: string, sequence: number): Promise<void>
  /** Calls back for servers whose EDUs have waited. */
  onDue(listener: (origin: ServerName) => Promise<void>): void
  close(): void
}

export type EarlyEdusDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly log: Log
  readonly sharesRoom: (name: ServerName) => boolean
}

export async function loadEarlyEdus(deps: EarlyEdusDeps): Promise<EarlyEdus> {
  const { store, committer, clock, log } = deps
  /** By server, then by incarnation and sequence. */
  const held = new Map<ServerName, Map<string, Held>>()
  const timers = new Map<ServerName, () => void>()
  let all = { count: 0, length: 0 }
  let due: (origin: ServerName) => Promise<void> = async () => undefined
  let closed = false

  const keyOf = ([, incarnation, sequence]: Place): string => `${incarnation} ${sequence}`
  const ofOrigin = (origin: ServerName): readonly Held[] => [...(held.get(origin)?.values() ?? [])]
  const set = (place: Place, length: number): void => {
    remove(place)
    const entries = held.get(place[0]) ?? new Map<string, Held>()
    held.set(place[0], entries.set(keyOf(place), { place, length }))
    all = { count: all.count + 1, length: all.length + length }
  }
  const remove = (place: Place): void => {
    const entries = held.get(place[0])
    const entry = entries?.get(keyOf(place))
    if (entries === undefined || entry === undefined) return
    all = { count: all.count - 1, length: all.length - entry.length }
    entries.delete(keyOf(place))
    if (entries.size === 0) held.delete(place[0])
  }
  const wait = (origin: ServerName): void => {
    const run = (): void => {
      timers.delete(origin)
      due(origin).catch((error: unknown) => {
        log.log('error', 'early EDUs were not applied', { origin, error: String(error) })
        if (!closed) wait(origin)
      })
    }
    if (!timers.has(origin)) timers.set(origin, clock.after(EARLY_WAIT_MS, run))
  }

  const forget = async (places: readonly Place[]): Promise<void> => {
    if (places.length === 0) return
    await committer.submit({
      writes: () => places.map((place) => rows.delete(place)),
      publish: () => places.forEach(remove),
    })
  }

  const found = await rows.list(store, [])
  for (const [place, { edu }] of found) {
    set(place, edu === undefined ? 0 : lengthOf(edu))
    if (edu !== undefined) wait(place[0])
  }
  const oldest = clock.now() - EARLY_KEPT_MS
  await forget(found.flatMap(([place, { at }]) => (at < oldest ? [place] : [])))

  return {
    async keep(origin, incarnation, { sequence, edus }) {
      if (!deps.sharesRoom(origin)) return
      const entries = ofOrigin(origin)
      const own = { count: entries.length, length: entries.reduce((sum, { length }) => sum + length, 0) }
      const total = { ...all }
      const at = clock.now()
      const kept: (Held & { readonly edu: JsonObject })[] = []
      for (const [index, edu] of edus.entries()) {
        const place: Place = [origin, incarnation, sequence + index]
        if (held.get(origin)?.has(keyOf(place)) === true) continue
        const length = lengthOf(edu)
        for (const fill of [own, total]) {
          fill.count += 1
          fill.length += length
        }
        if (own.count > MAX_EARLY_EDUS || own.length > MAX_EARLY_LENGTH) break
        if (total.count > MAX_EARLY_EDUS_OF_ALL || total.length > MAX_EARLY_LENGTH_OF_ALL) break
        kept.push({ place, length, edu })
      }
      if (kept.length === 0) return
      await committer.submit({
        durability: 'strict',
        writes: () => kept.map(({ place, edu }) => rows.put(place, { at, edu })),
        publish: () => kept.forEach(({ place, length }) => set(place, length)),
      })
      wait(origin)
    },
    async get(...place) {
      const entry = held.get(place[0])?.get(keyOf(place))
      if (entry === undefined) return undefined
      return entry.length === 0 ? 'applied' : (await rows.get(store, place))?.edu
    },
    async waiting(origin) {
      const entries = ofOrigin(origin)
        .filter(({ length }) => length > 0)
        .toSorted((a, b) => a.place[2] - b.place[2])
      const waiting = await rows.getMany(
        store,
        entries.map(({ place }) => place),
      )
      return entries.flatMap(({ place }, index) => {
        const { edu, at = 0 } = waiting[index] ?? {}
        return edu === undefined
          ? []
          : [{ edu, write: rows.put(place, { at }), publish: () => set(place, 0) }]
      })
    },
    async forgetUpTo(origin, incarnation, sequence) {
      const over = ofOrigin(origin).filter(({ place }) => place[1] === incarnation && place[2] <= sequence)
      await forget(over.map(({ place }) => place))
    },
    onDue(listener) {
      due = listener
    },
    close() {
      closed = true
      for (const cancel of timers.values()) cancel()
    },
  }
}

function lengthOf(edu: JsonObject): number {
  return JSON.stringify(edu).length
}

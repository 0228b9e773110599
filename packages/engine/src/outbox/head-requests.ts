/** Asking for heads that this node does not know: the events go to staging, which fetches what lies before them. */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import { createLru, type Lru } from '../kernel/lru.ts'
import type { Clock, Federation, Log, Random } from '../ports.ts'
import { FederationError } from '../ports.ts'
import { isStripped } from '../rooms/copy.ts'
import type { Rooms } from '../rooms/types.ts'

/** A head may be on its way, or come from another server: it is left that long, and as much again by chance. */
export const ASK_AFTER_MS = 1_000
/** Attempts to ask one server for the heads that it told, with growing pauses. */
export const MAX_ASK_TRIES = 8
/** Holes of a room that one server is asked for at once. */
export const MAX_ASKED_HOLES = 5
/** Answers of one server about one event, after which it is not asked for that any more. */
export const MAX_ANSWERS = 3
/** Answered questions that are remembered, so that none is asked again when the answer is of no use. */
export const MAX_REMEMBERED_HEADS = 2_000

export type HeadRequestDeps = {
  readonly federation: Pick<Federation, 'event'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly rooms: () => Pick<Rooms, 'events'>
  /** As if the server had sent them. */
  readonly receive: (
    server: ServerName,
    pdus: readonly JsonObject[],
  ) => Promise<Readonly<Record<string, { error?: string }>>>
  /** True for an event that waits in staging. */
  readonly holds: (roomId: RoomId, id: EventId) => boolean
}

export interface HeadRequests {
  /**
   * True when some of these are unknown and worth asking for. They are asked for in place of earlier ones of this server
   * and room. `heads` are what the server told; `holes` it may have as well as any other.
   */
  want(server: ServerName, roomId: RoomId, events: Wished): Promise<boolean>
  idle(): Promise<void>
  close(): void
}

export type Wished = { readonly heads: readonly EventId[]; readonly holes: readonly EventId[] }

type Wanted = {
  readonly server: ServerName
  readonly roomId: RoomId
  events: Wished
  tries: number
  cancel: (() => void) | undefined
}

/** How often a server answered about an event, by `<server> <event id>`. */
type Notes = Lru<string, number>

export function createHeadRequests(deps: HeadRequestDeps): HeadRequests {
  const wanted = new Map<string, Wanted>()
  const running = new Set<Promise<void>>()
  const answered: Notes = createLru(MAX_REMEMBERED_HEADS)
  /** Apart: that a server does not have a hole says nothing of it when it tells it as a head. */
  const askedHoles: Notes = createLru(MAX_REMEMBERED_HEADS)
  let closed = false

  /** Those that this node does not know and has not asked the server for. */
  const fresh = async (
    notes: Notes,
    { server, roomId }: Pick<Wanted, 'server' | 'roomId'>,
    ids: readonly EventId[],
  ): Promise<readonly EventId[]> => {
    const records = await deps.rooms().events(ids)
    return ids.filter((id, index) => {
      const record = records[index]
      // An event that is known only as state has no place yet, and who tells a head has it whole.
      const isPlaced =
        record !== undefined &&
        !isStripped(record) &&
        (record.order !== undefined || record.verdict !== 'accepted')
      return !isPlaced && !deps.holds(roomId, id) && (notes.get(`${server} ${id}`) ?? 0) < MAX_ANSWERS
    })
  }

  const schedule = (entry: Wanted): void => {
    if (closed || entry.cancel !== undefined) return
    const [chance = 0] = deps.random.bytes(1)
    const pauseMs = Math.ceil(ASK_AFTER_MS * 2 ** entry.tries * (1 + chance / 256))
    entry.cancel = deps.clock.after(pauseMs, () => {
      const run = ask(entry).finally(() => running.delete(run))
      running.add(run)
    })
  }

  const ask = async (entry: Wanted): Promise<void> => {
    const { server, roomId, events } = entry
    const name = `${server} ${roomId}`
    try {
      for (const id of await fresh(answered, entry, events.heads)) await askFor(answered, server, id)
      for (const id of await fresh(askedHoles, entry, events.holes)) await askFor(askedHoles, server, id)
      if (entry.events === events) wanted.delete(name)
    } catch (error) {
      entry.tries += 1
      deps.log.log('debug', 'a head could not be asked for', { server, roomId, error: String(error) })
      if (entry.tries >= MAX_ASK_TRIES) wanted.delete(name)
    }
    entry.cancel = undefined
    if (wanted.get(name) === entry) schedule(entry)
  }

  /** @throws when the server cannot be reached, or its event cannot be taken at this time. */
  const askFor = async (notes: Notes, server: ServerName, id: EventId): Promise<void> => {
    const note = `${server} ${id}`
    try {
      const { pdus } = await deps.federation.event(server, id)
      await deps.receive(server, pdus.slice(0, 1))
    } catch (error) {
      if (!(error instanceof FederationError) || error.remote.status === 429 || error.remote.status >= 500)
        throw error
      // It does not give it: one that sees itself or this node out of the room may do so once it has heard more.
    }
    notes.set(note, (notes.get(note) ?? 0) + 1)
  }

  return {
    async want(server, roomId, told) {
      const about = { server, roomId }
      const heads = await fresh(answered, about, told.heads)
      const holes = (await fresh(askedHoles, about, told.holes)).slice(-MAX_ASKED_HOLES)
      if (heads.length === 0 && holes.length === 0) return false
      const name = `${server} ${roomId}`
      const events = { heads, holes }
      const entry = wanted.get(name) ?? { ...about, events, tries: 0, cancel: undefined }
      entry.events = events
      wanted.set(name, entry)
      schedule(entry)
      return true
    },
    async idle() {
      while (running.size > 0) await Promise.all(running)
    },
    close() {
      closed = true
      for (const { cancel } of wanted.values()) cancel?.()
    },
  }
}

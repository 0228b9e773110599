/** Asking for heads that this node does not know: the events go to staging, which fetches what lies before them. */
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Clock, Federation, Log, Random } from '../ports.ts'
import { FederationError } from '../ports.ts'
import { isStripped } from '../rooms/copy.ts'
import type { Rooms } from '../rooms/types.ts'

/** A head may be on its way, or come from another server: it is left that long, and as much again by chance. */
export const ASK_AFTER_MS = 1_000
/** Attempts to ask one server for the heads that it told, with growing pauses. */
export const MAX_ASK_TRIES = 8
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
   * True when some of the heads that the server told are unknown and worth asking for. They are asked for in place of
   * earlier ones of this server and room.
   */
  want(server: ServerName, roomId: RoomId, heads: readonly EventId[]): Promise<boolean>
  idle(): Promise<void>
  close(): void
}

type Wanted = {
  readonly server: ServerName
  readonly roomId: RoomId
  heads: readonly EventId[]
  tries: number
  cancel: (() => void) | undefined
}

export function createHeadRequests(deps: HeadRequestDeps): HeadRequests {
  const wanted = new Map<string, Wanted>()
  const running = new Set<Promise<void>>()
  /** How often a server answered about an event, by `<server> <event id>`. */
  const answered = createLru<string, number>(MAX_REMEMBERED_HEADS)
  let closed = false

  /** Those that this node does not know and has not asked the server for. */
  const fresh = async (
    { server, roomId }: Pick<Wanted, 'server' | 'roomId'>,
    ids: readonly EventId[],
  ): Promise<readonly EventId[]> =>
    (await unplacedEvents(deps, roomId, ids)).filter(
      (id) => (answered.get(`${server} ${id}`) ?? 0) < MAX_ANSWERS,
    )

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
    const { server, roomId, heads } = entry
    const name = `${server} ${roomId}`
    try {
      for (const id of await fresh(entry, heads)) {
        await fetchEvent(deps, server, id)
        const note = `${server} ${id}`
        answered.set(note, (answered.get(note) ?? 0) + 1)
      }
      if (entry.heads === heads) wanted.delete(name)
    } catch (error) {
      entry.tries += 1
      deps.log.log('debug', 'a head could not be asked for', { server, roomId, error: String(error) })
      if (entry.tries >= MAX_ASK_TRIES) wanted.delete(name)
    }
    entry.cancel = undefined
    if (wanted.get(name) === entry) schedule(entry)
  }

  return {
    async want(server, roomId, told) {
      const about = { server, roomId }
      const heads = await fresh(about, told)
      if (heads.length === 0) return false
      const name = `${server} ${roomId}`
      const entry = wanted.get(name) ?? { ...about, heads, tries: 0, cancel: undefined }
      entry.heads = heads
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

/** Those of the events that have no place here and do not wait for one. */
export async function unplacedEvents(
  deps: Pick<HeadRequestDeps, 'rooms' | 'holds'>,
  roomId: RoomId,
  ids: readonly EventId[],
): Promise<readonly EventId[]> {
  const records = await deps.rooms().events(ids)
  return ids.filter((id, index) => {
    const record = records[index]
    // An event that is known only as state has no place yet, and who tells a head has it whole.
    const isPlaced =
      record !== undefined &&
      !isStripped(record) &&
      (record.order !== undefined || record.verdict !== 'accepted')
    return !isPlaced && !deps.holds(roomId, id)
  })
}

/** Takes the event in, if the server gives it. @throws when it cannot be reached, or its event cannot be taken at this time. */
export async function fetchEvent(
  deps: Pick<HeadRequestDeps, 'federation' | 'receive'>,
  server: ServerName,
  id: EventId,
): Promise<void> {
  try {
    const { pdus } = await deps.federation.event(server, id)
    await deps.receive(server, pdus.slice(0, 1))
  } catch (error) {
    if (!(error instanceof FederationError) || error.remote.status === 429 || error.remote.status >= 500)
      throw error
    // It does not give it: one that sees itself or this node out of the room may do so once it has heard more.
  }
}

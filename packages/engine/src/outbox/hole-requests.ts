/**
 * Asking for the holes of a room: events that others follow and that nobody gave. A member may get one at any time, and
 * nothing tells so: what is refused changes no heads.
 */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import { backoffMs } from '../kernel/backoff.ts'
import type { Clock, Log, Random } from '../ports.ts'
import type { RoomSnapshot } from '../rooms/types.ts'

/** Members asked in one round, and holes that each is asked for. */
export const MAX_HOLE_SERVERS = 3
export const MAX_ASKED_HOLES = 5
/** Rounds for the same holes before they are left until the room changes or somebody appears, and pauses between. */
export const MAX_HOLE_ROUNDS = 20
export const FIRST_HOLE_PAUSE_MS = 20_000
export const LAST_HOLE_PAUSE_MS = 900_000

export type HoleRequestDeps = {
  readonly ownName: ServerName
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly snapshot: (roomId: RoomId) => Promise<RoomSnapshot | undefined>
  /** Those of the events that have no place here and do not wait for one. */
  readonly unplaced: (roomId: RoomId, ids: readonly EventId[]) => Promise<readonly EventId[]>
  /** Fetches an event and takes it in. @throws when the server cannot be reached, or the event not be taken. */
  readonly fetch: (server: ServerName, id: EventId) => Promise<void>
}

export interface HoleRequests {
  /** The room changed, or somebody appeared: asks at once, but for what is asked for already. */
  look(snapshot: RoomSnapshot): void
  idle(): Promise<void>
  close(): void
}

type Search = {
  /** The holes, as text. */
  readonly text: string
  rounds: number
  cancel: (() => void) | undefined
}

export function createHoleRequests(deps: HoleRequestDeps): HoleRequests {
  const searches = new Map<RoomId, Search>()
  const running = new Set<Promise<void>>()
  let closed = false

  const start = (roomId: RoomId, search: Search): void => {
    const run = round(roomId, search).catch((error: unknown) => {
      searches.delete(roomId)
      deps.log.log('error', 'holes were not asked for', { roomId, error: String(error) })
    })
    running.add(run)
    void run.finally(() => running.delete(run))
  }

  const round = async (roomId: RoomId, search: Search): Promise<void> => {
    const snapshot = await deps.snapshot(roomId)
    if (snapshot !== undefined) await askAround(deps, snapshot, search.rounds)
    search.rounds += 1
    if (closed || searches.get(roomId) !== search) return
    if (snapshot === undefined || snapshot.holes.length === 0 || search.rounds >= MAX_HOLE_ROUNDS) {
      searches.delete(roomId)
      return
    }
    const pauseMs = backoffMs(deps.random, search.rounds, FIRST_HOLE_PAUSE_MS, LAST_HOLE_PAUSE_MS)
    search.cancel = deps.clock.after(pauseMs, () => start(roomId, search))
  }

  return {
    look({ roomId, holes }) {
      const text = holes.join(' ')
      const known = searches.get(roomId)
      if (closed || known?.text === text) return
      known?.cancel?.()
      searches.delete(roomId)
      if (holes.length === 0) return
      const search: Search = { text, rounds: 0, cancel: undefined }
      searches.set(roomId, search)
      start(roomId, search)
    },
    async idle() {
      while (running.size > 0) await Promise.all(running)
    },
    close() {
      closed = true
      for (const { cancel } of searches.values()) cancel?.()
    },
  }
}

/** Others each round, for other holes where there are many. */
async function askAround(
  deps: HoleRequestDeps,
  { roomId, holes, joinedServers }: RoomSnapshot,
  round: number,
): Promise<void> {
  const others = joinedServers.filter((name) => name !== deps.ownName)
  if (!joinedServers.includes(deps.ownName)) return
  for (const server of turned(others, round * MAX_HOLE_SERVERS).slice(0, MAX_HOLE_SERVERS)) {
    const open = await deps.unplaced(roomId, turned(holes, round * MAX_ASKED_HOLES))
    try {
      for (const id of open.slice(0, MAX_ASKED_HOLES)) await deps.fetch(server, id)
    } catch (error) {
      deps.log.log('debug', 'a hole could not be asked for', { server, roomId, error: String(error) })
    }
  }
}

function turned<T>(list: readonly T[], by: number): readonly T[] {
  const start = list.length === 0 ? 0 : by % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}

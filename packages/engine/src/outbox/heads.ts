/**
 * Anti-entropy with other Plexus nodes: which forward extremities they were told, and which they told. DESIGN section 5
 *
 * Invariants:
 * 1. A room is told to a server only while both have a joined member in it and its ACL denies none, and each of its sets
 *    of heads once: what converged and is idle sends nothing.
 * 2. Nothing waits for it: heads ride on transactions that go anyway; a transaction for them alone goes when the room
 *    has been as it is for a while, and only to who has not shown by its own heads that it needs none.
 * 3. In a larger room the heads go to a few servers by chance, not to all: what one lacks, another of them has.
 * 4. What a server tells costs memory for the rooms shared with it alone, and requests to that server alone.
 */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import type { Clock, Heads, Log, Random } from '../ports.ts'
import { aclOf } from '../rooms/acl.ts'
import type { Rooms } from '../rooms/types.ts'
import type { RoomSnapshot } from '../rooms/types.ts'
import type { FanOut } from './fan-out.ts'
import { createHeadRequests, fetchEvent, unplacedEvents, type HeadRequestDeps } from './head-requests.ts'
import { createHoleRequests } from './hole-requests.ts'
import type { OutboxMemory } from './memory.ts'

/** Rooms of one transaction; the others go with the next. */
export const MAX_TOLD_ROOMS = 20
/** Heads of one room: with more, an event that joins them is not far. */
export const MAX_TOLD_HEADS = 20
/** How long a room's heads are left to spread by themselves, and as much again by chance, so that one side begins. */
export const SPREAD_MS = 10_000

/** Servers of a larger room that are told the heads for their own sake. */
export const HEADS_TOLD_TO = 3
/** How often after a change, others each time: once leaves one of twenty servers without any. */
export const HEADS_ROUNDS = 2

export type HeadExchangeDeps = Omit<HeadRequestDeps, 'rooms'> & {
  readonly ownName: ServerName
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly memory: OutboxMemory
  readonly rooms: () => Pick<Rooms, 'event' | 'events' | 'snapshot'>
  readonly kick: (names: readonly ServerName[]) => void
  readonly fanOut: Pick<FanOut, 'spreads' | 'choose'>
}

export interface HeadExchange {
  /** What a transaction to the server carries; `undefined` when it has been told all. */
  tell(name: ServerName): Promise<Heads | undefined>
  /** True when a transaction is to go for the heads alone. */
  isDue(name: ServerName): boolean
  /** The server has these. */
  told(name: ServerName, heads: Heads): void
  /** The server told its own heads. */
  heard(name: ServerName, heads: Heads): void
  /** The own heads of the rooms that the server told of. */
  answer(name: ServerName, heads: Heads): Promise<Heads | undefined>
  /** An event of the room was accepted. */
  changed(roomId: RoomId): void
  /** This node or the servers were away: whatever they have not been told is due. */
  appeared(names: readonly ServerName[]): void
  /** Resolves when no head is being asked for. */
  idle(): Promise<void>
  close(): void
}

/** What is known between this node and one server of one room. */
type Shared = {
  /** The heads that each side was last told, as text. */
  told: string | undefined
  heard: string | undefined
  /** The server may not have been told the present heads. */
  isStale: boolean
}

export function createHeadExchange(deps: HeadExchangeDeps): HeadExchange {
  const { clock, memory, ownName } = deps
  const servers = new Map<ServerName, Map<RoomId, Shared>>()
  const due = new Set<ServerName>()
  const timers = new Map<RoomId, () => void>()
  /** Rounds that are left in larger rooms. */
  const rounds = new Map<RoomId, number>()
  const requests = createHeadRequests(deps)
  const holes = createHoleRequests({
    ...deps,
    snapshot: (roomId) => deps.rooms().snapshot(roomId),
    unplaced: (roomId, ids) => unplacedEvents(deps, roomId, ids),
    fetch: (server, id) => fetchEvent(deps, server, id),
  })
  let closed = false

  const sharedOf = (name: ServerName, roomId: RoomId): Shared => {
    const rooms = servers.get(name) ?? new Map<RoomId, Shared>()
    servers.set(name, rooms)
    const shared = rooms.get(roomId) ?? { told: undefined, heard: undefined, isStale: true }
    rooms.set(roomId, shared)
    return shared
  }

  const roomWith = async (name: ServerName, roomId: RoomId): Promise<RoomSnapshot | undefined> => {
    const snapshot = await deps.rooms().snapshot(roomId)
    const joined = snapshot?.joinedServers ?? []
    if (snapshot !== undefined && joined.includes(name) && joined.includes(ownName)) {
      const isAllowed = await aclOf((id) => deps.rooms().event(id), snapshot)
      if (isAllowed(name)) return snapshot
    }
    servers.get(name)?.delete(roomId)
    return undefined
  }

  const peersIn = (roomId: RoomId): readonly ServerName[] =>
    memory
      .destinationsOf(roomId)
      .filter(({ isKeyName: isKey, rooms }) => isKey && rooms.get(roomId)?.until === undefined)
      .map(({ name }) => name)

  /** Time for the heads to spread by themselves; from the first change on, so that a busy room is told too. */
  const schedule = (roomId: RoomId): void => {
    if (closed || timers.has(roomId)) return
    const [chance = 0] = deps.random.bytes(1)
    const cancel = clock.after(Math.ceil(SPREAD_MS * (1 + chance / 256)), () => {
      timers.delete(roomId)
      spread(roomId).catch((error: unknown) =>
        deps.log.log('error', 'the heads of a room were not told', { roomId, error: String(error) }),
      )
    })
    timers.set(roomId, cancel)
  }

  const spread = async (roomId: RoomId): Promise<void> => {
    const late: ServerName[] = []
    const room = await deps.rooms().snapshot(roomId)
    if (room !== undefined) holes.look(room)
    const isLarge = deps.fanOut.spreads(roomId)
    const isStale = (name: ServerName): boolean => sharedOf(name, roomId).isStale
    for (const name of isLarge ? deps.fanOut.choose(roomId, HEADS_TOLD_TO, isStale) : peersIn(roomId)) {
      const snapshot = await roomWith(name, roomId)
      if (snapshot === undefined) continue
      const shared = sharedOf(name, roomId)
      const present = textOf(toldOf(snapshot))
      shared.isStale = shared.told !== present && shared.heard !== present
      if (shared.isStale) late.push(name)
    }
    if (closed) return
    for (const name of late) due.add(name)
    deps.kick(late)
    const left = (rounds.get(roomId) ?? 1) - 1
    rounds.set(roomId, left)
    if (isLarge && left > 0) schedule(roomId)
  }

  const headsOf = async (name: ServerName, roomIds: readonly RoomId[]): Promise<Heads | undefined> => {
    if (!isKeyName(name)) return undefined
    const told: [RoomId, readonly EventId[]][] = []
    for (const roomId of roomIds) {
      if (told.length === MAX_TOLD_ROOMS) break
      const snapshot = await roomWith(name, roomId)
      if (snapshot !== undefined) told.push([roomId, toldOf(snapshot)])
    }
    return told.length === 0 ? undefined : (Object.fromEntries(told) as Heads)
  }

  const told = (name: ServerName, heads: Heads): void => {
    for (const [roomId, ids] of entriesOf(heads)) {
      const shared = sharedOf(name, roomId)
      shared.told = textOf(ids)
      shared.isStale = false
    }
    if (staleOf(servers.get(name)).length === 0) due.delete(name)
  }

  const compare = async (name: ServerName, heads: Heads): Promise<void> => {
    for (const [roomId, ids] of entriesOf(heads).slice(0, MAX_TOLD_ROOMS)) {
      const snapshot = await roomWith(name, roomId)
      if (snapshot === undefined) continue
      const shared = sharedOf(name, roomId)
      const present = textOf(toldOf(snapshot))
      shared.heard = textOf(ids)
      const isAsked = await requests.want(name, roomId, ids.slice(0, MAX_TOLD_HEADS))
      if (shared.heard === present || isAsked || shared.told === present) continue
      // The server lacks something of which it was told nothing.
      shared.isStale = true
      schedule(roomId)
    }
  }

  return {
    async tell(name) {
      const heads = await headsOf(name, staleOf(servers.get(name)))
      if (heads === undefined) due.delete(name)
      return heads
    },
    isDue: (name) => due.has(name),
    told,
    heard(name, heads) {
      if (!isKeyName(name) || closed) return
      compare(name, heads).catch((error: unknown) =>
        deps.log.log('error', 'heads were not compared', { server: name, error: String(error) }),
      )
    },
    async answer(name, heads) {
      const own = await headsOf(
        name,
        entriesOf(heads).map(([roomId]) => roomId),
      )
      if (own !== undefined) told(name, own)
      return own
    },
    changed(roomId) {
      for (const name of peersIn(roomId)) sharedOf(name, roomId).isStale = true
      rounds.set(roomId, HEADS_ROUNDS)
      schedule(roomId)
    },
    appeared(names) {
      // Stock servers tell no heads, and have what is missing in a room all the same.
      for (const name of names) {
        for (const [roomId, { until }] of memory.destinations.get(name)?.rooms ?? []) {
          if (until === undefined) schedule(roomId)
        }
      }
    },
    async idle() {
      await requests.idle()
      await holes.idle()
    },
    close() {
      closed = true
      for (const cancel of timers.values()) cancel()
      requests.close()
      holes.close()
    },
  }
}

function toldOf({ heads }: RoomSnapshot): readonly EventId[] {
  return heads.slice(0, MAX_TOLD_HEADS)
}

function textOf(heads: readonly EventId[]): string {
  return heads.toSorted().join(' ')
}

function entriesOf(heads: Heads): readonly (readonly [RoomId, readonly EventId[]])[] {
  return Object.entries(heads) as unknown as readonly (readonly [RoomId, readonly EventId[]])[]
}

function staleOf(rooms: ReadonlyMap<RoomId, Shared> | undefined): readonly RoomId[] {
  return [...(rooms ?? [])].flatMap(([roomId, { isStale }]) => (isStale ? [roomId] : []))
}

/**
 * Gossip in larger rooms: who makes an event gives it to a few servers, and each gives what is new to it on to a few
 * others. DESIGN section 7 "Fan-out"
 *
 * Invariants:
 * 1. The server that made an event stays responsible for it: cursors move by the word of the destination alone, and who
 *    has not given it when the hold is over gets the event directly, or by mail.
 * 2. An event of another server is passed on once, by the commit that accepts it, and only to servers that are in the room
 *    and may see it. What is old, or came by no transaction, is not news.
 * 3. Stock servers (DNS names) get events from the event's own server, and from nobody else.
 * 4. What waits for one destination is bounded, and so is what is passed on for one server; what is over the bound is left
 *    to the hold and to the comparison of heads.
 */
import type { EventId, Pdu, RoomId, ServerName } from '@plexus/core'
import type { Clock, Log, Random } from '../ports.ts'
import type { AcceptedEvent } from '../rooms/room.ts'
import type { Rooms } from '../rooms/types.ts'
import type { Destination, OutboxMemory } from './memory.ts'

/** Rooms of more servers than this besides this one spread events by gossip. */
export const MAX_DIRECT = 12
/** Servers that each node gives an event to, besides one that it has not heard from yet. */
export const FORWARDS = 6
/** Other servers that are tried in turn for one that is out of reach. */
export const MAX_FORWARD_TRIES = 3
/** Events that wait to be passed on to one destination: the oldest gives way. */
export const MAX_WAITING_FORWARDS = 50
/** Events of one server that are passed on in one window, and their JSON text in UTF-16 code units. */
export const MAX_FORWARDED = 200
export const MAX_FORWARDED_LENGTH: number = 1024 * 1024
export const FORWARDED_WINDOW_MS = 10_000
/** Older events are no news: who was away fetches them. */
export const NEWS_MS = 300_000
/** How long it takes until all have told what they have got: so that their word comes to the sender at 50 a second. */
export const TAKEN_MS = 3_000
export const TAKEN_PER_SERVER_MS = 20
/** How much longer events are held back from those who have told nothing. */
export const HOLD_SLACK_MS = 10_000
/** Events that are made within this time are held for the same time. */
const HOLD_STEP_MS = 1_000

export type FanOutInit = {
  /** `MAX_DIRECT` by default. */
  readonly direct?: number
  /** `FORWARDS` by default. */
  readonly forwards?: number
  /** `MAX_DIRECT_EDUS` by default. */
  readonly directEdus?: number
}

export type FanOutDeps = {
  readonly memory: OutboxMemory
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly ownName: ServerName
  readonly rooms: () => Pick<Rooms, 'receivers'>
  readonly kick: (names: readonly ServerName[]) => void
}

/** An event that waits to be passed on; `position` is that of an own one. */
export type Forward = { readonly roomId: RoomId; readonly position?: number; readonly tries: number }

export interface FanOut {
  /** The room has so many servers that its events spread by gossip. */
  spreads(roomId: RoomId): boolean
  /** Plexus servers in the room besides this one. */
  size(roomId: RoomId): number
  /** Some of the servers of the room that are wanted and not known to be away, by chance. */
  choose(roomId: RoomId, count: number, isWanted?: (name: ServerName) => boolean): readonly ServerName[]
  /** How long the servers of the room may take to tell what they have got. */
  takenMs(roomId: RoomId): number
  /** An own event was committed. */
  sent(roomId: RoomId, position: number, id: EventId): void
  /** An event of another server was committed. */
  accepted(roomId: RoomId, event: AcceptedEvent): void
  /** The last position of which own events of the room go to the destination directly now. */
  ceiling(target: Destination, roomId: RoomId): number
  /** The destination was out of reach: what waited for it goes to others. */
  failed(target: Destination): void
  /** What an earlier process left is held as if it had been made now. */
  resume(): void
  close(): void
}

/** Own events from a position on; `isOpen` while more may join them. */
type Hold = { readonly position: number; isOpen: boolean }

export function createFanOut(deps: FanOutDeps, init: FanOutInit = {}): FanOut {
  const { memory, clock, ownName } = deps
  const { direct = MAX_DIRECT, forwards = FORWARDS } = init
  const holds = new Map<RoomId, Hold[]>()
  const timers = new Set<() => void>()
  let closed = false

  /** Whatever the clock says meanwhile. */
  const later = (ms: number, run: () => void): void => {
    const cancel = clock.after(ms, () => {
      timers.delete(cancel)
      if (!closed) run()
    })
    timers.add(cancel)
  }

  const peersOf = (roomId: RoomId): readonly Destination[] =>
    memory.destinationsOf(roomId).filter((target) => isPeer(target, roomId))
  const size = (roomId: RoomId): number => peersOf(roomId).length
  const spreads = (roomId: RoomId): boolean => size(roomId) > direct
  const takenMs = (roomId: RoomId): number => TAKEN_MS + TAKEN_PER_SERVER_MS * size(roomId)

  /** Those that were heard from, and as many others as are lacking, and a few more of those: they may be here. */
  const choose = (
    roomId: RoomId,
    count: number,
    isWanted: (name: ServerName) => boolean,
    more = 1,
  ): readonly Destination[] => {
    const present = peersOf(roomId).filter(({ name, failures }) => failures === 0 && isWanted(name))
    const up = sample(
      deps.random,
      present.filter(({ isUp }) => isUp),
      count,
    )
    const unknown = present.filter(({ isUp }) => !isUp)
    return [...up, ...sample(deps.random, unknown, count - up.length + (up.length > 0 ? more : 0))]
  }

  const wait = (targets: readonly Destination[], id: EventId, forward: Forward): void => {
    for (const { forwards: waiting } of targets) {
      waiting.set(id, forward)
      const [oldest] = waiting.keys()
      if (waiting.size > MAX_WAITING_FORWARDS && oldest !== undefined) waiting.delete(oldest)
    }
    deps.kick(targets.map(({ name }) => name))
  }

  const isWithinBudget = (server: ServerName, pdu: Pdu): boolean => {
    const passed = memory.destinations.get(server)?.passed
    if (passed === undefined) return false
    const now = clock.now()
    if (Math.abs(now - passed.since) >= FORWARDED_WINDOW_MS)
      Object.assign(passed, { since: now, count: 0, length: 0 })
    const length = JSON.stringify(pdu).length
    if (passed.count >= MAX_FORWARDED || passed.length + length > MAX_FORWARDED_LENGTH) return false
    passed.count += 1
    passed.length += length
    return true
  }

  const pass = async (
    roomId: RoomId,
    id: EventId,
    forward: Forward,
    except: readonly ServerName[],
  ): Promise<void> => {
    const isFirst = forward.tries === MAX_FORWARD_TRIES
    const isWanted = (name: ServerName): boolean => !except.includes(name)
    const chosen = isFirst ? choose(roomId, forwards, isWanted) : choose(roomId, 1, isWanted, 0)
    const names = chosen.map(({ name }) => name)
    const may = forward.position === undefined ? await deps.rooms().receivers(id, names) : names
    if (!closed)
      wait(
        chosen.filter(({ name }) => may.includes(name)),
        id,
        forward,
      )
  }

  const start = (...args: Parameters<typeof pass>): void => {
    pass(...args).catch((error: unknown) =>
      deps.log.log('error', 'an event was not passed on', { eventId: args[1], error: String(error) }),
    )
  }

  /** Until all had the time to tell that they have it. */
  const hold = (roomId: RoomId, position: number): void => {
    const held = holds.get(roomId) ?? []
    if (held.at(-1)?.isOpen === true) return
    const added: Hold = { position, isOpen: true }
    holds.set(roomId, [...held, added])
    later(HOLD_STEP_MS, () => {
      added.isOpen = false
    })
    later(HOLD_STEP_MS + takenMs(roomId) + HOLD_SLACK_MS, () => release(roomId))
  }

  const release = (roomId: RoomId): void => {
    const held = (holds.get(roomId) ?? []).slice(1)
    if (held.length === 0) holds.delete(roomId)
    else holds.set(roomId, held)
    const top = held[0] === undefined ? (memory.newest.get(roomId) ?? 0) : held[0].position - 1
    const late = peersOf(roomId).filter(({ rooms }) => (rooms.get(roomId)?.cursor ?? top) < top)
    deps.kick(late.map(({ name }) => name))
  }

  /** Whoever gets it asks for what it follows. */
  const sendNewest = (roomId: RoomId, newest: number): void => {
    memory
      .sentBetween(roomId, newest - 1, newest, 1)
      .then(([row]) => {
        const forward = { roomId, position: newest, tries: MAX_FORWARD_TRIES }
        return row === undefined ? undefined : pass(roomId, row[1], forward, [])
      })
      .catch((error: unknown) =>
        deps.log.log('error', 'an event was not passed on', { error: String(error) }),
      )
  }

  const ceiling = (target: Destination, roomId: RoomId): number => {
    const [first] = holds.get(roomId) ?? []
    return first === undefined || target.failures > 0 || !isPeer(target, roomId)
      ? Infinity
      : first.position - 1
  }

  return {
    size,
    spreads,
    takenMs,
    choose: (roomId, count, isWanted = () => true) => choose(roomId, count, isWanted).map(({ name }) => name),
    sent(roomId, position, id) {
      if (spreads(roomId)) {
        hold(roomId, position)
        start(roomId, id, { roomId, position, tries: MAX_FORWARD_TRIES }, [])
      }
      const others = memory.destinationsOf(roomId).filter((target) => ceiling(target, roomId) >= position)
      deps.kick(others.map(({ name }) => name))
    },
    accepted(roomId, { id, server, pdu, from }) {
      const isMember = memory.destinations.get(server)?.isKeyName === true
      if (from === undefined || !isMember || !spreads(roomId)) return
      const isNews = Math.abs(clock.now() - pdu.origin_server_ts) < NEWS_MS
      if (!isNews || !isWithinBudget(server, pdu)) return
      start(roomId, id, { roomId, tries: MAX_FORWARD_TRIES }, [ownName, server, from])
    },
    ceiling,
    failed(target) {
      const waiting = [...target.forwards]
      target.forwards.clear()
      for (const [id, { tries, ...forward }] of waiting)
        if (tries > 0) start(forward.roomId, id, { ...forward, tries: tries - 1 }, [target.name])
    },
    resume() {
      for (const [roomId, newest] of memory.newest) {
        const isBehind = ({ rooms }: Destination): boolean => (rooms.get(roomId)?.cursor ?? newest) < newest
        if (!spreads(roomId) || !peersOf(roomId).some(isBehind)) continue
        hold(roomId, 1)
        sendNewest(roomId, newest)
      }
    },
    close() {
      closed = true
      for (const cancel of timers) cancel()
    },
  }
}

/** A Plexus server that is in the room. */
function isPeer({ isKeyName, rooms }: Destination, roomId: RoomId): boolean {
  const record = rooms.get(roomId)
  return isKeyName && record !== undefined && record.until === undefined
}

/** So many of the values, or all, by chance and in no order. */
function sample<T>(random: Random, values: readonly T[], count: number): readonly T[] {
  const left = [...values]
  const chosen: T[] = []
  while (chosen.length < count && left.length > 0) {
    const [a = 0, b = 0, c = 0] = random.bytes(3)
    const index = ((a << 16) | (b << 8) | c) % left.length
    const last = left.pop()
    const value = index < left.length ? left[index] : last
    if (index < left.length && last !== undefined) left[index] = last
    if (value !== undefined) chosen.push(value)
  }
  return chosen
}

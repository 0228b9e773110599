import { createOf } from '../create-id.ts'
import type { EventId } from '../ids.ts'
import { authEventIds, type KnownEvent } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { userLevelUnder } from '../auth/levels.ts'
import { compareIds, type Lookup } from './graph.ts'
import { createHeap } from './heap.ts'

function compareAge(x: KnownEvent, y: KnownEvent): number {
  return x.pdu.origin_server_ts - y.pdu.origin_server_ts || compareIds(x.id, y.id)
}

/** The m.room.power_levels event among an event's `auth_events`. */
function powerLevelsOf(event: KnownEvent, lookup: Lookup): KnownEvent | undefined {
  return lookup.parents(event).find(({ pdu }) => pdu.type === 'm.room.power_levels' && pdu.state_key === '')
}

/** The sender's level by the auth events. A create event has none, and nobody above it. */
function senderLevel(version: RoomVersion, event: KnownEvent, lookup: Lookup): number {
  const create = event.pdu.type === 'm.room.create' ? event : createOf(version, event.pdu, lookup)
  if (create === undefined) return 0
  const levels = powerLevelsOf(event, lookup)?.pdu.content
  return userLevelUnder(version, create.pdu, levels, event.pdu.sender)
}

type Weighed = { readonly event: KnownEvent; readonly level: number }

function comparePower(x: Weighed, y: Weighed): number {
  if (x.level !== y.level) return x.level > y.level ? -1 : 1
  return compareAge(x.event, y.event)
}

/**
 * Sorts events, earliest first, by Kahn's algorithm: of those whose auth events in the set are all out, the smallest
 * is next. spec: rooms/v12.md "Reverse topological power ordering"
 */
export function sortByPower(
  version: RoomVersion,
  events: readonly KnownEvent[],
  lookup: Lookup,
): readonly KnownEvent[] {
  const ids = new Set(events.map((event) => event.id))
  const children = new Map<EventId, Weighed[]>()
  const waitingFor = new Map<EventId, number>()
  const ready = createHeap<Weighed>(comparePower)
  for (const event of events) {
    const weighed = { event, level: senderLevel(version, event, lookup) }
    const parents = new Set(authEventIds(event.pdu).filter((id) => ids.has(id)))
    for (const parent of parents) {
      const siblings = children.get(parent)
      if (siblings === undefined) children.set(parent, [weighed])
      else siblings.push(weighed)
    }
    waitingFor.set(event.id, parents.size)
    if (parents.size === 0) ready.push(weighed)
  }
  const sorted: KnownEvent[] = []
  for (let next = ready.pop(); next !== undefined; next = ready.pop()) {
    sorted.push(next.event)
    for (const child of children.get(next.event.id) ?? []) {
      const left = (waitingFor.get(child.event.id) ?? 0) - 1
      waitingFor.set(child.event.id, left)
      if (left === 0) ready.push(child)
    }
  }
  return sorted
}

/**
 * Sorts events, earliest first, by where their power levels stand in the history of `powerLevels`.
 * spec: rooms/v12.md "Mainline ordering"
 */
export function sortByMainline(
  powerLevels: KnownEvent | undefined,
  events: readonly KnownEvent[],
  lookup: Lookup,
): readonly KnownEvent[] {
  const positionOf = createMainline(powerLevels, lookup)
  const placed = events.map((event) => ({ event, position: positionOf(event) }))
  placed.sort((x, y) => {
    if (x.position !== y.position) return x.position > y.position ? -1 : 1
    return compareAge(x.event, y.event)
  })
  return placed.map(({ event }) => event)
}

/** The mainline, followed as far down as an event asks for: what is below its generation cannot be what it comes to. */
function createMainline(powerLevels: KnownEvent | undefined, lookup: Lookup): (event: KnownEvent) => number {
  const mainline = new Map<EventId, number>()
  let next = powerLevels
  /** The generation of the lowest of the mainline so far. */
  let bottom = Infinity
  const positionOn = (event: KnownEvent): number | undefined => {
    const generation = lookup.generation(event)
    while (next !== undefined && lookup.generation(next) >= generation) {
      mainline.set(next.id, mainline.size)
      bottom = lookup.generation(next)
      next = powerLevelsOf(next, lookup)
    }
    return mainline.get(event.id)
  }
  /** Of power levels beside the mainline. */
  const passed = new Map<EventId, number>()
  return (event) => {
    const path: EventId[] = []
    let position: number | undefined
    for (let e = powerLevelsOf(event, lookup); e !== undefined; e = powerLevelsOf(e, lookup)) {
      position = positionOn(e) ?? passed.get(e.id)
      // Where the mainline has ended, nothing below can be on it.
      if (position !== undefined || (next === undefined && lookup.generation(e) < bottom)) break
      path.push(e.id)
    }
    for (const id of path) passed.set(id, position ?? Infinity)
    return position ?? Infinity
  }
}

import type { EventId } from '../ids.ts'
import { createOf } from '../create-id.ts'
import { authEventIds, type KnownEvent } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { userLevelUnder } from '../auth/levels.ts'
import type { Lookup } from './graph.ts'
import { createHeap } from './heap.ts'

/** Ids of events are ASCII, so this is the order of their characters. */
export function compareIds(a: EventId, b: EventId): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function compareAge(x: KnownEvent, y: KnownEvent): number {
  return x.pdu.origin_server_ts - y.pdu.origin_server_ts || compareIds(x.id, y.id)
}

/** The m.room.power_levels event among an event's `auth_events`. */
function powerLevelsOf(event: KnownEvent, lookup: Lookup): KnownEvent | undefined {
  for (const id of authEventIds(event.pdu)) {
    const parent = lookup.get(id)
    if (parent?.pdu.type === 'm.room.power_levels' && parent.pdu.state_key === '') return parent
  }
  return undefined
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
  const positions = new Map<EventId, number>()
  let length = 0
  for (let p = powerLevels; p !== undefined; p = powerLevelsOf(p, lookup)) {
    // Ids are hashes, so a chain cannot return to where it was; a view that says so is not followed.
    if (positions.has(p.id)) break
    positions.set(p.id, length)
    length += 1
  }
  const placed = events.map((event) => ({ event, position: mainlinePosition(event, positions, lookup) }))
  placed.sort((x, y) => {
    if (x.position !== y.position) return x.position > y.position ? -1 : 1
    return compareAge(x.event, y.event)
  })
  return placed.map(({ event }) => event)
}

/** Remembers in `positions` every power levels event that it passes. */
function mainlinePosition(event: KnownEvent, positions: Map<EventId, number>, lookup: Lookup): number {
  const passed = new Set<EventId>()
  let e = powerLevelsOf(event, lookup)
  while (e !== undefined && !positions.has(e.id) && !passed.has(e.id)) {
    passed.add(e.id)
    e = powerLevelsOf(e, lookup)
  }
  const position = (e === undefined ? undefined : positions.get(e.id)) ?? Infinity
  for (const id of passed) positions.set(id, position)
  return position
}

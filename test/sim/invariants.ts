/** What holds at all times, and what holds in the end. Each answer is what is wrong, `undefined` when nothing is. */
import {
  canonicalJson,
  encodeBase64,
  prevEventIds,
  serverOf,
  signingBytes,
  type EventId,
  type Pdu,
  type RoomId,
  type StateMap,
} from '@plexus/core'
import type { EventRecord, RoomSnapshot } from '@plexus/engine'
import { MAX_HEADS_PER_SERVER, MAX_HOLES, MAX_STAGED_PER_SERVER } from '@plexus/engine/testing'
import { quickKeys } from '../kit/keys.ts'
import { FORGED } from './byzantine.ts'
import type { Place, World } from './world.ts'

export type Seen = { readonly place: Place; readonly snapshot: RoomSnapshot }

export async function look(world: World, roomId: RoomId): Promise<readonly Seen[]> {
  const seen: Seen[] = []
  for (const place of world.honest) {
    const snapshot = await world.snapshot(place, roomId)
    if (snapshot !== undefined) seen.push({ place, snapshot })
  }
  return seen
}

export const headsOf = ({ snapshot }: Seen): string => snapshot.heads.join(' ')
export const isIn = ({ place, snapshot }: Seen): boolean => snapshot.joinedServers.includes(place.name)

export const isPartial = ({ snapshot }: Seen): boolean => snapshot.isPartial === true
/** It may have to decide again, on what others will tell. */
const isUnconfirmed = ({ snapshot }: Seen): boolean => snapshot.isUnconfirmed === true

export function stateText(state: StateMap): string {
  return canonicalJson(Object.fromEntries(state))
}

/** Equal heads mean equal state, for all pairs of nodes that know the state at their join. */
export function differingStates(seen: readonly Seen[]): string | undefined {
  const byHeads = new Map<string, Seen>()
  for (const one of seen.filter((each) => !isPartial(each) && !isUnconfirmed(each))) {
    const other = byHeads.get(headsOf(one))
    byHeads.set(headsOf(one), one)
    if (other === undefined || stateText(other.snapshot.state) === stateText(one.snapshot.state)) continue
    return `nodes ${other.place.index} and ${one.place.index} have the same heads and different states`
  }
  return undefined
}

/** Around all keys of a map of the store. */
const LOWEST_KEY = '\u0001'
const HIGHEST_KEY = '\u00ff'

/** The events of the room that somebody holds. */
type Graph = ReadonlyMap<EventId, Pdu>

/** Events that are at or before these, as far as the graph knows. */
function ancestors(graph: Graph, from: Iterable<EventId>): ReadonlySet<EventId> {
  const found = new Set<EventId>()
  const queue = [...from]
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    if (found.has(id)) continue
    found.add(id)
    const pdu = graph.get(id)
    if (pdu !== undefined) queue.push(...prevEventIds(pdu))
  }
  return found
}

/**
 * What a node in the room must hold in the end, of what anybody acknowledged: all that the room's present follows, but
 * for what lies before its own beginning in the room; and what it acknowledged itself.
 */
export async function missingEvents(
  world: World,
  roomId: RoomId,
  inRoom: readonly Seen[],
): Promise<string | undefined> {
  const acknowledged = new Set(world.honest.flatMap((place) => [...place.acknowledged]))
  const held = new Map<Place, ReadonlyMap<EventId, Pdu>>()
  const graph = new Map<EventId, Pdu>()
  const passedOn = new Set<EventId>()
  for (const { place } of inRoom) {
    const records = await heldEvents(place, roomId, acknowledged)
    held.set(place, new Map([...records].map(([id, { pdu }]) => [id, pdu])))
    for (const [id, record] of records) {
      graph.set(id, record.pdu)
      if (canPassOn(record)) passedOn.add(id)
    }
  }
  const honest = new Set(world.honest.map(({ name }) => name))
  const isByHonest = (id: EventId): boolean => {
    const pdu = graph.get(id)
    return pdu !== undefined && honest.has(serverOf(pdu.sender))
  }
  for (const { place, snapshot } of inRoom) {
    const present = ancestors(
      graph,
      inRoom.flatMap((holder) =>
        holder.snapshot.heads.filter((id) => isTold(place, holder) || isByHonest(id)),
      ),
    )
    const own = held.get(place) ?? new Map<EventId, Pdu>()
    // A stock homeserver asks for what it misses once, and what nobody can pass on is nobody's to have.
    const isOpen = (id: EventId): boolean => place.role === 'plexus' && passedOn.has(id)
    const holes = new Set(snapshot.holes.filter(isOpen))
    // What lies before the node's own beginning: a hole is none.
    const ends = [...own.values()].flatMap((pdu) =>
      prevEventIds(pdu).filter((id) => !own.has(id) && !holes.has(id)),
    )
    const history = ancestors(graph, ends)
    const staged = await stagedEvents(place)
    for (const id of acknowledged) {
      // What it took and follows something that nobody in the room has, waits; so do all for what nobody there has.
      const isThere = present.has(id) && passedOn.has(id)
      const isOwed = isThere || (place.acknowledged.has(id) && !staged.has(id))
      if (isOwed && !own.has(id) && !history.has(id))
        return `node ${place.index} lost the acknowledged event ${id}`
    }
  }
  return undefined
}

/**
 * Plexus nodes tell each other their heads. To and from a stock homeserver events come from the server that made them
 * alone, until an event of another follows them: what a cheating server told to others is not to be had until then.
 * spec: server-server-api.md "Backfilling and retrieving missing events"
 */
function isTold(place: Place, holder: Seen): boolean {
  return place === holder.place || (place.role === 'plexus' && holder.place.role === 'plexus')
}

/** Nobody holds what an honest server did not sign in its name, nor content in place of what was hashed. */
export async function forgedEvent(
  world: World,
  roomId: RoomId,
  inRoom: readonly Seen[],
): Promise<string | undefined> {
  const signers = new Map(world.honest.map(({ name, index }) => [name, quickKeys(index + 1).signer]))
  for (const { place, snapshot } of inRoom) {
    const held = await heldEvents(place, roomId, new Set(snapshot.state.values()))
    for (const { id, pdu } of held.values()) {
      const signer = signers.get(serverOf(pdu.sender))
      const signature = signer && encodeBase64(await signer.sign(signingBytes(snapshot.version, pdu)))
      const signatures = Object.values(pdu.signatures[serverOf(pdu.sender)] ?? {})
      if (signature !== undefined && !signatures.includes(signature))
        return `node ${place.index} holds ${id}, which its sender's server did not sign`
      if (pdu.content['body'] === FORGED['body']) return `node ${place.index} holds forged content of ${id}`
    }
  }
  return undefined
}

/** Nobody says anything, and still all who see each other in the room know each other's heads. */
export async function unknownHeads(world: World, all: readonly Seen[]): Promise<string | undefined> {
  const isFlooded = world.honest.length < world.places.length
  // A stock homeserver tells none, and is told none.
  const members = all.filter(({ place }) => place.role === 'plexus')
  for (const { place, snapshot } of members) {
    const others = members.filter(
      (other) =>
        other.snapshot.joinedServers.includes(place.name) &&
        snapshot.joinedServers.includes(other.place.name),
    )
    const heads = await passedOnBy(others)
    const records = await place.node.engine.rooms.events(heads)
    // An event that is known only as state has no place yet.
    // What a server said before it flooded the node waits behind that, until somebody else's event follows it.
    const waiting = isFlooded ? await stagedEvents(place) : new Set<string>()
    const unknown = heads.filter((id, index) => records[index]?.stateGroup === undefined && !waiting.has(id))
    if (unknown.length > 0) return `node ${place.index} was told of ${unknown.join(' ')} and does not have it`
    for (const other of others) {
      const filled = await other.place.node.engine.rooms.events(snapshot.holes)
      const own = await place.node.engine.rooms.events(snapshot.holes)
      // One that was refused is shown as a hole until the next event.
      const isMissing = (index: number): boolean => own[index]?.stateGroup === undefined
      const hole = snapshot.holes.find((_, index) => isMissing(index) && canPassOn(filled[index]))
      if (hole !== undefined) return `node ${place.index} lacks ${hole}, which node ${other.place.index} has`
    }
  }
  return undefined
}

/** Who joined while few were there has asked two others by now, if so many are there that know the state at the join. */
export async function unconfirmedJoin(roomId: RoomId, members: readonly Seen[]): Promise<string | undefined> {
  for (const { place } of members.filter(isUnconfirmed)) {
    const [row] = await place.node.store.range('partial', LOWEST_KEY, HIGHEST_KEY)
    const { join } = JSON.parse(row?.[1] ?? '{}') as { join: EventId }
    const knows = await Promise.all(
      members.map(async (other) => {
        if (other.place === place) return false
        const told = other.place.node.engine.rooms.stateFor(place.name, roomId, join)
        return told.then((state) => state.isUnconfirmed !== true).catch(() => false)
      }),
    )
    if (knows.filter(Boolean).length > 1)
      return `node ${place.index} has not asked others for the state at its join`
  }
  return undefined
}

/** The heads that some can pass on. */
async function passedOnBy(members: readonly Seen[]): Promise<readonly EventId[]> {
  const heads = new Set<EventId>()
  for (const { place, snapshot } of members) {
    for (const record of await place.node.engine.rooms.events(snapshot.heads))
      if (record !== undefined && canPassOn(record)) heads.add(record.id)
  }
  return [...heads]
}

/** A copy that came without its content is not passed on. */
function canPassOn(record: EventRecord | undefined): boolean {
  if (record?.stateGroup === undefined) return false
  return record.hashMismatch !== true || record.redactedBy !== undefined
}

/** What a hostile member can make a node keep. */
export async function overBounds(world: World, roomId: RoomId): Promise<string | undefined> {
  for (const place of world.honest) {
    const snapshot = await world.snapshot(place, roomId)
    if (snapshot === undefined) continue
    const staged = await stagedOfOne(place)
    const { heads, holes } = snapshot
    if (staged > MAX_STAGED_PER_SERVER) return `${staged} events of a server wait at node ${place.index}`
    if (holes.length > MAX_HOLES) return `node ${place.index} remembers ${holes.length} holes`
    if (heads.length > MAX_HEADS_PER_SERVER * world.places.length)
      return `node ${place.index} has ${heads.length} heads`
  }
  return undefined
}

/** These events and all before them that the node holds without a hole. */
export async function followedBy({ node }: Place, heads: readonly EventId[]): Promise<ReadonlySet<EventId>> {
  const found = new Set<EventId>()
  let level = heads
  while (level.length > 0) {
    for (const id of level) found.add(id)
    const records = await node.engine.rooms.events(level)
    const before = records.flatMap((record) => (record === undefined ? [] : prevEventIds(record.pdu)))
    level = [...new Set(before)].filter((id) => !found.has(id))
  }
  return found
}

/** The events that wait of the server of which most do. */
async function stagedOfOne({ node }: Place): Promise<number> {
  const rows = await node.store.range('staged', LOWEST_KEY, HIGHEST_KEY)
  if (rows.length <= MAX_STAGED_PER_SERVER) return rows.length
  const counts = new Map<string, number>()
  for (const [, record] of rows) {
    const { origin } = JSON.parse(record) as { readonly origin: string }
    counts.set(origin, (counts.get(origin) ?? 0) + 1)
  }
  return Math.max(...counts.values())
}

async function stagedEvents({ node }: Place): Promise<ReadonlySet<string>> {
  const rows = await node.store.range('staged', LOWEST_KEY, HIGHEST_KEY)
  return new Set(rows.map(([, record]) => (JSON.parse(record) as { readonly id: string }).id))
}

async function heldEvents(
  { node }: Place,
  roomId: RoomId,
  acknowledged: ReadonlySet<EventId>,
): Promise<Map<EventId, EventRecord>> {
  const { rooms } = node.engine
  const held = new Map<EventId, EventRecord>()
  const range = { from: -(2 ** 50), to: 2 ** 50, direction: 'f', limit: 100_000 } as const
  for (const record of (await rooms.timeline(roomId, range)).events) held.set(record.id, record)
  // Soft-failed and rejected events have no place in the timeline.
  for (const record of await rooms.events([...acknowledged]))
    if (record !== undefined) held.set(record.id, record)
  return held
}

/** How often the room's history needed conflicts resolved: events that join states with different values of a key. */
export async function countConflicts({ node }: Place, roomId: RoomId): Promise<number> {
  const { rooms } = node.engine
  const range = { from: -(2 ** 50), to: 2 ** 50, direction: 'f', limit: 100_000 } as const
  let conflicts = 0
  for (const { pdu } of (await rooms.timeline(roomId, range)).events) {
    if (pdu.prev_events.length < 2) continue
    const values = new Map<string, EventId>()
    let isConflict = false
    for (const id of prevEventIds(pdu)) {
      for (const [key, value] of (await rooms.stateAfter(id)) ?? []) {
        if ((values.get(key) ?? value) !== value) isConflict = true
        values.set(key, value)
      }
    }
    if (isConflict) conflicts += 1
  }
  return conflicts
}

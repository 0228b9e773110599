/**
 * Events that are known as state or auth events only, with no place in the timeline: of a join, of a gap, of history.
 * They are judged by their own auth events. spec: server-server-api.md "Checks performed on receipt of a PDU" 4
 */
import type { EventId, EventView, KnownEvent, RoomId, RoomVersion } from '@plexus/core'
import { checkOutlier, judgedBy, prevEventIds } from '@plexus/core'
import type { Write } from '../ports.ts'
import { generationOf, newEventWrites } from './auth-graph.ts'
import type { EventStore } from './event-store.ts'
import type { EventRecord } from './types.ts'
import type { CheckedEvent } from './verify.ts'

export type OutlierInput = {
  readonly version: RoomVersion
  readonly roomId: RoomId
  readonly receivedAt: number
  readonly basis: 'full' | 'partial'
}

/**
 * Judges events in the order of their auth events, which may be among them: those that could be judged, accepted and
 * rejected, not yet kept. Left out are events that are known, and those with an auth event that nobody gave.
 */
export async function judgeOutliers(
  store: EventStore,
  input: OutlierInput,
  checked: readonly CheckedEvent[],
): Promise<readonly EventRecord[]> {
  const byId = new Map(checked.map((event) => [event.id, event]))
  const needs = ({ pdu }: CheckedEvent): readonly EventId[] => judgedBy(input.version, pdu)
  const outside = new Set(checked.flatMap(needs).filter((id) => !byId.has(id)))
  const known = new Map<EventId, KnownEvent>()
  const generations = new Map<EventId, number>()
  const records: EventRecord[] = []
  for (const record of await store.working([...byId.keys(), ...outside])) {
    if (record === undefined || record.roomId !== input.roomId) continue
    byId.delete(record.id)
    known.set(record.id, toKnown(record))
    generations.set(record.id, record.generation)
  }
  const view: EventView = { get: (id) => known.get(id) }
  for (const event of topological(byId, needs)) {
    if (needs(event).some((id) => !known.has(id))) continue
    const why = checkOutlier({ version: input.version, roomId: input.roomId, event, view })
    const record: EventRecord = {
      id: event.id,
      roomId: input.roomId,
      pdu: event.pdu,
      verdict: why === undefined ? 'accepted' : 'rejected',
      ...(why === undefined ? {} : { why: `${why.rule}: ${why.reason}` }),
      generation: generationOf(event.pdu, (id) => generations.get(id) ?? 0),
      basis: input.basis,
      position: 0,
      ...(event.contentHashOk ? {} : { hashMismatch: true as const }),
      receivedAt: input.receivedAt,
    }
    known.set(event.id, toKnown(record))
    generations.set(event.id, record.generation)
    records.push(record)
  }
  return records
}

function toKnown(record: EventRecord): KnownEvent {
  return { id: record.id, pdu: record.pdu, verdict: record.verdict === 'rejected' ? 'rejected' : 'accepted' }
}

/** Each event after those that it is judged by. */
export function inAuthOrder(version: RoomVersion, events: readonly CheckedEvent[]): readonly CheckedEvent[] {
  const byId = new Map(events.map((event) => [event.id, event]))
  return topological(byId, ({ pdu }) => judgedBy(version, pdu))
}

/** Each event after its previous events. */
export function inRoomOrder(events: ReadonlyMap<EventId, CheckedEvent>): readonly CheckedEvent[] {
  return topological(events, (event) => prevEventIds(event.pdu))
}

/** What is in a cycle, which hashes make impossible, is left out. */
function topological(
  events: ReadonlyMap<EventId, CheckedEvent>,
  parentsOf: (event: CheckedEvent) => readonly EventId[],
): readonly CheckedEvent[] {
  const waitingFor = new Map<EventId, number>()
  const children = new Map<EventId, CheckedEvent[]>()
  const ready: CheckedEvent[] = []
  for (const event of events.values()) {
    const parents = [...new Set(parentsOf(event))].filter((id) => events.has(id))
    waitingFor.set(event.id, parents.length)
    if (parents.length === 0) ready.push(event)
    for (const id of parents) {
      const list = children.get(id)
      if (list === undefined) children.set(id, [event])
      else list.push(event)
    }
  }
  const ordered: CheckedEvent[] = []
  // `ready` grows while it is read.
  for (const event of ready) {
    ordered.push(event)
    for (const child of children.get(event.id) ?? []) {
      const left = (waitingFor.get(child.id) ?? 0) - 1
      waitingFor.set(child.id, left)
      if (left === 0) ready.push(child)
    }
  }
  return ordered
}

/**
 * The writes that keep outliers; they are readable once the change that holds the writes is published. An event that
 * was decided since it was judged has a better record already.
 */
export function outlierWrites(store: EventStore, records: readonly EventRecord[], position: number): Write[] {
  return records.flatMap((record) => {
    const newest = store.peek(record.id)
    const isPlaced = newest?.stateGroup !== undefined || newest?.order !== undefined
    return isPlaced ? [] : newEventWrites({ ...record, position })
  })
}

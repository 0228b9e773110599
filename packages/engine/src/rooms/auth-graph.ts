/** What is kept of how events authorise each other, so that a resolution reads no more of it than it walks. */
import type { AuthChildren, EventId, Pdu, StateKey } from '@plexus/core'
import { authEventIds, generationAbove, stateKeyOf } from '@plexus/core'
import type { Store, Write } from '../ports.ts'
import { authChildren, events } from './records.ts'
import type { EventRecord } from './types.ts'

/** The generation of an event whose auth events are known. */
export function generationOf(pdu: Pdu, generation: (id: EventId) => number): number {
  return generationAbove(authEventIds(pdu).map(generation))
}

/** Keeps an event that was not kept before, or is decided anew. */
export function newEventWrites(record: EventRecord): Write[] {
  return [events.put([record.id], record), ...authChildWrites(record)]
}

export function authChildWrites({ id, pdu, verdict }: EventRecord): Write[] {
  const key = stateKeyOf(pdu)
  if (key === undefined || verdict === 'rejected') return []
  return authEventIds(pdu).map((parent) => authChildren.put([parent, id], key))
}

/** A growing part of what events authorised. */
export interface LoadingChildren {
  get(id: EventId): AuthChildren | undefined
  /** Loads children of these events, and theirs, until there are `most` more, and that many for each event. */
  load(ids: readonly EventId[], most: number): Promise<void>
}

/** `uncommitted` are the events that the store does not have yet. */
export function createLoadingChildren(
  store: Store,
  uncommitted: () => Iterable<EventRecord>,
): LoadingChildren {
  const loaded = new Map<EventId, AuthChildren>()
  return {
    get: (id) => loaded.get(id),
    async load(ids, most) {
      // Before reading: what is committed meanwhile is in the one or in the other.
      const fresh = byParent(uncommitted())
      const seen = new Set(ids)
      let count = 0
      for (const id of seen) {
        const rows = await authChildren.list(store, [id], { limit: most })
        const places = new Map<EventId, StateKey>(fresh.get(id))
        for (const [[, child], key] of rows) places.set(child, key)
        loaded.set(id, { places, complete: rows.length < most })
        count += places.size
        // `seen` grows while it is read.
        if (count <= most) for (const child of places.keys()) seen.add(child)
      }
    },
  }
}

function byParent(records: Iterable<EventRecord>): ReadonlyMap<EventId, ReadonlyMap<EventId, StateKey>> {
  const found = new Map<EventId, Map<EventId, StateKey>>()
  for (const { id, pdu, verdict } of records) {
    const key = stateKeyOf(pdu)
    if (key === undefined || verdict === 'rejected') continue
    for (const parent of authEventIds(pdu)) {
      const places = found.get(parent)
      if (places === undefined) found.set(parent, new Map([[id, key]]))
      else places.set(id, key)
    }
  }
  return found
}

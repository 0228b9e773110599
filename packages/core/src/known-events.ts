import type { EventId } from './ids.ts'
import { authEventIds, type AuthChildren, type AuthView, type KnownEvent } from './pdu.ts'
import { stateKeyOf, type StateKey } from './state.ts'

/** A view that holds all there is. */
export interface KnownEvents extends AuthView {
  /** Each event after its auth events. An event that is there already keeps its place among the others. */
  add(event: KnownEvent): void
}

const CHILDLESS: AuthChildren = { places: new Map(), complete: true }

export function createKnownEvents(): KnownEvents {
  const events = new Map<EventId, KnownEvent>()
  const generations = new Map<EventId, number>()
  const children = new Map<EventId, Map<EventId, StateKey>>()
  const generation = (id: EventId): number => generations.get(id) ?? 0

  return {
    get: (id) => events.get(id),
    generation,
    children(id) {
      const places = children.get(id)
      return places === undefined ? CHILDLESS : { places, complete: true }
    },
    add(event) {
      const isNew = !events.has(event.id)
      events.set(event.id, event)
      if (!isNew) return
      const parents = authEventIds(event.pdu)
      generations.set(event.id, generationAbove(parents.map(generation)))
      const key = stateKeyOf(event.pdu)
      if (key === undefined) return
      for (const id of parents) {
        const places = children.get(id)
        if (places === undefined) children.set(id, new Map([[event.id, key]]))
        else places.set(event.id, key)
      }
    },
  }
}

/** The generation of an event, from those of its auth events. */
export function generationAbove(parents: readonly number[]): number {
  return parents.reduce((highest, parent) => Math.max(highest, parent + 1), 0)
}

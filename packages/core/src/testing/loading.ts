import type { EventId } from '../ids.ts'
import { authEventIds, type AuthView } from '../pdu.ts'
import type { Missing } from '../resolve/graph.ts'

/** A view of a room that begins empty and gets what is asked for, as a server reads it from disk. */
export interface Loading {
  readonly view: AuthView
  readonly loaded: ReadonlySet<EventId>
  load(missing: Missing): void
}

/** Children of one event, and levels of children, that are loaded for the first request; for each later one more. */
const FIRST_CHILDREN = 2
const FACTOR = 4

export function createLoading(room: AuthView): Loading {
  const loaded = new Set<EventId>()
  const limits = new Map<EventId, number>()
  let amount = 1
  return {
    view: {
      get: (id) => (loaded.has(id) ? room.get(id) : undefined),
      generation: (id) => room.generation(id),
      children(id) {
        const limit = limits.get(id)
        const children = room.children(id)
        if (limit === undefined || children === undefined) return undefined
        const places = new Map([...children.places].slice(0, limit))
        return { places, complete: children.places.size <= limit }
      },
    },
    loaded,
    load({ events, floor, children }) {
      const stack = [...events]
      for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
        loaded.add(id)
        const event = room.get(id)
        if (event === undefined || room.generation(id) <= floor) continue
        stack.push(...authEventIds(event.pdu).filter((parent) => !loaded.has(parent)))
      }
      let level = children
      for (let n = 0; n < amount && level.length > 0; n += 1) {
        for (const id of level) limits.set(id, FIRST_CHILDREN * amount)
        const above = level.flatMap((id) => [...(room.children(id)?.places.keys() ?? [])])
        level = [...new Set(above)].filter((id) => !limits.has(id))
      }
      if (children.length > 0) amount *= FACTOR
    },
  }
}

import type { EventId } from './ids.ts'
import type { StateKey, StateMap } from './state.ts'

/** A change at one place of the state; `undefined` where there is no event. */
export type StateDifference = {
  readonly key: StateKey
  readonly from: EventId | undefined
  readonly to: EventId | undefined
}

/** What differs from a base: an event id, or `undefined` for a place that is empty. */
type Layer = ReadonlyMap<StateKey, EventId | undefined>

/** Most places that a state keeps apart from its base; beyond that it becomes a base of its own. */
export const MAX_LAYER_SIZE = 128

const NOTHING: Layer = new Map()

/**
 * A state as a few changes to another one that it shares, so that one more event costs the same in a room of any
 * size. The base is a plain map that nobody changes.
 */
class LayeredState implements StateMap {
  readonly size: number
  readonly base: StateMap
  readonly layer: Layer

  constructor(base: StateMap, layer: Layer) {
    this.base = base
    this.layer = layer
    let size = base.size
    for (const [key, id] of layer) size += Number(id !== undefined) - Number(base.has(key))
    this.size = size
  }

  get(key: StateKey): EventId | undefined {
    return this.layer.has(key) ? this.layer.get(key) : this.base.get(key)
  }

  has(key: StateKey): boolean {
    return this.get(key) !== undefined
  }

  forEach(call: (id: EventId, key: StateKey, map: StateMap) => void): void {
    for (const [key, id] of this) call(id, key, this)
  }

  *entries(): MapIterator<[StateKey, EventId]> {
    for (const [key, id] of this.base) if (!this.layer.has(key)) yield [key, id]
    for (const [key, id] of this.layer) if (id !== undefined) yield [key, id]
    return undefined
  }

  *keys(): MapIterator<StateKey> {
    for (const [key] of this) yield key
    return undefined
  }

  *values(): MapIterator<EventId> {
    for (const [, id] of this) yield id
    return undefined
  }

  [Symbol.iterator](): MapIterator<[StateKey, EventId]> {
    return this.entries()
  }
}

function baseOf(state: StateMap): StateMap {
  return state instanceof LayeredState ? state.base : state
}

function layerOf(state: StateMap): Layer {
  return state instanceof LayeredState ? state.layer : NOTHING
}

/** A state with some places changed; the state itself stays as it is. */
export function changeState(state: StateMap, changes: Layer): StateMap {
  const layered = new LayeredState(baseOf(state), new Map([...layerOf(state), ...changes]))
  return layered.layer.size > Math.min(MAX_LAYER_SIZE, layered.base.size) ? new Map(layered) : layered
}

/**
 * The places where not all of these states have the same event. Where they share a base, this costs as much as they
 * differ from it.
 */
export function differingKeys(states: readonly StateMap[]): ReadonlySet<StateKey> {
  const [first, ...others] = states
  const differing = new Set<StateKey>()
  if (first === undefined) return differing
  const shared = others.every((state) => baseOf(state) === baseOf(first))
  for (const state of states) {
    for (const key of (shared ? layerOf(state) : state).keys()) {
      const id = first.get(key)
      if (others.some((other) => other.get(key) !== id)) differing.add(key)
    }
  }
  return differing
}

/** What turns one state into another, sorted by key. Cheap for states of which one was made from the other. */
export function stateDifference(from: StateMap, to: StateMap): readonly StateDifference[] {
  return [...differingKeys([from, to])].sort().map((key) => ({ key, from: from.get(key), to: to.get(key) }))
}

/**
 * A map that forgets what was not used for long, in two generations: a look-up moves nothing but what stands in the
 * older one, so that it costs little more than that of a plain map, of which an exact order of use costs many.
 */
import type { Lru } from './lru.ts'

/** Keeps the `capacity` entries used last, and at most as many again. */
export function createGenerations<Key, Value>(capacity: number): Lru<Key, Value> {
  let young = new Map<Key, Value>()
  let old = new Map<Key, Value>()
  const set = (key: Key, value: Value): void => {
    young.set(key, value)
    if (young.size < capacity) return
    old = young
    young = new Map()
  }
  return {
    get(key) {
      const value = young.get(key)
      if (value !== undefined) return value
      const before = old.get(key)
      if (before !== undefined) set(key, before)
      return before
    },
    set,
    delete(key) {
      young.delete(key)
      old.delete(key)
    },
    clear() {
      young.clear()
      old.clear()
    },
  }
}

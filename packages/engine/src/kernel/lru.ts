/** A map that forgets the entry unused for longest when it holds more than `capacity`. */
export interface Lru<Key, Value> {
  get(key: Key): Value | undefined
  set(key: Key, value: Value): void
  delete(key: Key): void
  clear(): void
}

export function createLru<Key, Value>(capacity: number): Lru<Key, Value> {
  const entries = new Map<Key, Value>()
  // Stands before the oldest entry: all before it were deleted or set anew. A fresh iterator would walk over what was
  // deleted at the front each time.
  let oldest = entries.keys()
  const forgetOldest = (): void => {
    let next = oldest.next()
    if (next.done === true) {
      oldest = entries.keys()
      next = oldest.next()
    }
    if (next.done !== true) entries.delete(next.value)
  }
  return {
    get(key) {
      const value = entries.get(key)
      if (value === undefined) return undefined
      entries.delete(key)
      entries.set(key, value)
      return value
    },
    set(key, value) {
      entries.delete(key)
      entries.set(key, value)
      if (entries.size > capacity) forgetOldest()
    },
    delete(key) {
      entries.delete(key)
    },
    clear() {
      entries.clear()
      oldest = entries.keys()
    },
  }
}

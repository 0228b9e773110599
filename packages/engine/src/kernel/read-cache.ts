/** What was read from the store, until a commit changes it. */
import { createLru } from './lru.ts'

export interface ReadCache<Value> {
  /** The value of `key`, from `read` when it is not known. */
  get(key: string, read: () => Promise<Value>): Promise<Value>
  /** To be called when a commit that changed the value is published. */
  drop(key: string): void
  /** As `drop`, of all keys. */
  clear(): void
}

export function createReadCache<Value>(capacity: number): ReadCache<Value> {
  const values = createLru<string, { readonly value: Value }>(capacity)
  let changes = 0
  return {
    async get(key, read) {
      const known = values.get(key)
      if (known !== undefined) return known.value
      const before = changes
      const value = await read()
      // What was read while something changed may be old.
      if (changes === before) values.set(key, { value })
      return value
    },
    drop(key) {
      changes += 1
      values.delete(key)
    },
    clear() {
      changes += 1
      values.clear()
    },
  }
}

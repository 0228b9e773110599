import type { Store } from '../ports.ts'
import { StoreError } from '../ports.ts'

/** A store as a map; `failNext` makes the next commit fail. */
export function mapStore(rows: Map<string, string>): { store: Store; failNext: () => void } {
  let fails = false
  const at = (map: string, key: string): string => `${map}\u0001${key}`
  const store: Store = {
    get: (map, key) => Promise.resolve(rows.get(at(map, key))),
    getMany: (map, keys) => Promise.resolve(keys.map((key) => rows.get(at(map, key)))),
    range(map, lo, hi, { limit = Infinity } = {}) {
      const found: (readonly [string, string])[] = []
      for (const [key, value] of rows) {
        if (found.length < limit && key >= at(map, lo) && key < at(map, hi))
          found.push([key.slice(map.length + 1), value])
      }
      return Promise.resolve(found)
    },
    commit(writes) {
      if (fails) {
        fails = false
        return Promise.reject(new StoreError('failed', 'no'))
      }
      for (const { map, key, value } of writes) {
        if (value === undefined) rows.delete(at(map, key))
        else rows.set(at(map, key), value)
      }
      return Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
  return {
    store,
    failNext() {
      fails = true
    },
  }
}

/** Typed views on the maps of the Store port: a table has a name, a tuple key and a JSON value. */
import type { RangeOptions, Store, Write } from '../ports.ts'
import { decodeKey, encodeKey, prefixRange } from './keys.ts'
import type { KeyPart } from './keys.ts'

/** What reading needs of a store. */
type Reader = Pick<Store, 'get' | 'getMany' | 'range'>

/** Values are what `JSON.stringify` keeps; keys are tuples of a fixed shape, `s` a string and `n` an integer. */
export interface Table<Key extends readonly KeyPart[], Value> {
  readonly map: string
  put(key: Key, value: Value): Write
  delete(key: Key): Write
  get(store: Reader, key: Key): Promise<Value | undefined>
  /** In the order of `keys`. */
  getMany(store: Reader, keys: readonly Key[]): Promise<readonly (Value | undefined)[]>
  /** All entries whose key begins with `prefix`, in key order. */
  list(
    store: Reader,
    prefix: readonly KeyPart[],
    options?: RangeOptions,
  ): Promise<readonly (readonly [Key, Value])[]>
  /** All entries with their values as they are kept, in key order; `size` of them are in memory at once. */
  texts(store: Reader, size: number): AsyncIterable<readonly [Key, string]>
  /** Entries under `prefix` whose next key part is in [from, to). */
  range(
    store: Reader,
    prefix: readonly KeyPart[],
    from: KeyPart,
    to: KeyPart,
    options?: RangeOptions,
  ): Promise<readonly (readonly [Key, Value])[]>
}

/** `kinds` has one letter for each part of the key, such as `['s', 'n']`. */
export function table<Key extends readonly KeyPart[], Value>(
  map: string,
  kinds: readonly ('s' | 'n')[],
): Table<Key, Value> {
  const parse = (text: string): Value => JSON.parse(text) as Value
  const entry = ([key, value]: readonly [string, string]): readonly [Key, Value] => [
    decodeKey(key, kinds) as unknown as Key,
    parse(value),
  ]
  return {
    map,
    put: (key, value) => ({ map, key: encodeKey(key), value: JSON.stringify(value) }),
    delete: (key) => ({ map, key: encodeKey(key), value: undefined }),
    async get(store, key) {
      const text = await store.get(map, encodeKey(key))
      return text === undefined ? undefined : parse(text)
    },
    async getMany(store, keys) {
      if (keys.length === 0) return []
      const texts = await store.getMany(map, keys.map(encodeKey))
      return texts.map((text) => (text === undefined ? undefined : parse(text)))
    },
    async list(store, prefix, options) {
      const [lo, hi] = prefix.length === 0 ? ['', '\u00ff'] : prefixRange(prefix)
      return (await store.range(map, lo, hi, options)).map(entry)
    },
    async *texts(store, size) {
      for (let lo = '', isLast = false; !isLast;) {
        const rows = await store.range(map, lo, '\u00ff', { limit: size })
        for (const [key, text] of rows) yield [decodeKey(key, kinds) as unknown as Key, text]
        lo = `${rows.at(-1)?.[0] ?? ''}\u0001`
        isLast = rows.length < size
      }
    },
    async range(store, prefix, from, to, options) {
      const lo = encodeKey([...prefix, from])
      const hi = encodeKey([...prefix, to])
      return (await store.range(map, lo, hi, options)).map(entry)
    },
  }
}

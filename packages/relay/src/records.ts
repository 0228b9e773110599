import type { ServerName } from '@plexus/core'
import { kindOfKey } from '@plexus/core/names'
import type { Clock, Log, Store, Write } from '@plexus/engine/ports'
import { decodeJson, decodePublished, encodePublished, isNewer, type Published } from '@plexus/p2p/wire'
import {
  MAX_FOREIGN_RECORDS,
  MAX_OWN_RECORDS,
  MAX_RECORD_STORE_BYTES,
  MAX_RECORDS_PER_NAME,
  RECORD_SAVE_MS,
} from './limits.ts'

const MAP = 'records'
/** Entries read at once when the store is opened. */
const LOAD_BATCH = 1_000

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** `known`: it is here already. `older`: another one is, of the same sequence or a higher one. `full`: the name has too many. */
export type PutResult = 'kept' | 'known' | 'older' | 'full'

/**
 * The published records that this relay has. Invariants: each was sound when it came; of one key only the newest is
 * kept, and none is told after it expired, though it stays while there is room, since a clock that jumped may come back;
 * those of registered nodes and those of others do not push each other out.
 */
export interface Records extends AsyncDisposable {
  get(key: string): Published | undefined
  /** @param own it came from a node that is registered here */
  put(published: Published, own: boolean): PutResult
  /** Records of nodes that are, or were, registered here. */
  own(): Iterable<Published>
  readonly size: number
}

type Kept = { readonly published: Published; readonly bytes: number }

export type RecordsDeps = {
  readonly clock: Clock
  readonly log: Log
  /** Where they outlive a restart; without it they do not. */
  readonly store?: Store
}

/** @param bounds for tests; the named ones count otherwise */
export async function createRecords(
  { clock, log, store }: RecordsDeps,
  bounds: { readonly own: number; readonly foreign: number } = {
    own: MAX_OWN_RECORDS,
    foreign: MAX_FOREIGN_RECORDS,
  },
): Promise<Records> {
  const pools = { own: createPool(bounds.own), foreign: createPool(bounds.foreign) }
  const perName = new Map<string, number>()
  let unsaved = new Map<string, string | undefined>()
  let cancelSave: (() => void) | undefined
  let saving: Promise<void> = Promise.resolve()

  function save(): void {
    cancelSave = undefined
    if (store === undefined) return
    const writes: Write[] = [...unsaved].map(([key, value]) => ({ map: MAP, key, value }))
    unsaved = new Map()
    saving = saving
      .then(() => store.commit(writes, 'relaxed'))
      .catch((error: unknown) =>
        log.log('warn', 'published records were not saved', { error: String(error) }),
      )
  }

  function note(key: string, value: string | undefined): void {
    if (store === undefined) return
    unsaved.set(key, value)
    cancelSave ??= clock.after(RECORD_SAVE_MS, save)
  }

  function forget(key: string): void {
    const kept = pools.own.take(key) ?? pools.foreign.take(key)
    if (kept === undefined) return
    const { name } = kept.published.signed.record
    const left = (perName.get(name) ?? 0) - 1
    if (left > 0) perName.set(name, left)
    else perName.delete(name)
    note(key, undefined)
  }

  /** Tombstones speak for ever, and leave as the oldest only. */
  const isOver = ({ record }: Published['signed']): boolean =>
    record.expires <= clock.now() && !('tombstone' in record)

  function get(key: string): Published | undefined {
    const published = (pools.own.get(key) ?? pools.foreign.get(key))?.published
    return published === undefined || isOver(published.signed) ? undefined : published
  }

  /** Makes room among the records of a name, whose devices come and go; false when all of them count. */
  function makeRoom(name: ServerName): boolean {
    for (const { keys, get: keptAt } of [pools.own, pools.foreign])
      for (const key of keys()) {
        const signed = keptAt(key)?.published.signed
        if (signed?.record.name === name && isOver(signed)) forget(key)
      }
    return (perName.get(name) ?? 0) < MAX_RECORDS_PER_NAME
  }

  function put(published: Published, own: boolean): PutResult {
    const { key, signed } = published
    const { name } = signed.record
    const known = get(key)
    // Who was a registered node once remains one: its records are put again while it sleeps.
    const stays = own || pools.own.get(key) !== undefined
    if (known?.signed.signature === signed.signature && stays === (pools.own.get(key) !== undefined))
      return 'known'
    if (known !== undefined && known.signed.signature !== signed.signature && !isNewer(published, known))
      return 'older'
    const isFull = known === undefined && (perName.get(name) ?? 0) >= MAX_RECORDS_PER_NAME
    if (isFull && !makeRoom(name)) return 'full'
    forget(key)
    const encoded = encodePublished(published)
    const pool = stays ? pools.own : pools.foreign
    perName.set(name, (perName.get(name) ?? 0) + 1)
    for (const old of pool.add(key, { published, bytes: encoded.length })) forget(old)
    note(key, `${stays ? 'o' : 'f'}${decoder.decode(encoded)}`)
    return 'kept'
  }

  for await (const [key, value] of stored(store)) {
    const published = readStored(key, encoder.encode(value.slice(1)))
    if (published === undefined) note(key, undefined)
    else put(published, value.startsWith('o'))
  }

  return {
    get,
    put,
    *own() {
      for (const key of pools.own.keys()) {
        const published = get(key)
        if (published !== undefined) yield published
      }
    },
    get size() {
      return [...pools.own.keys(), ...pools.foreign.keys()].filter((key) => get(key) !== undefined).length
    },
    async [Symbol.asyncDispose]() {
      cancelSave?.()
      save()
      await saving
    },
  }
}

/** As sound as when it came, also if it is over since. */
function readStored(key: string, bytes: Uint8Array): Published | undefined {
  const value = decodeJson(bytes)
  const signed = value === undefined ? undefined : kindOfKey(key)?.parse(value)
  return signed && decodePublished(key, bytes, signed.record.expires - 1)
}

async function* stored(store: Store | undefined): AsyncIterable<readonly [string, string]> {
  for (let from = '\u0001'; store !== undefined;) {
    const entries = await store.range(MAP, from, '\u00ff', { limit: LOAD_BATCH })
    yield* entries
    const last = entries.at(-1)
    if (last === undefined || entries.length < LOAD_BATCH) return
    from = `${last[0]}\u0001`
  }
}

/** Records in the order in which they came, bounded in number and bytes. */
function createPool(max: number) {
  const byKey = new Map<string, Kept>()
  let bytes = 0
  return {
    get: (key: string): Kept | undefined => byKey.get(key),
    keys: (): string[] => [...byKey.keys()],
    take(key: string): Kept | undefined {
      const kept = byKey.get(key)
      if (kept === undefined) return undefined
      byKey.delete(key)
      bytes -= kept.bytes
      return kept
    },
    /** The keys that are to give way. */
    add(key: string, kept: Kept): string[] {
      byKey.set(key, kept)
      bytes += kept.bytes
      const out: string[] = []
      let [count, sum] = [byKey.size, bytes]
      for (const [old, { bytes: size }] of byKey) {
        if (count <= max && sum <= MAX_RECORD_STORE_BYTES) break
        out.push(old)
        count -= 1
        sum -= size
      }
      return out
    },
  }
}

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
import { createRecordPool, type KeptRecord, type RecordPool } from './record-pool.ts'

const MAP = 'records'
/** Entries read at once when the store is opened. */
const LOAD_BATCH = 1_000

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** `known`: it is here already. `older`: another one is, of the same sequence or a higher one. `full`: the name has too many. */
export type PutResult = 'kept' | 'known' | 'older' | 'full'

/** Account records of names that have a mailbox here, records of nodes that are registered here, and of others that the DHT brought. */
export type RecordPlace = 'mailbox' | 'node' | 'dht'

/** By which way a record came, and from where, see `Source`. */
export type RecordOrigin = { readonly by: RecordPlace; readonly source: string }

/**
 * The published records that this relay has. Invariants: each was sound when it came; of one key only the newest is
 * kept, and none is told after it expired, though it stays while there is room, since a clock that jumped may come back;
 * those of names with a mailbox, of other registered nodes and of others do not push each other out.
 */
export interface Records extends AsyncDisposable {
  get(key: string): Published | undefined
  put(published: Published, origin: RecordOrigin): PutResult
  /** Records of nodes that are, or were, registered here. */
  own(): Iterable<Published>
  /** One of them is of this name. */
  isOwn(name: ServerName): boolean
  readonly size: number
}

export type RecordsDeps = {
  readonly clock: Clock
  readonly log: Log
  /** Where they outlive a restart; without it they do not. */
  readonly store?: Store
}

/** The best first: a record stays in the best place that it was in. */
const PLACES: readonly RecordPlace[] = ['mailbox', 'node', 'dht']
/** How places are called on the disk. */
const LETTERS: Readonly<Record<RecordPlace, string>> = { mailbox: 'm', node: 'o', dht: 'f' }
const STORED = /^([mof])([0-9a-f]*)(\{.*)$/s

/** @param bounds for tests; the named ones count otherwise */
export async function createRecords(
  { clock, log, store }: RecordsDeps,
  bounds: { readonly own: number; readonly foreign: number } = {
    own: MAX_OWN_RECORDS,
    foreign: MAX_FOREIGN_RECORDS,
  },
): Promise<Records> {
  const createPool = (max: number): RecordPool => createRecordPool(max, MAX_RECORD_STORE_BYTES)
  const pools: Readonly<Record<RecordPlace, RecordPool>> = {
    mailbox: createPool(bounds.own),
    node: createPool(bounds.own),
    dht: createPool(bounds.foreign),
  }
  const keysOf = new Map<ServerName, Set<string>>()
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

  const placeOf = (key: string): RecordPlace | undefined =>
    PLACES.find((place) => pools[place].get(key) !== undefined)

  function forget(key: string): void {
    const place = placeOf(key)
    const kept = place && pools[place].take(key)
    if (kept === undefined) return
    const { name } = kept.published.signed.record
    const keys = keysOf.get(name)
    keys?.delete(key)
    if (keys?.size === 0) keysOf.delete(name)
    note(key, undefined)
  }

  /** Tombstones speak for ever, and leave as the oldest only. */
  const isOver = ({ record }: Published['signed']): boolean =>
    record.expires <= clock.now() && !('tombstone' in record)

  const keptAt = (key: string): KeptRecord | undefined => {
    const place = placeOf(key)
    return place && pools[place].get(key)
  }

  function get(key: string): Published | undefined {
    const published = keptAt(key)?.published
    return published === undefined || isOver(published.signed) ? undefined : published
  }

  /** Makes room among the records of a name, whose devices come and go; false when all of them count. */
  function makeRoom(name: ServerName): boolean {
    for (const key of keysOf.get(name) ?? []) if (get(key) === undefined) forget(key)
    return (keysOf.get(name)?.size ?? 0) < MAX_RECORDS_PER_NAME
  }

  function put(published: Published, { by, source }: RecordOrigin): PutResult {
    const { key, signed } = published
    const { name } = signed.record
    const known = get(key)
    const before = placeOf(key)
    // Who was a registered node once remains one: its records are put again while it sleeps.
    const place = PLACES.find((each) => each === by || each === before) ?? by
    if (known?.signed.signature === signed.signature && place === before) return 'known'
    if (known !== undefined && known.signed.signature !== signed.signature && !isNewer(published, known))
      return 'older'
    const isFull = known === undefined && (keysOf.get(name)?.size ?? 0) >= MAX_RECORDS_PER_NAME
    if (isFull && !makeRoom(name)) return 'full'
    const kept = { published, source: place === by ? source : (keptAt(key)?.source ?? source) }
    forget(key)
    const encoded = encodePublished(published)
    keysOf.set(name, (keysOf.get(name) ?? new Set()).add(key))
    pools[place].add(key, { ...kept, bytes: encoded.length })
    note(key, LETTERS[place] + kept.source + decoder.decode(encoded))
    for (let old = pools[place].surplus(); old !== undefined; old = pools[place].surplus()) forget(old)
    return 'kept'
  }

  for await (const [key, value] of stored(store)) {
    const [, letter, source = '', text = ''] = STORED.exec(value) ?? []
    const by = PLACES.find((place) => LETTERS[place] === letter)
    const published = readStored(key, encoder.encode(text))
    if (published === undefined || by === undefined) note(key, undefined)
    else put(published, { by, source })
  }

  return {
    get,
    put,
    *own() {
      for (const key of [...pools.mailbox.keys(), ...pools.node.keys()]) {
        const published = get(key)
        if (published !== undefined) yield published
      }
    },
    isOwn: (name) => [...(keysOf.get(name) ?? [])].some((key) => placeOf(key) !== 'dht'),
    get size() {
      const keys = PLACES.flatMap((place) => [...pools[place].keys()])
      return keys.filter((key) => get(key) !== undefined).length
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

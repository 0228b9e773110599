/** What an adapter implements: one ordered sequence of string keys with atomic, fenced commits. */
import { StoreError } from '@plexus/engine/ports'
import type { Durability, RangeOptions, Store, Write } from '@plexus/engine/ports'
import { EPOCH_KEY, physicalWrite, prefixOf, SCHEMA_KEY } from './layout.ts'
import type { PhysicalWrite } from './layout.ts'
import { admitSchema, migrate, newestSchema } from './migrations.ts'
import type { Migration } from './migrations.ts'

export type Entry = readonly [key: string, value: string]

export interface Physical {
  /** The values in the order of `keys`. */
  getMany(keys: readonly string[]): Promise<readonly (string | undefined)[]>
  /** Entries with `lo <= key < hi`, given `lo < hi` and `limit > 0`. */
  range(lo: string, hi: string, limit: number | undefined, reverse: boolean): Promise<readonly Entry[]>
  /** Applies all writes in their order, or none. @throws StoreError `fenced` when another owner took an epoch. */
  commit(writes: readonly PhysicalWrite[], durability: Durability): Promise<void>
  close(): Promise<void>
}

/**
 * The Store port on an adapter that has taken its epoch, after the migrations ran. On failure the adapter is closed.
 * Invariants: `close` waits for what is under way; after `fenced` every commit is refused, after `close` everything.
 */
export async function openStore(physical: Physical, migrations: readonly Migration[]): Promise<Store> {
  const store = createStore(physical)
  try {
    await migrate(physical, store, migrations)
  } catch (cause) {
    await physical.close()
    throw cause
  }
  return store
}

function createStore(physical: Physical): Store {
  const underWay = new Set<Promise<unknown>>()
  let closing: Promise<void> | undefined
  let fenced: StoreError | undefined

  const track = async <T>(work: () => Promise<T>): Promise<T> => {
    if (closing !== undefined) throw new StoreError('closed', 'the store is closed')
    const running = work()
    underWay.add(running)
    try {
      return await running
    } finally {
      underWay.delete(running)
    }
  }

  const getMany = (map: string, keys: readonly string[]): Promise<readonly (string | undefined)[]> =>
    track(async () => {
      const prefix = prefixOf(map)
      return keys.length === 0 ? [] : physical.getMany(keys.map((key) => prefix + key))
    })

  return {
    async get(map, key) {
      const [value] = await getMany(map, [key])
      return value
    },
    getMany,
    range: (map, lo, hi, options = {}) => track(() => rangeOf(physical, map, lo, hi, options)),
    commit: (writes: readonly Write[], durability) =>
      track(async () => {
        if (fenced !== undefined) throw fenced
        try {
          await physical.commit(lastOfEachKey(writes), durability)
        } catch (cause) {
          if (cause instanceof StoreError && cause.code === 'fenced') fenced = cause
          throw cause
        }
      }),
    close() {
      closing ??= Promise.allSettled(underWay).then(() => physical.close())
      return closing
    },
  }
}

/** The record of a room is written with each event of it; in a commit of fifty only the last counts. */
function lastOfEachKey(writes: readonly Write[]): readonly PhysicalWrite[] {
  const last = new Map<string, PhysicalWrite>()
  for (const write of writes.map(physicalWrite)) last.set(write.key, write)
  return [...last.values()]
}

async function rangeOf(
  physical: Physical,
  map: string,
  lo: string,
  hi: string,
  { limit, reverse = false }: RangeOptions,
): Promise<readonly Entry[]> {
  const prefix = prefixOf(map)
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new StoreError('failed', `not a limit: ${limit}`)
  }
  if (limit === 0 || lo >= hi) return []
  const entries = await physical.range(prefix + lo, prefix + hi, limit, reverse)
  return entries.map(([key, value]) => [key.slice(prefix.length), value])
}

/** What an opening found in its first transaction. */
export type Found = { readonly epoch: string | undefined; readonly schema: string | undefined }

/** What it writes in that same transaction to own the store; a new one gets the newest schema. @throws SchemaError */
export function takeOver(
  found: Found,
  migrations: readonly Migration[],
): { epoch: string; writes: PhysicalWrite[] } {
  admitSchema(found.schema, migrations)
  const epoch = String(Number(found.epoch ?? 0) + 1)
  const schema = found.schema ?? String(newestSchema(migrations))
  return {
    epoch,
    writes: [
      { key: EPOCH_KEY, value: epoch },
      { key: SCHEMA_KEY, value: schema },
    ],
  }
}

export const fencedError = (): StoreError => new StoreError('fenced', 'another owner took over this store')

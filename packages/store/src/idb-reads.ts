/** Reads of the IndexedDB adapter. */
import { storeErrorOf } from './dom-errors.ts'
import type { Entry, Physical } from './physical.ts'

type Reads = Pick<Physical, 'getMany' | 'range'>

type Batch = {
  readonly keys: string[]
  readonly values: Promise<readonly (string | undefined)[]>
}

/**
 * In Chromium since 141; elsewhere values and keys are asked for apart, and a cursor walks backwards. Measured for the
 * last 20 entries: 0.5 ms, with a cursor 2 ms.
 */
type RecordReader = IDBObjectStore & {
  getAllRecords(options: {
    query: IDBKeyRange
    count?: number
    direction: 'next' | 'prev'
  }): IDBRequest<readonly { readonly key: IDBValidKey; readonly value: unknown }[]>
}

/**
 * Gets that are issued within one turn share one transaction, which begins after all of them. Measured for 50 of them:
 * 2 ms, in a transaction each 6 ms.
 * `begin` gives the object store in a new read transaction.
 */
export function createReads(begin: () => IDBObjectStore): Reads {
  let next: Batch | undefined

  const joinBatch = (): Batch => {
    if (next !== undefined) return next
    const keys: string[] = []
    const values = Promise.resolve().then(() => {
      next = undefined
      return readAll(begin(), keys)
    })
    next = { keys, values }
    return next
  }

  return {
    async getMany(keys) {
      const batch = joinBatch()
      const from = batch.keys.length
      // A large room asks for more than one call has room for arguments.
      for (const key of keys) batch.keys.push(key)
      const values = await batch.values
      return values.slice(from, from + keys.length)
    },
    async range(lo, hi, limit, reverse) {
      const objects = begin()
      const query = IDBKeyRange.bound(lo, hi, false, true)
      if (hasRecords(objects)) {
        const direction = reverse ? 'prev' : 'next'
        const records = await settled(
          objects.getAllRecords({ query, direction, ...(limit === undefined ? {} : { count: limit }) }),
        )
        return records.map(({ key, value }) => entryOf(key, value))
      }
      return reverse ? walk(objects, query, limit) : zip(objects, query, limit)
    },
  }
}

/** Only strings are ever put. */
const entryOf = (key: IDBValidKey, value: unknown): Entry => [key as string, value as string]

function hasRecords(objects: IDBObjectStore): objects is RecordReader {
  return 'getAllRecords' in objects
}

function readAll(objects: IDBObjectStore, keys: readonly string[]): Promise<readonly (string | undefined)[]> {
  return new Promise((resolve, reject) => {
    const requests = keys.map((key): IDBRequest<string | undefined> => objects.get(key))
    const { transaction } = objects
    transaction.addEventListener('abort', () => reject(storeErrorOf(transaction.error)))
    // Requests are answered in order.
    requests.at(-1)?.addEventListener('success', () => resolve(requests.map((request) => request.result)))
  })
}

async function zip(
  objects: IDBObjectStore,
  query: IDBKeyRange,
  limit: number | undefined,
): Promise<readonly Entry[]> {
  const [keys, values] = await Promise.all([
    settled(objects.getAllKeys(query, limit)),
    settled(objects.getAll(query, limit)),
  ])
  return keys.map((key, index) => entryOf(key, values[index]))
}

function walk(
  objects: IDBObjectStore,
  query: IDBKeyRange,
  limit: number | undefined,
): Promise<readonly Entry[]> {
  return new Promise((resolve, reject) => {
    const found: Entry[] = []
    const request = objects.openCursor(query, 'prev')
    request.addEventListener('error', () => reject(storeErrorOf(request.error)))
    request.addEventListener('success', () => {
      const cursor = request.result
      if (cursor !== null) found.push(entryOf(cursor.key, cursor.value))
      if (cursor === null || found.length === limit) resolve(found)
      else cursor.continue()
    })
  })
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result))
    request.addEventListener('error', () => reject(storeErrorOf(request.error)))
  })
}

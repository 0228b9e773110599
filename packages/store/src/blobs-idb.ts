/** The Blobs port on IndexedDB. */
import { openDB, unwrap } from 'idb'
import type { Blobs } from '@plexus/engine/ports'
import { createBlobs } from './blobs.ts'
import { storeErrorOf } from './dom-errors.ts'

const OBJECT_STORE = 'blobs'

/** Blobs in a database of their own, so that large values never wait in a transaction of the store. */
export async function openIdbBlobs(name: string): Promise<Blobs> {
  const database = await openDB<{ [OBJECT_STORE]: { key: string; value: Uint8Array } }>(name, 1, {
    upgrade: (upgraded) => {
      upgraded.createObjectStore(OBJECT_STORE)
    },
    blocking: (_current, _wanted, event) => {
      const { target } = event
      if (target instanceof IDBDatabase) target.close()
    },
  }).catch(fail)
  const change = async (work: (objects: IDBObjectStore) => void): Promise<void> => {
    const transaction = database.transaction(OBJECT_STORE, 'readwrite', { durability: 'strict' })
    work(unwrap(transaction.objectStore(OBJECT_STORE)))
    await transaction.done
  }
  return createBlobs({
    read: (hash) => database.get(OBJECT_STORE, hash).catch(fail),
    write: (hash, bytes) => change((objects) => objects.put(bytes, hash)).catch(fail),
    remove: (hash) => change((objects) => objects.delete(hash)).catch(fail),
  })
}

function fail(cause: unknown): never {
  throw storeErrorOf(cause)
}

/**
 * A way around the loss of all data in Chromium, which keeps the IndexedDB of an origin in one LevelDB. When the
 * browser is killed in the middle of a write, the log of LevelDB ends in a torn record; the next start skips it but
 * goes on in the same log, and the start after that takes the torn record amid the log for corruption and deletes
 * every database of the origin (https://github.com/google/leveldb/issues/1287). Deleting a database, however small,
 * makes LevelDB compact, for which it moves what the log holds into a table and begins a new log: 5 ms. So each
 * opening does that before it acknowledges anything. Under load about one kill in ten left a torn record.
 */
import { deleteDB, openDB } from 'idb'

const SCRATCH = '.scratch.'

/** Resolves also when the browser has no room for it: what follows is then no worse than without. */
export async function beginNewLog(name: string): Promise<void> {
  // A name of its own, since a frozen page can hold a database of a shared name for ever.
  const scratch = name + SCRATCH + crypto.randomUUID()
  const database = await openDB(scratch, 1).catch(() => undefined)
  database?.close()
  const left = (await indexedDB.databases())
    .map((each) => each.name ?? '')
    .filter((each) => each.startsWith(name + SCRATCH))
  await Promise.allSettled(left.map((each) => deleteOrLeave(each)))
}

/** A database that another page keeps open is deleted when that page goes. */
async function deleteOrLeave(name: string): Promise<void> {
  const blocked = Promise.withResolvers<void>()
  await Promise.race([deleteDB(name, { blocked: () => blocked.resolve() }), blocked.promise])
}

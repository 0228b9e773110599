/** The Store port on IndexedDB, for a page or a worker. */
import { openDB, unwrap } from 'idb'
import { StoreError } from '@plexus/engine/ports'
import type { Durability, Store } from '@plexus/engine/ports'
import { storeErrorOf } from './dom-errors.ts'
import { beginNewLog } from './idb-log.ts'
import { createReads } from './idb-reads.ts'
import { EPOCH_KEY, SCHEMA_KEY } from './layout.ts'
import type { PhysicalWrite } from './layout.ts'
import { SchemaError } from './migrations.ts'
import type { Migration, OpenOptions } from './migrations.ts'
import { fencedError, openStore, takeOver } from './physical.ts'
import type { Physical } from './physical.ts'

/** The version of the physical layout: one object store with keys given from outside. It is not the schema version. */
const LAYOUT_VERSION = 1
/** All maps share it: putting the records of an event into several object stores costs more than twice as much. */
const OBJECT_STORE = 'kv'

export type IdbOptions = OpenOptions & {
  /** Called when the browser found its database damaged and deleted all of it, with what it says about that. */
  readonly onDataLoss?: (message: string) => void
}

/**
 * Opens the database, made if need be, and takes over from whoever has it open.
 * @throws SchemaError for data of a newer program, the signal's reason when it fires while an older program keeps the
 * database, StoreError for the rest.
 */
export async function openIdbStore(name: string, options: IdbOptions = {}): Promise<Store> {
  const migrations = options.migrations ?? []
  const connection = await connect(name, options)
  return openStore(await own(connection, migrations), migrations)
}

type Connection = {
  readonly database: IDBDatabase
  /** Why the browser or another page ended this connection; `undefined` while it works. */
  readonly ended: () => StoreError | undefined
}

async function connect(name: string, { signal, onDataLoss }: IdbOptions): Promise<Connection> {
  signal?.throwIfAborted()
  let ended: StoreError | undefined
  const opening = openDB(name, LAYOUT_VERSION, {
    upgrade: (database, _from, _to, _transaction, event) => {
      database.createObjectStore(OBJECT_STORE)
      if (isDataLoss(event)) onDataLoss?.(event.dataLossMessage)
    },
    // A newer program wants to upgrade the layout or the user deletes the data: both wait for this connection to go.
    blocking: (_current, wanted, event) => {
      ended =
        wanted === null ? new StoreError('closed', 'the data of this page is being deleted') : fencedError()
      const database = event.target
      if (database instanceof IDBDatabase) database.close()
    },
    terminated: () => {
      ended = new StoreError('closed', 'the browser closed the database')
    },
  })
  const database = unwrap(await abortable(opening.catch(refuse), signal))
  return { database, ended: () => ended }
}

/** Chromium says so to the first opening after the loss. */
function isDataLoss(event: Event): event is Event & { readonly dataLossMessage: string } {
  return 'dataLoss' in event && event.dataLoss === 'total' && 'dataLossMessage' in event
}

/** What was opened after the signal fired is closed again, so that it blocks nobody. */
async function abortable<T extends { close(): void }>(
  opening: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return opening
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => {
    opening.then(
      (opened) => opened.close(),
      () => undefined,
    )
    reject(signal.reason)
  }
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([opening, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function own(connection: Connection, migrations: readonly Migration[]): Promise<Physical> {
  const { database } = connection
  let epoch = ''
  let refused: unknown
  try {
    await beginNewLog(database.name)
    await transact(connection, 'strict', (objects, abort) => {
      const schema: IDBRequest<string | undefined> = objects.get(SCHEMA_KEY)
      const stored: IDBRequest<string | undefined> = objects.get(EPOCH_KEY)
      stored.addEventListener('success', () => {
        try {
          const taken = takeOver({ epoch: stored.result, schema: schema.result }, migrations)
          epoch = taken.epoch
          for (const each of taken.writes) write(objects, each)
        } catch (cause) {
          refused = cause
          abort()
        }
      })
    })
  } catch (cause) {
    database.close()
    throw refused ?? cause
  }
  return {
    ...createReads(() => begin(connection, 'readonly').objectStore(OBJECT_STORE)),
    commit: (writes, durability) => commit(connection, epoch, writes, durability),
    // The browser lets the transactions under way finish.
    close: async () => database.close(),
  }
}

/**
 * The epoch is read before the writes in one transaction, and an owner that was replaced aborts it: also one whose page
 * froze in between, since no transaction of another owner can come between them.
 */
async function commit(
  connection: Connection,
  epoch: string,
  writes: readonly PhysicalWrite[],
  durability: Durability,
): Promise<void> {
  let fenced = false
  try {
    await transact(connection, durability, (objects, abort) => {
      const stored: IDBRequest<string | undefined> = objects.get(EPOCH_KEY)
      stored.addEventListener('success', () => {
        fenced = stored.result !== epoch
        if (fenced) abort()
      })
      for (const each of writes) write(objects, each)
    })
  } catch (cause) {
    throw fenced ? fencedError() : cause
  }
}

function write(objects: IDBObjectStore, { key, value }: PhysicalWrite): void {
  if (value === undefined) objects.delete(key)
  else objects.put(value, key)
}

function begin(
  { database, ended }: Connection,
  mode: 'readonly' | 'readwrite',
  durability: Durability = 'relaxed',
): IDBTransaction {
  try {
    return database.transaction(OBJECT_STORE, mode, { durability })
  } catch (cause) {
    throw ended() ?? storeErrorOf(cause)
  }
}

/** Resolves when the transaction is complete; rejects, with nothing of it applied, when it aborted. */
function transact(
  connection: Connection,
  durability: Durability,
  work: (objects: IDBObjectStore, abort: () => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const transaction = begin(connection, 'readwrite', durability)
    transaction.addEventListener('complete', () => resolve())
    transaction.addEventListener('abort', () => reject(connection.ended() ?? storeErrorOf(transaction.error)))
    try {
      work(transaction.objectStore(OBJECT_STORE), () => transaction.abort())
    } catch (cause) {
      // What was asked for before a request that the browser refuses at once would be committed.
      transaction.abort()
      reject(storeErrorOf(cause))
    }
  })
}

function refuse(cause: unknown): never {
  const newer = cause instanceof Error && cause.name === 'VersionError'
  throw newer ? new SchemaError(LAYOUT_VERSION + 1, LAYOUT_VERSION) : storeErrorOf(cause)
}

/**
 * Migrations: an append-only list. The schema version of a store is 1 + the number of migrations that it went through;
 * a new store starts at the newest. Each migration is one commit together with the version that it leads to, so a kill
 * between two of them is continued at the next opening.
 */
import type { Store, Write } from '@plexus/engine/ports'
import { physicalWrite, SCHEMA_KEY } from './layout.ts'
import type { Physical } from './physical.ts'

export type StoreReader = Pick<Store, 'get' | 'getMany' | 'range'>

export type Migration = {
  readonly name: string
  /** The changes that lead from the schema before to the one after. */
  readonly up: (store: StoreReader) => Promise<readonly Write[]>
}

export type OpenOptions = {
  /** Gives up waiting, with the signal's reason. */
  readonly signal?: AbortSignal
  /** Entries are only ever appended. */
  readonly migrations?: readonly Migration[]
}

/** The data was written by a newer program, and nothing was touched. Trying again helps after an update only. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError'
  readonly found: number
  readonly known: number
  constructor(found: number, known: number) {
    super(`this data has schema ${found}, this program knows ${known}: update it`)
    this.found = found
    this.known = known
  }
}

export const newestSchema = (migrations: readonly Migration[]): number => migrations.length + 1

/** @throws SchemaError when the stored version is above what `migrations` lead to. */
export function admitSchema(stored: string | undefined, migrations: readonly Migration[]): void {
  const known = newestSchema(migrations)
  if (stored !== undefined && !(Number(stored) <= known)) throw new SchemaError(Number(stored), known)
}

export async function migrate(
  physical: Physical,
  store: StoreReader,
  migrations: readonly Migration[],
): Promise<void> {
  const [stored] = await physical.getMany([SCHEMA_KEY])
  const waiting = migrations.slice(Number(stored) - 1)
  for (const [index, { up }] of waiting.entries()) {
    const writes = await up(store)
    const schema = { key: SCHEMA_KEY, value: String(Number(stored) + index + 1) }
    await physical.commit([...writes.map(physicalWrite), schema], 'strict')
  }
}

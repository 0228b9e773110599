export { MAX_KEY_LENGTH } from './layout.ts'
export { SchemaError } from './migrations.ts'
export type { Migration, OpenOptions, StoreReader } from './migrations.ts'
export type { OwnerLock } from './owner-lock.ts'

import { StoreError } from '@plexus/engine/ports'

/** What IndexedDB and the file system API throw, as a StoreError; one that is one already passes. */
export function storeErrorOf(cause: unknown): StoreError {
  if (cause instanceof StoreError) return cause
  const name = cause instanceof Error ? cause.name : 'AbortError'
  const message = cause instanceof Error ? cause.message : 'transaction aborted'
  if (name === 'QuotaExceededError')
    return new StoreError('full', 'the browser gives no more space', { cause })
  if (name === 'InvalidStateError')
    return new StoreError('closed', 'the database connection is closed', { cause })
  return new StoreError('failed', `${name}: ${message}`, { cause })
}

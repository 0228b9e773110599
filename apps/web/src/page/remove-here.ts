import { deleteDB } from 'idb'
import { KEYS } from '../shared/databases.ts'

/**
 * Deletes all that this origin keeps of an account: keys, messages and media. The app itself stays. Waits for who has them open. The
 * keys go first: with them and no store this browser would take the account over, as one that it is new to.
 */
export async function removeAll(): Promise<void> {
  await deleteDB(KEYS)
  for (const { name } of await indexedDB.databases()) if (name !== undefined) await deleteDB(name)
  const files = await fileSystem()
  if (files === undefined) return
  for await (const name of files.keys()) await files.removeEntry(name, { recursive: true })
}

/** A browser in private mode may have the API and refuse it: there are no files then. */
async function fileSystem(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await navigator.storage.getDirectory()
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'SecurityError') return undefined
    throw cause
  }
}

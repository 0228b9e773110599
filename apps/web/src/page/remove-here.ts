import { deleteDB } from 'idb'

/** Deletes all that this origin keeps of an account: keys, messages and media. The app itself stays. Waits for who has them open. */
export async function removeHere(): Promise<void> {
  for (const { name } of await indexedDB.databases()) if (name !== undefined) await deleteDB(name)
  const files = await navigator.storage.getDirectory()
  for await (const name of files.keys()) await files.removeEntry(name, { recursive: true })
}

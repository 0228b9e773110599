/** The Blobs port in a page or worker. */
import type { Blobs } from '@plexus/engine/ports'
import { openIdbBlobs } from './blobs-idb.ts'
import { openOpfsBlobs } from './blobs-opfs.ts'

export { openIdbBlobs, openOpfsBlobs }

/** The origin private file system where the browser has it, else IndexedDB; one browser answers the same each time. */
export async function openBrowserBlobs(name: string): Promise<Blobs> {
  return (await openOpfsBlobs(name)) ?? openIdbBlobs(name)
}

/** The Blobs port on the origin private file system. */
import type { Blobs } from '@plexus/engine/ports'
import { createBlobs } from './blobs.ts'
import { storeErrorOf } from './dom-errors.ts'

/** Half-written files end so; they are removed at opening. */
const UNFINISHED = '.unfinished'

/** Standard, not in the DOM types of TypeScript: a rename, and in a worker a file that can be synced. */
type MovableFile = FileSystemFileHandle & { move(name: string): Promise<void> }
type SyncAccess = { write(bytes: Uint8Array, at: { at: number }): number; flush(): void; close(): void }
type WorkerFile = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncAccess> }

/**
 * Blobs as files of the folder `name`; `undefined` where the browser has no such file system or cannot rename in it.
 * In a worker a file is synced before it gets its name; in a page the browser swaps in a complete file, unsynced.
 */
export async function openOpfsBlobs(name: string): Promise<Blobs | undefined> {
  const folder = await openFolder(name)
  if (folder === undefined) return undefined
  for await (const each of folder.keys()) if (each.endsWith(UNFINISHED)) await folder.removeEntry(each)
  return createBlobs({
    read: async (hash) => {
      try {
        const file = await (await folder.getFileHandle(hash)).getFile()
        return new Uint8Array(await file.arrayBuffer())
      } catch (cause) {
        if (isNotFound(cause)) return undefined
        throw storeErrorOf(cause)
      }
    },
    write: async (hash, bytes) => {
      const temporary = crypto.randomUUID() + UNFINISHED
      try {
        const file = await folder.getFileHandle(temporary, { create: true })
        await (canSync(file) ? writeSynced(file, bytes) : writeSwapped(file, bytes))
        if (canMove(file)) await file.move(hash)
      } catch (cause) {
        await remove(folder, temporary)
        throw storeErrorOf(cause)
      }
    },
    remove: (hash) => remove(folder, hash),
  })
}

/** A browser in private mode may have the API and refuse it. */
async function openFolder(name: string): Promise<FileSystemDirectoryHandle | undefined> {
  if (!('FileSystemFileHandle' in globalThis) || !('move' in FileSystemFileHandle.prototype)) return undefined
  try {
    return await (await navigator.storage.getDirectory()).getDirectoryHandle(name, { create: true })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'SecurityError') return undefined
    throw storeErrorOf(cause)
  }
}

async function writeSynced(file: WorkerFile, bytes: Uint8Array): Promise<void> {
  const access = await file.createSyncAccessHandle()
  try {
    let written = 0
    while (written < bytes.length) {
      const more = access.write(bytes.subarray(written), { at: written })
      if (more === 0) throw new DOMException('nothing was written', 'QuotaExceededError')
      written += more
    }
    access.flush()
  } finally {
    access.close()
  }
}

async function writeSwapped(file: FileSystemFileHandle, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const stream = await file.createWritable()
  await stream.write(bytes)
  await stream.close()
}

async function remove(folder: FileSystemDirectoryHandle, name: string): Promise<void> {
  try {
    await folder.removeEntry(name)
  } catch (cause) {
    if (!isNotFound(cause)) throw storeErrorOf(cause)
  }
}

const isNotFound = (cause: unknown): boolean =>
  cause instanceof DOMException && cause.name === 'NotFoundError'

const canSync = (file: FileSystemFileHandle): file is WorkerFile => 'createSyncAccessHandle' in file

const canMove = (file: FileSystemFileHandle): file is MovableFile => 'move' in file

/** The Blobs port on files, for Node. */
import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '@plexus/engine/ports'
import type { Blobs } from '@plexus/engine/ports'
import { createBlobs } from './blobs.ts'

/** Half-written files; emptied at opening. */
const UNFINISHED = 'unfinished'

/**
 * Keeps blobs under `folder`, made if need be, as `ab/cdef…`: the hash in hexadecimal, since a file system may not
 * tell upper from lower case. A file is complete and synced before it gets its name.
 */
export async function openFileBlobs(folder: string): Promise<Blobs> {
  const unfinished = join(folder, UNFINISHED)
  await guarded(async () => {
    await rm(unfinished, { recursive: true, force: true })
    await mkdir(unfinished, { recursive: true, mode: 0o700 })
  })
  const place = (hash: string): { shelf: string; file: string } => {
    const name = Buffer.from(hash, 'base64url').toString('hex')
    const shelf = join(folder, name.slice(0, 2))
    return { shelf, file: join(shelf, name.slice(2)) }
  }
  return createBlobs({
    read: (hash) =>
      guarded(async () => new Uint8Array(await readFile(place(hash).file))).catch((cause: unknown) => {
        if (cause instanceof StoreError && codeOf(cause.cause) === 'ENOENT') return undefined
        throw cause
      }),
    write: (hash, bytes) =>
      guarded(async () => {
        const { shelf, file } = place(hash)
        const temporary = join(unfinished, randomUUID())
        try {
          await writeSynced(temporary, bytes)
          const made = await mkdir(shelf, { recursive: true, mode: 0o700 })
          await rename(temporary, file)
          await syncFolder(shelf)
          if (made !== undefined) await syncFolder(folder)
        } catch (cause) {
          await rm(temporary, { force: true })
          throw cause
        }
      }),
    remove: (hash) => guarded(() => rm(place(hash).file, { force: true })),
  })
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes a rename survive a power cut. Windows has no such thing and answers EPERM or EISDIR. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = codeOf(cause)
    const full = code === 'ENOSPC' || code === 'EDQUOT'
    throw new StoreError(full ? 'full' : 'failed', `blob file: ${code ?? 'unknown error'}`, { cause })
  }
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
}

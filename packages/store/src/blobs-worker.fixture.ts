/** A worker that answers calls of the Blobs port on the file system of its origin, for the tests. */
import type { Blobs } from '@plexus/engine/ports'
import { openOpfsBlobs } from './blobs-opfs.ts'

export type BlobsCall =
  | { readonly id: number; readonly kind: 'open'; readonly name: string }
  | { readonly id: number; readonly kind: 'put'; readonly bytes: Uint8Array }
  | { readonly id: number; readonly kind: 'get' | 'delete'; readonly hash: string }

export type BlobsAnswer = { readonly id: number; readonly value?: unknown; readonly error?: string }

let blobs: Blobs | undefined

async function answer(call: BlobsCall): Promise<unknown> {
  if (call.kind === 'open') {
    if (!('createSyncAccessHandle' in FileSystemFileHandle.prototype))
      throw new Error('not a dedicated worker')
    blobs = await openOpfsBlobs(call.name)
    return blobs !== undefined
  }
  if (call.kind === 'put') return blobs?.put(call.bytes)
  return call.kind === 'get' ? blobs?.get(call.hash) : blobs?.delete(call.hash)
}

addEventListener('message', ({ data }: MessageEvent<BlobsCall>) => {
  const { id } = data
  answer(data).then(
    (value) => postMessage({ id, value } satisfies BlobsAnswer),
    (cause: unknown) => postMessage({ id, error: String(cause) } satisfies BlobsAnswer),
  )
})

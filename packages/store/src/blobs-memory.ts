/** The Blobs port in memory, for tests and simulations. */
import type { Blobs } from '@plexus/engine/ports'
import { createBlobs } from './blobs.ts'

/** Blobs that several openings share. */
export type BlobMemory = Map<string, Uint8Array>

export function createMemoryBlobs(memory: BlobMemory = new Map()): Blobs {
  return createBlobs({
    read: async (hash) => memory.get(hash)?.slice(),
    write: async (hash, bytes) => {
      memory.set(hash, bytes)
    },
    remove: async (hash) => {
      memory.delete(hash)
    },
  })
}

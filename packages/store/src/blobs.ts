/** What the Blobs adapters share: the name of a blob is its hash, and what is read must have it. */
import type { Blobs } from '@plexus/engine/ports'

/** Where blobs lie. Names are hashes of the right form. */
export interface BlobFiles {
  read(hash: string): Promise<Uint8Array | undefined>
  /** Durable on return; replaces what there is. @throws StoreError `full`, `failed` */
  write(hash: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>
  remove(hash: string): Promise<void>
}

/** Unpadded URL-safe base64 of 32 bytes; the two spare bits of the last digit are zero. */
const HASH = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/**
 * What a crash or a failing disk left of a blob does not have its hash, counts as absent and is written anew by the
 * next `put`. A string that is no hash names no blob.
 */
export function createBlobs(files: BlobFiles): Blobs {
  const get = async (hash: string): Promise<Uint8Array | undefined> => {
    if (!HASH.test(hash)) return undefined
    const bytes = await files.read(hash)
    if (bytes === undefined) return undefined
    return (await hashOf(bytes.slice())) === hash ? bytes : undefined
  }
  const inTurn = createTurns()
  return {
    get,
    async put(bytes) {
      const copy = bytes.slice()
      const hash = await hashOf(copy)
      await inTurn(hash, async () => {
        if ((await get(hash)) === undefined) await files.write(hash, copy)
      })
      return hash
    },
    async delete(hash) {
      if (HASH.test(hash)) await inTurn(hash, () => files.remove(hash))
    },
  }
}

/** Changes of one blob wait for each other. */
function createTurns(): (hash: string, work: () => Promise<void>) => Promise<void> {
  const last = new Map<string, Promise<void>>()
  return async (hash, work) => {
    const before = last.get(hash)
    const turn = before === undefined ? work() : before.then(work, work)
    last.set(hash, turn)
    try {
      await turn
    } finally {
      if (last.get(hash) === turn) last.delete(hash)
    }
  }
}

/** Unpadded URL-safe base64 of the SHA-256. */
async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return btoa(String.fromCharCode(...digest))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

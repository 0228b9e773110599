import type { Published } from '@plexus/p2p/wire'

export type KeptRecord = {
  readonly published: Published
  /** Bytes of it as JSON. */
  readonly bytes: number
  /** Who brought it, as far as those who bring records are told apart. */
  readonly source: string
}

/**
 * Records in the order in which they came, bounded in number and bytes. Invariant: who gives way is the oldest of the
 * source that has most, so that nobody who brings many pushes out those of others before they have as few as each.
 */
export interface RecordPool {
  get(key: string): KeptRecord | undefined
  keys(): Iterable<string>
  add(key: string, kept: KeptRecord): void
  take(key: string): KeptRecord | undefined
  /** What is to be taken next, while there are too many. */
  surplus(): string | undefined
}

type Share = { readonly keys: Set<string>; bytes: number }

export function createRecordPool(max: number, maxBytes: number): RecordPool {
  const byKey = new Map<string, KeptRecord>()
  const shares = new Map<string, Share>()
  let bytes = 0

  function largest(sizeOf: (share: Share) => number): Share | undefined {
    let found: Share | undefined
    for (const share of shares.values())
      if (found === undefined || sizeOf(share) > sizeOf(found)) found = share
    return found
  }

  return {
    get: (key) => byKey.get(key),
    keys: () => byKey.keys(),
    add(key, kept) {
      byKey.set(key, kept)
      bytes += kept.bytes
      const share = shares.get(kept.source) ?? { keys: new Set(), bytes: 0 }
      share.keys.add(key)
      share.bytes += kept.bytes
      shares.set(kept.source, share)
    },
    take(key) {
      const kept = byKey.get(key)
      const share = kept && shares.get(kept.source)
      if (kept === undefined || share === undefined) return undefined
      byKey.delete(key)
      bytes -= kept.bytes
      share.keys.delete(key)
      share.bytes -= kept.bytes
      if (share.keys.size === 0) shares.delete(kept.source)
      return kept
    },
    surplus() {
      if (byKey.size > max)
        return largest(({ keys }) => keys.size)
          ?.keys.values()
          .next().value
      return bytes > maxBytes
        ? largest((share) => share.bytes)
            ?.keys.values()
            .next().value
        : undefined
    },
  }
}

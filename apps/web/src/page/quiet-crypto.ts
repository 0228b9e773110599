/** Spares matrix-js-sdk's crypto the answers of `/sync` that say nothing about encryption. */
import type { CryptoApi } from 'matrix-js-sdk/lib/crypto-api/index.js'

/** What of an answer of `/sync` is about encryption. */
export type CryptoChanges = {
  readonly toDeviceEvents: readonly unknown[]
  readonly deviceLists?: {
    readonly changed?: readonly string[] | undefined
    readonly left?: readonly string[] | undefined
  }
  readonly oneTimeKeysCounts?: Readonly<Record<string, number>>
  readonly unusedFallbackKeys?: readonly string[]
}

/** The part of the crypto that reads an answer: three transactions on its store, while the timeline waits. */
export interface SyncCrypto {
  processSyncChanges(changes: CryptoChanges): Promise<unknown[]>
}

export function isSyncCrypto(crypto: CryptoApi | undefined): crypto is CryptoApi & SyncCrypto {
  return (
    crypto !== undefined && 'processSyncChanges' in crypto && typeof crypto.processSyncChanges === 'function'
  )
}

/** Passes on only what tells the crypto anything since the last call that went through. */
export function skipEmptyChanges(crypto: SyncCrypto): void {
  const process = crypto.processSyncChanges.bind(crypto)
  let last: string | undefined
  crypto.processSyncChanges = async (changes) => {
    const keys = keysOf(changes)
    if (keys === last && isEmpty(changes)) return []
    // Only what was taken counts: after a failure the same answer comes again.
    last = undefined
    const received = await process(changes)
    last = keys
    return received
  }
}

function isEmpty({ toDeviceEvents, deviceLists, unusedFallbackKeys }: CryptoChanges): boolean {
  return (
    toDeviceEvents.length === 0 &&
    (deviceLists?.changed ?? []).length === 0 &&
    (deviceLists?.left ?? []).length === 0 &&
    // A spent fallback key is told until another one stands, which may be spent again before the next answer.
    unusedFallbackKeys?.length !== 0
  )
}

function keysOf({ oneTimeKeysCounts, unusedFallbackKeys }: CryptoChanges): string {
  const counts = Object.entries(oneTimeKeysCounts ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([counts, unusedFallbackKeys?.toSorted() ?? null])
}

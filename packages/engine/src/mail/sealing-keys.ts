/**
 * The keys that others seal mail to. One is in use at a time; a private key outlives it until no mail can be left that was
 * sealed to it.
 */
import { decodeBase64, encodeBase64, encodeBase64Url } from '@plexus/core'
import { MAX_ACCOUNT_RECORD_MS, type SealingKey } from '@plexus/core/names'
import type { Committer } from '../kernel/committer.ts'
import type { Clock, Random, Sealer, SealingPair, Store } from '../ports.ts'
import { MAIL_RETENTION_MS, sealingKeys, type SealingKeyRow } from './tables.ts'

export const SEALING_KEY_MS: number = 7 * 24 * 3_600_000
/** How long a private key is kept once all mail that was sealed to it has expired. */
const GRACE_MS: number = 7 * 24 * 3_600_000
/** After this long no record that names a key counts any more, nor does mail that was sealed to it. */
const LAST_USE_MS: number = MAX_ACCOUNT_RECORD_MS + MAIL_RETENTION_MS
const KEY_ID_BYTES = 9

export type SealingKeysDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly random: Random
  readonly sealer: Sealer
}

export interface SealingKeys {
  pair(keyId: string): SealingPair | undefined
  /** The key in use, made when the last one is a week old: on disk before it is named anywhere. */
  current(): Promise<Pick<SealingKey, 'id' | 'publicKey'>>
  /** Destroys the keys that no mail can need: every mailbox held none from before `cleanSince`. */
  destroyOld(cleanSince: number): Promise<void>
}

export async function loadSealingKeys(deps: SealingKeysDeps): Promise<SealingKeys> {
  const { store, committer, clock, random, sealer } = deps
  const rows = new Map<string, SealingKeyRow>()
  for (const [[id], row] of await sealingKeys.list(store, [])) rows.set(id, row)

  const newestFirst = (): readonly (readonly [string, SealingKeyRow])[] =>
    [...rows].toSorted(([, a], [, b]) => b.at - a.at)

  return {
    pair(keyId) {
      const row = rows.get(keyId)
      const publicKey = decodeBase64(row?.publicKey ?? '')
      const privateKey = decodeBase64(row?.privateKey ?? '')
      if (row === undefined || publicKey === undefined || privateKey === undefined) return undefined
      return { publicKey, privateKey }
    },
    async current() {
      const now = clock.now()
      const [newest] = newestFirst()
      // One of the future was made before the clock was set back.
      if (newest !== undefined && Math.abs(now - newest[1].at) < SEALING_KEY_MS)
        return { id: newest[0], publicKey: newest[1].publicKey }
      const { publicKey, privateKey } = await sealer.makeKey()
      const id = encodeBase64Url(random.bytes(KEY_ID_BYTES))
      const row = { publicKey: encodeBase64(publicKey), privateKey: encodeBase64(privateKey), at: now }
      await committer.submit({ durability: 'strict', writes: () => [sealingKeys.put([id], row)] })
      rows.set(id, row)
      return { id, publicKey: row.publicKey }
    },
    async destroyOld(cleanSince) {
      const now = clock.now()
      const sorted = newestFirst()
      const old = sorted.flatMap(([id], index) => {
        const replaced = sorted[index - 1]?.[1].at
        if (replaced === undefined) return []
        const isDrained = now > replaced + MAIL_RETENTION_MS + GRACE_MS && cleanSince > replaced
        return isDrained || now > replaced + LAST_USE_MS ? [id] : []
      })
      if (old.length === 0) return
      await committer.submit({
        durability: 'strict',
        writes: () => old.map((id) => sealingKeys.delete([id])),
      })
      for (const id of old) rows.delete(id)
    },
  }
}

/**
 * This node's account record: where its mail is taken and what it is sealed to. DESIGN section 7
 *
 * Invariants:
 * 1. No two records of this node have one sequence, and what was published is on disk.
 * 2. A sealing key is on disk before a record names it.
 */
import { canonicalJson, decodeBase64, encodeBase64 } from '@plexus/core'
import type { MailboxAddress, SignedAccountRecord } from '@plexus/core/names'
import { accountRecords, MAX_ACCOUNT_RECORD_MS } from '@plexus/core/names'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { Committer } from '../kernel/committer.ts'
import type { Clock, Random, Signer, Store } from '../ports.ts'
import type { SealingKeys } from './sealing-keys.ts'
import { accessKeys, ownRecords } from './tables.ts'

/** How often a record is made anew though nothing changed. */
export const RECORD_RENEWAL_MS: number = 12 * 3_600_000
const ACCESS_KEY_BYTES = 32
const OWN = 'own'

export type AccountDeps = {
  readonly store: Store
  readonly committer: Committer
  readonly clock: Clock
  readonly random: Random
  readonly signer: Signer
  readonly keys: SealingKeys
}

export interface Account {
  /** `undefined` before the first. */
  readonly record: SignedAccountRecord | undefined
  /** Unpadded base64 of 32 bytes: lets contacts into the lanes for them. */
  readonly accessKey: string
  /** Of the bytes of the access key, unpadded base64. */
  readonly accessKeyHash: string
  /** Differs when a contact must hear of it. */
  readonly fingerprint: string | undefined
  /** This device speaks for the account; one that did before does no more. */
  device(peerId: string): void
  /** Makes the record anew where it is due: `known` is one that a relay holds and this store does not. */
  renew(mailboxes: readonly MailboxAddress[], known?: SignedAccountRecord): Promise<void>
}

export async function loadAccount(deps: AccountDeps): Promise<Account> {
  const { store, committer, clock, random, signer, keys } = deps
  let signed = await ownRecords.get(store, [OWN])
  const accessKey = (await accessKeys.get(store, [OWN])) ?? (await makeAccessKey(committer, random))
  const accessKeyHash = encodeBase64(sha256(decodeBase64(accessKey) ?? new Uint8Array()))
  let devices = signed?.record.devices ?? []

  const isDue = (material: string, now: number): boolean => {
    if (signed === undefined || materialOf(signed) !== material) return true
    return Math.abs(now + MAX_ACCOUNT_RECORD_MS - signed.record.expires) >= RECORD_RENEWAL_MS
  }

  return {
    get record() {
      return signed
    },
    accessKey,
    accessKeyHash,
    get fingerprint() {
      return signed === undefined
        ? undefined
        : encodeBase64(sha256(utf8ToBytes(accessKey + materialOf(signed))))
    },
    device(peerId) {
      devices = [peerId]
    },
    async renew(mailboxes, known) {
      if (devices.length === 0) return
      const now = clock.now()
      const expires = now + MAX_ACCOUNT_RECORD_MS
      const key = await keys.current()
      const record = {
        name: signer.name,
        sequence: Math.max(now, (signed?.record.sequence ?? 0) + 1, (known?.record.sequence ?? 0) + 1),
        expires,
        mailboxes,
        devices,
        sealingKeys: [{ ...key, expires }],
      }
      const isBehind = known !== undefined && known.record.sequence >= (signed?.record.sequence ?? 0)
      if (!isBehind && !isDue(materialOf({ record, signature: '' }), now)) return
      const signature = encodeBase64(await signer.sign(accountRecords.bytes(record)))
      const next = { record, signature }
      await committer.submit({ durability: 'strict', writes: () => [ownRecords.put([OWN], next)] })
      signed = next
    },
  }
}

async function makeAccessKey(committer: Committer, random: Random): Promise<string> {
  const key = encodeBase64(random.bytes(ACCESS_KEY_BYTES))
  await committer.submit({ durability: 'strict', writes: () => [accessKeys.put([OWN], key)] })
  return key
}

/** What makes one record say something else than another. */
function materialOf({ record: { mailboxes, devices, sealingKeys } }: SignedAccountRecord): string {
  return canonicalJson({
    mailboxes: mailboxes.map(({ peerId, multiaddrs }) => ({ peerId, multiaddrs })),
    devices,
    sealingKeys: sealingKeys.map(({ id }) => id),
  })
}

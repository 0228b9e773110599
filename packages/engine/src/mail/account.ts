/**
 * This node's account record: where its mail is taken and what it is sealed to. DESIGN section 7
 *
 * Invariants:
 * 1. No two records of this node have one sequence, and what was published is on disk.
 * 2. A sealing key is on disk before a record names it.
 * 3. After a tombstone there is no other record, whoever tells of the tombstone.
 */
import { canonicalJson, decodeBase64, encodeBase64 } from '@plexus/core'
import type { AccountRecord, MailboxAddress, SignedAccountRecord } from '@plexus/core/names'
import { accountRecords, MAX_ACCOUNT_RECORD_MS } from '@plexus/core/names'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { Committer } from '../kernel/committer.ts'
import type { Clock, Random, Signer, Store, Write } from '../ports.ts'
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
  /** Unpadded base64 of 32 bytes: lets contacts into the lanes for them, until the next one. */
  readonly accessKey: string
  /** Of the bytes of the access key, unpadded base64. */
  readonly accessKeyHash: string
  /** Differs when a contact must hear of it. */
  readonly fingerprint: string | undefined
  /** This device speaks for the account; one that did before does no more. */
  device(peerId: string): void
  /** Makes the record anew where it is due: `known` is one that a relay holds and this store does not. */
  renew(mailboxes: readonly MailboxAddress[], known?: SignedAccountRecord): Promise<void>
  /** Makes the tombstone: the account is given up. */
  end(): Promise<void>
  /** Makes another access key, committed with `writes`. */
  rotate(writes: readonly Write[]): Promise<void>
}

export async function loadAccount(deps: AccountDeps): Promise<Account> {
  const { store, committer, clock, random, signer, keys } = deps
  let signed = await ownRecords.get(store, [OWN])
  let accessKey = (await accessKeys.get(store, [OWN])) ?? (await makeAccessKey())
  let devices = signed?.record.devices ?? []

  async function makeAccessKey(writes: readonly Write[] = []): Promise<string> {
    const key = encodeBase64(random.bytes(ACCESS_KEY_BYTES))
    await committer.submit({
      durability: 'strict',
      writes: () => [accessKeys.put([OWN], key), ...writes],
    })
    return key
  }

  const keep = async (next: SignedAccountRecord): Promise<void> => {
    await committer.submit({ durability: 'strict', writes: () => [ownRecords.put([OWN], next)] })
    signed = next
  }

  const sign = async (record: AccountRecord): Promise<void> =>
    keep({ record, signature: encodeBase64(await signer.sign(accountRecords.bytes(record))) })

  const nextSequence = (now: number, known?: SignedAccountRecord): number =>
    Math.max(now, (signed?.record.sequence ?? 0) + 1, (known?.record.sequence ?? 0) + 1)

  const isOver = (): boolean => signed?.record.tombstone !== undefined

  const isDue = (material: string, now: number): boolean => {
    if (signed === undefined || materialOf(signed) !== material) return true
    return Math.abs(now + MAX_ACCOUNT_RECORD_MS - signed.record.expires) >= RECORD_RENEWAL_MS
  }

  return {
    get record() {
      return signed
    },
    get accessKey() {
      return accessKey
    },
    get accessKeyHash() {
      return encodeBase64(sha256(decodeBase64(accessKey) ?? new Uint8Array()))
    },
    get fingerprint() {
      return signed === undefined
        ? undefined
        : encodeBase64(sha256(utf8ToBytes(accessKey + materialOf(signed))))
    },
    device(peerId) {
      devices = [peerId]
    },
    async renew(mailboxes, known) {
      if (devices.length === 0 || isOver()) return
      if (known?.record.tombstone !== undefined) return keep(known)
      const now = clock.now()
      const expires = now + MAX_ACCOUNT_RECORD_MS
      const key = await keys.current()
      const record = {
        name: signer.name,
        sequence: nextSequence(now, known),
        expires,
        mailboxes,
        devices,
        sealingKeys: [{ ...key, expires }],
      }
      const isBehind = known !== undefined && known.record.sequence >= (signed?.record.sequence ?? 0)
      if (isBehind || isDue(materialOf({ record, signature: '' }), now)) await sign(record)
    },
    async end() {
      // The relays that have its mailbox are told by one of its devices.
      if (devices.length === 0 || isOver()) return
      const now = clock.now()
      const head = { name: signer.name, sequence: nextSequence(now), expires: now + MAX_ACCOUNT_RECORD_MS }
      await sign({ ...head, mailboxes: [], devices, sealingKeys: [], tombstone: 'dead' })
    },
    async rotate(writes) {
      accessKey = await makeAccessKey(writes)
    },
  }
}

/** What makes one record say something else than another. */
function materialOf({ record }: SignedAccountRecord): string {
  const { mailboxes, devices, sealingKeys, tombstone } = record
  return canonicalJson({
    isOver: tombstone !== undefined,
    mailboxes: mailboxes.map(({ peerId, multiaddrs }) => ({ peerId, multiaddrs })),
    devices,
    sealingKeys: sealingKeys.map(({ id }) => id),
  })
}

/**
 * This node's account record: where its mail is taken and what it is sealed to. DESIGN section 7
 *
 * Invariants:
 * 1. No two records of this node have one sequence, and what was published is on disk.
 * 2. A sealing key is on disk before a record names it.
 * 3. After a tombstone there is no other record, whoever tells of the tombstone.
 * 4. A store that is new takes the account over. From then on it gives way to a record of a later takeover by another device: it
 *    signs no more, and that is on disk before anything else follows from it. Whoever tells of that record, it is signed by the name key.
 */
import { canonicalJson, decodeBase64, encodeBase64 } from '@plexus/core'
import type { AccountRecord, MailboxAddress, SignedAccountRecord } from '@plexus/core/names'
import { accountRecords, MAX_ACCOUNT_RECORD_MS } from '@plexus/core/names'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { Committer } from '../kernel/committer.ts'
import { createMutex } from '../kernel/mutex.ts'
import type { Clock, Random, Signer, Store, Write } from '../ports.ts'
import type { SealingKeys } from './sealing-keys.ts'
import { accessKeys, ownRecords, standings } from './tables.ts'

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
  /** Called once it is on disk that another device took the account over. */
  readonly replaced: () => void
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
  /** Another device took the account over. */
  readonly isReplaced: boolean
  /** This device speaks for the account; one that did before does no more. */
  device(peerId: string): void
  /** Makes the record anew where it is due. */
  renew(mailboxes: readonly MailboxAddress[]): Promise<void>
  /**
   * What somebody says to be the newest record of the account. One that is, and that this store lacks, is of a later time of this
   * device, which lost it, or of one that took the account over: for good, unless this one is just taking it over itself.
   */
  meet(signed: SignedAccountRecord): Promise<void>
  /** It is taken over, and who had it before may not have been heard of. */
  readonly isClaimed: boolean
  /** A relay keeps the record, and the network was asked for one that it has to outrank. */
  held(): Promise<void>
  /** Takes the account over from the device that took it over from this one; changes nothing where none did. */
  takeBack(): Promise<void>
  /** Makes the tombstone: the account is given up. */
  end(): Promise<void>
  /** Makes another access key, committed with `writes`. */
  rotate(writes: readonly Write[]): Promise<void>
}

export async function loadAccount(deps: AccountDeps): Promise<Account> {
  const { store, committer, clock, random, signer, keys } = deps
  let signed = await ownRecords.get(store, [OWN])
  let standing = await standings.get(store, [OWN])
  let accessKey = (await accessKeys.get(store, [OWN])) ?? (await makeAccessKey())
  let devices = signed?.record.devices ?? []
  let since = signed?.record.since
  /** A record that the next one has to outrank. */
  let ahead: SignedAccountRecord | undefined
  const turns = createMutex()

  async function makeAccessKey(writes: readonly Write[] = []): Promise<string> {
    const key = encodeBase64(random.bytes(ACCESS_KEY_BYTES))
    await committer.submit({
      durability: 'strict',
      writes: () => [accessKeys.put([OWN], key), ...writes],
    })
    return key
  }

  const keep = async (next: SignedAccountRecord, writes: readonly Write[] = []): Promise<void> => {
    await committer.submit({
      durability: 'strict',
      writes: () => [ownRecords.put([OWN], next), ...writes],
    })
    signed = next
  }

  const sign = async (record: AccountRecord, writes: readonly Write[] = []): Promise<void> =>
    keep({ record, signature: encodeBase64(await signer.sign(accountRecords.bytes(record))) }, writes)

  /** Signed at `now`, it outranks all that is known. */
  const headOf = (now: number): Pick<AccountRecord, 'name' | 'sequence' | 'expires' | 'since'> => {
    const last = Math.max(signed?.record.sequence ?? 0, ahead?.record.sequence ?? 0)
    const head = {
      name: signer.name,
      sequence: Math.max(now, last + 1),
      expires: now + MAX_ACCOUNT_RECORD_MS,
    }
    return since === undefined ? head : { ...head, since }
  }

  const recordOf = async (mailboxes: readonly MailboxAddress[], now: number): Promise<AccountRecord> => {
    const key = await keys.current()
    const head = headOf(now)
    return { ...head, mailboxes, devices, sealingKeys: [{ ...key, expires: head.expires }] }
  }

  const claim = async (record: AccountRecord): Promise<void> => {
    await sign(record, [standings.put([OWN], 'claims')])
    standing = 'claims'
  }

  const isOver = (): boolean => signed?.record.tombstone !== undefined
  const isReplaced = (): boolean => typeof standing === 'object'
  /** This device speaks for the account, as far as it knows. */
  const speaks = (): boolean => devices.length > 0 && !isOver() && !isReplaced()

  const isDue = (record: AccountRecord, now: number): boolean => {
    if (signed === undefined || materialOf(signed.record) !== materialOf(record)) return true
    if (ahead !== undefined && !accountRecords.isNewer(signed.record, ahead.record)) return true
    return Math.abs(now + MAX_ACCOUNT_RECORD_MS - signed.record.expires) >= RECORD_RENEWAL_MS
  }

  const meet = async (known: SignedAccountRecord): Promise<void> => {
    const { record } = known
    // Also one that is over by now, or of a clock far ahead of this one, says who took the account over last.
    const isSound = accountRecords.check(known, record.expires - 1) === undefined
    if (record.name !== signer.name || !isSound) return
    if (!speaks() || known.signature === signed?.signature) return
    if (signed !== undefined && accountRecords.isNewer(signed.record, record)) return
    if (record.tombstone !== undefined) return keep(known)
    const own = new Set([...devices, ...(signed?.record.devices ?? [])])
    const isOwn = record.devices.some((device) => own.has(device))
    const theirs = record.since ?? 0
    if (isOwn || signed === undefined || standing === 'claims') {
      ahead = known
      since = Math.max(since ?? 0, isOwn ? theirs : theirs + 1)
      return
    }
    await committer.submit({ durability: 'strict', writes: () => [standings.put([OWN], known)] })
    standing = known
    deps.replaced()
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
        : encodeBase64(sha256(utf8ToBytes(accessKey + materialOf(signed.record))))
    },
    get isReplaced() {
      return isReplaced()
    },
    get isClaimed() {
      return standing === 'claims'
    },
    device(peerId) {
      devices = [peerId]
    },
    renew: (mailboxes) =>
      turns.run(async () => {
        if (!speaks()) return
        const now = clock.now()
        if (signed === undefined) since ??= now
        const record = await recordOf(mailboxes, now)
        if (isDue(record, now)) await (signed === undefined ? claim(record) : sign(record))
      }),
    meet: (known) => turns.run(() => meet(known)),
    held: () =>
      turns.run(async () => {
        if (standing !== 'claims') return
        await committer.submit({ durability: 'strict', writes: () => [standings.delete([OWN])] })
        standing = undefined
      }),
    takeBack: () =>
      turns.run(async () => {
        if (typeof standing !== 'object' || signed === undefined) return
        ahead = standing
        const now = clock.now()
        since = Math.max(now, (ahead.record.since ?? 0) + 1)
        await claim(await recordOf(signed.record.mailboxes, now))
      }),
    end: () =>
      turns.run(async () => {
        // The relays that have its mailbox are told by one of its devices.
        if (!speaks()) return
        await sign({ ...headOf(clock.now()), mailboxes: [], devices, sealingKeys: [], tombstone: 'dead' })
      }),
    async rotate(writes) {
      accessKey = await makeAccessKey(writes)
    },
  }
}

/** True for a store whose account another device took over. */
export async function wasReplaced(store: Store): Promise<boolean> {
  return typeof (await standings.get(store, [OWN])) === 'object'
}

/** What makes one record say something else than another. */
function materialOf({ mailboxes, devices, since, sealingKeys, tombstone }: AccountRecord): string {
  return canonicalJson({
    isOver: tombstone !== undefined,
    mailboxes: mailboxes.map(({ peerId, multiaddrs }) => ({ peerId, multiaddrs })),
    devices,
    since: since ?? 0,
    sealingKeys: sealingKeys.map(({ id }) => id),
  })
}

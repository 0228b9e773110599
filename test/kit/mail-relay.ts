/** A relay in memory that keeps mail, honestly or not, and a Sealer that answers at once. */
import { createHash } from 'node:crypto'
import type { JsonObject, ServerName, UserId } from '@plexus/core'
import { decodeBase64, encodeBase64 } from '@plexus/core'
import {
  accountRecords,
  shelfDevices,
  shelfRecords,
  type MailboxAddress,
  type SignedAccountRecord,
  type SignedShelf,
} from '@plexus/core/names'
import type {
  Clock,
  KeptMail,
  MailLane,
  MailRefusal,
  Mailboxes,
  SealedMail,
  Sealer,
  ShelfAnswer,
  ShelfCounts,
  ShelfKeys,
} from '@plexus/engine/ports'
import { CarrierError, MailError } from '@plexus/engine/ports'
import { MAIL_RETENTION_MS } from '@plexus/engine/testing'
import type { MailPolicy } from '@plexus/relay/mail-policy'
import { createSeededRandom } from './seeded-random.ts'

/** What a relay does to mail on its way out: it may drop, repeat, reorder or alter. The cursors that it tells are its own. */
export type Lie = (mails: readonly KeptMail[], end?: 'last') => readonly KeptMail[]

type KeptKeys = { oneTime: JsonObject[]; fallback: JsonObject | undefined; fallbackUsed: boolean }
type Shelf = { signed: SignedShelf; readonly keys: Map<string, KeptKeys> }
type Stored = KeptMail & { readonly hash: string; readonly until: number }
type Fill = { mails: number; bytes: number }
type Box = {
  record: SignedAccountRecord
  accessKeyHash: string
  mails: Stored[]
  readonly hashes: Set<string>
  readonly used: Record<MailLane, Fill>
  next: number
  readonly shelves: Map<UserId, Shelf>
}

/** Within which bounds mail is kept, and the time by which it expires. */
export type FakeRelaysInit = Pick<MailPolicy, 'quotas' | 'retentionMs'> & { readonly clock: Clock }

export interface FakeRelay {
  readonly peerId: string
  isUp: boolean
  /** Has no time for registrations. */
  isBusy: boolean
  /** The answer to each deposit, where it is refused. */
  refuse: ((mail: SealedMail) => MailRefusal | undefined) | undefined
  lie: Lie | undefined
  /** Milliseconds that it says to keep mail for. */
  retentionMs: number
  /** What is given for the answer about a shelf. */
  lieOfShelf: ((answer: ShelfAnswer) => ShelfAnswer) | undefined
  /** What is told an owner that fills a shelf. */
  lieOfCounts: ((counts: ShelfCounts) => ShelfCounts) | undefined
  /** Mail that waits for a name. */
  waiting(name: ServerName): readonly SealedMail[]
  /** The record by which it keeps the mail of a name. */
  recordOf(name: ServerName): SignedAccountRecord | undefined
  readonly deposits: readonly Pick<SealedMail, 'recipient' | 'lane'>[]
}

export interface FakeRelays {
  /** A new relay, which every node sees. */
  add(): FakeRelay
  /** The port of one process; `arrived` is called when mail comes for it, or a relay comes up. */
  mailboxes(name: ServerName, arrived: (relay: string) => void, hasEnded: () => boolean): Mailboxes
  /** What a look-up finds. */
  readonly published: Map<ServerName, SignedAccountRecord>
  /** The relay comes up or goes down; nodes that are there hear of it. */
  setUp(relay: FakeRelay, isUp: boolean): void
  /** The node is gone: it hears of nothing, and reaches no relay. */
  setOffline(name: ServerName, isOffline: boolean): void
}

type Kept = FakeRelay & {
  readonly boxes: Map<ServerName, Box>
  readonly deposits: Pick<SealedMail, 'recipient' | 'lane'>[]
}

function emptyBox(record: SignedAccountRecord, accessKeyHash: string): Box {
  const used = { keys: none(), events: none(), strangers: none() }
  return { record, accessKeyHash, mails: [], hashes: new Set(), used, next: 1, shelves: new Map() }
}
const none = (): Fill => ({ mails: 0, bytes: 0 })

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64url')
/** Base58 has neither zero nor l. */
const peerIdOf = (index: number): string => `12D3KooW${'Re1ay'.repeat(8)}${'123456789'[index] ?? 'x'}`

/** Without `init` they keep all mail for ever. */
export function createFakeRelays(init?: FakeRelaysInit): FakeRelays {
  const relays: Kept[] = []
  const listeners = new Map<ServerName, { arrived: (relay: string) => void; hasEnded: () => boolean }[]>()
  const offline = new Set<ServerName>()

  const boxOf = (relay: Kept, name: ServerName): Box => {
    const box = relay.boxes.get(name)
    if (box === undefined) throw new MailError('unknown-recipient')
    return box
  }
  const keepOnly = (box: Box, isKept: (mail: Stored) => boolean): void => {
    const gone = box.mails.filter((mail) => !isKept(mail))
    box.mails = box.mails.filter(isKept)
    for (const { hash, mail } of gone) {
      box.hashes.delete(hash)
      box.used[mail.lane].mails -= 1
      box.used[mail.lane].bytes -= mail.bytes.length
    }
  }
  const expire = (box: Box): void => {
    const now = init?.clock.now() ?? 0
    // The first expires first, as all are kept for as long.
    if ((box.mails[0]?.until ?? Infinity) <= now) keepOnly(box, ({ until }) => until > now)
  }
  const put = (box: Box, mail: SealedMail, hash: string): void => {
    const used = box.used[mail.lane]
    const quota = init?.quotas[mail.lane]
    const { length } = mail.bytes
    if (quota !== undefined && (used.mails + 1 > quota.mails || used.bytes + length > quota.bytes))
      throw new MailError('quota')
    const until = init === undefined ? Infinity : Math.min(mail.expires, init.clock.now() + init.retentionMs)
    box.mails.push({ cursor: box.next, mail, hash, until })
    box.hashes.add(hash)
    box.next += 1
    used.mails += 1
    used.bytes += length
  }
  const tell = (name: ServerName, peerId: string): void => {
    if (offline.has(name)) return
    const living = (listeners.get(name) ?? []).filter(({ hasEnded }) => !hasEnded())
    listeners.set(name, living)
    for (const { arrived } of living) arrived(peerId)
  }
  const addressOf = ({ peerId }: Kept): MailboxAddress => ({ peerId, multiaddrs: [`/memory/${peerId}`] })

  const checkDeposit = (relay: Kept, mail: SealedMail, accessKey: string | undefined): Box => {
    const refusal = relay.refuse?.(mail)
    if (refusal !== undefined) throw new MailError(refusal)
    const box = boxOf(relay, mail.recipient)
    if (!box.record.record.sealingKeys.some(({ id }) => id === mail.keyId))
      throw new MailError('old-key', box.record)
    const hash = createHash('sha256')
      .update(decodeBase64(accessKey ?? '') ?? new Uint8Array())
      .digest()
    const isContact = encodeBase64(new Uint8Array(hash)) === box.accessKeyHash
    if (mail.lane !== 'strangers' && !isContact) throw new MailError('bad-access')
    return box
  }

  return {
    add() {
      const relay: Kept = {
        peerId: peerIdOf(relays.length),
        isUp: true,
        isBusy: false,
        refuse: undefined,
        lie: undefined,
        retentionMs: init?.retentionMs ?? MAIL_RETENTION_MS,
        lieOfShelf: undefined,
        lieOfCounts: undefined,
        boxes: new Map(),
        deposits: [],
        recordOf: (name) => relay.boxes.get(name)?.record,
        waiting: (name) => (relay.boxes.get(name)?.mails ?? []).map(({ mail }) => mail),
      }
      relays.push(relay)
      return relay
    },
    mailboxes(name, arrived, hasEnded) {
      listeners.set(name, [...(listeners.get(name) ?? []), { arrived, hasEnded }])
      const reach = (peerId: string): Kept => {
        const relay = relays.find((each) => each.peerId === peerId)
        if (relay?.isUp !== true || offline.has(name) || hasEnded())
          throw new CarrierError('unreachable', 'the relay is away')
        return relay
      }
      /** The devices of the records by which this process registered. */
      const registered = new Map<string, readonly string[]>()
      const own = (peerId: string): Box => {
        const box = boxOf(reach(peerId), name)
        const devices = registered.get(peerId)
        if (devices === undefined) throw new MailError('not-allowed')
        if (!devices.some((device) => box.record.record.devices.includes(device)))
          throw new MailError('not-allowed', box.record)
        return box
      }
      return {
        relays: async () => (offline.has(name) ? [] : relays.filter(({ isUp }) => isUp).map(addressOf)),
        async register(peerId, { record, accessKeyHash }) {
          const { boxes, isBusy } = reach(peerId)
          const box = boxes.get(name)
          if (isBusy) throw new MailError('too-fast')
          if (box !== undefined && accountRecords.isNewer(box.record.record, record.record))
            throw new MailError('old-record', box.record)
          if (box === undefined) boxes.set(name, emptyBox(record, accessKeyHash))
          else Object.assign(box, { record, accessKeyHash })
          registered.set(peerId, record.record.devices)
        },
        async fetch(peerId, cursor, end) {
          const relay = reach(peerId)
          const box = own(peerId)
          expire(box)
          const after = box.mails.filter((mail) => mail.cursor > cursor)
          const found = end === 'last' ? after.slice(-10) : after.slice(0, 100)
          return relay.lie === undefined ? found : relay.lie(found, end)
        },
        async acknowledge(peerId, cursor) {
          const box = own(peerId)
          keepOnly(box, (mail) => mail.cursor > cursor)
        },
        async deposit({ peerId }, mail, accessKey) {
          const relay = reach(peerId)
          const box = checkDeposit(relay, mail, accessKey)
          const hash = hashOf(mail.bytes)
          expire(box)
          if (box.hashes.has(hash)) return relay.retentionMs
          put(box, mail, hash)
          relay.deposits.push({ recipient: mail.recipient, lane: mail.lane })
          tell(mail.recipient, peerId)
          return relay.retentionMs
        },
        async stock(peerId, shelf, keys) {
          const counts = putOnShelf(own(peerId).shelves, shelf, keys)
          return reach(peerId).lieOfCounts?.(counts) ?? counts
        },
        async ask({ peerId }, recipient, { user, devices }) {
          const relay = reach(peerId)
          const shelf = boxOf(relay, recipient).shelves.get(user)
          if (shelf === undefined) throw new MailError('unknown-recipient')
          const found = devices.flatMap((device) => {
            const key = takeKey(shelf.keys.get(device))
            return key === undefined ? [] : [[device, key] as const]
          })
          const answer = { shelf: shelf.signed, keys: Object.fromEntries(found) }
          return relay.lieOfShelf?.(answer) ?? answer
        },
      }
    },
    published: new Map(),
    setUp(relay, isUp) {
      relay.isUp = isUp
      if (isUp) for (const name of listeners.keys()) tell(name, relay.peerId)
    },
    setOffline(name, isOffline) {
      if (isOffline) offline.add(name)
      else offline.delete(name)
      if (!isOffline) for (const relay of relays) if (relay.isUp) tell(name, relay.peerId)
    },
  }
}

function putOnShelf(shelves: Map<UserId, Shelf>, signed: SignedShelf, keys: ShelfKeys): ShelfCounts {
  const { user } = signed.record
  const shelf = shelves.get(user) ?? { signed, keys: new Map<string, KeptKeys>() }
  if (shelfRecords.isNewer(shelf.signed.record, signed.record)) throw new MailError('old-record')
  shelf.signed = signed
  shelves.set(user, shelf)
  const devices = shelfDevices(signed.record)
  for (const device of shelf.keys.keys()) if (!devices.includes(device)) shelf.keys.delete(device)
  const counts = devices.map((device) => {
    const kept = shelf.keys.get(device) ?? { oneTime: [], fallback: undefined, fallbackUsed: false }
    const { add = [], fallback = kept.fallback } = keys[device] ?? {}
    const isSame = JSON.stringify(fallback) === JSON.stringify(kept.fallback)
    const next = {
      oneTime: [...kept.oneTime, ...add],
      fallback,
      fallbackUsed: isSame && kept.fallbackUsed,
    }
    shelf.keys.set(device, next)
    return [device, { left: next.oneTime.length, fallbackUsed: next.fallbackUsed }] as const
  })
  return Object.fromEntries(counts)
}

function takeKey(kept: KeptKeys | undefined): JsonObject | undefined {
  const key = kept?.oneTime.shift()
  if (key !== undefined || kept === undefined) return key
  kept.fallbackUsed = kept.fallback !== undefined
  return kept.fallback
}

/**
 * Seals nothing, but opens to the right key and label only, as HPKE does: for tests whose time stands still, where nothing may
 * wait for the platform.
 */
export function createQuickSealer(seed: number): Sealer {
  const random = createSeededRandom(seed)
  const tagOf = (publicKey: Uint8Array, info: Uint8Array, text: Uint8Array): Uint8Array =>
    new Uint8Array(createHash('sha256').update(publicKey).update(info).update(text).digest())
  return {
    makeKey: async () => {
      const privateKey = random.bytes(32)
      return { privateKey, publicKey: new Uint8Array(createHash('sha256').update(privateKey).digest()) }
    },
    // Chance makes two mails of one text differ, as HPKE's do.
    seal: async (publicKey, info, text) =>
      new Uint8Array([...random.bytes(16), ...tagOf(publicKey, info, text), ...text]),
    open: async ({ publicKey }, info, sealed) => {
      const text = sealed.subarray(48)
      const tag = tagOf(publicKey, info, text)
      return sealed.length >= 48 && tag.every((byte, index) => byte === sealed[16 + index]) ? text : undefined
    },
  }
}

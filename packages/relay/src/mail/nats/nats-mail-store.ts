/** The MailStore port on NATS JetStream: mailboxes that several relays share. */
import type { ServerName } from '@plexus/core'
import { StoreError, type KeptMail, type Log, type MailLane } from '@plexus/engine/ports'
import {
  NATS_DEADLINE_MS,
  NATS_MAIL_OVERHEAD_BYTES,
  NATS_MAX_MAILS,
  NATS_PARALLEL_REMOVALS,
  NATS_RETRY_MS,
  NATS_TOMBSTONE_MS,
} from '../../limits.ts'
import type { LaneQuota, MailStore, NewMail } from '../mail-store.ts'
import { joinCluster, type Cluster, type Message, type NatsInit } from './cluster.ts'
import { createDocuments, tokenOf, type Documents, type Outcomes } from './documents.ts'
import { follow, type Followed, type Follower } from './follower.ts'
import {
  createMailIndex,
  isLive,
  NOBODY,
  placeAfter,
  type IndexedBox,
  type IndexedMail,
  type MailIndex,
  type RecordLabel,
  type ShelfLabel,
} from './mail-index.ts'
import { createTurns, type Turns } from './turns.ts'

export type NatsDeps = {
  readonly log: Log
  /** Milliseconds since 1970, of which cursors begin. */
  readonly now: () => number
}

/**
 * Opens the mail in a NATS cluster, which any number of relays may have open. Invariants: every mail of the stream is
 * in the mailbox, whatever relay wrote it; one message follows another of its mailbox or nothing, so whoever writes knows all that
 * its quota counts; owners are given mail as far as the stream was followed, so that none comes before what they have.
 * @throws StoreError
 */
export async function openNatsMailStore(deps: NatsDeps, init: NatsInit): Promise<MailStore> {
  await using opened = new AsyncDisposableStack()
  const cluster = opened.use(await joinCluster(deps.log, init))
  const index = createMailIndex()
  const turns = createTurns()
  const arrivals = new Set<(name: ServerName) => void>()
  const arrived = (token: string): void => {
    const record = index.box(token)?.record
    if (isLive(record)) for (const tell of arrivals) tell(record.label.name as ServerName)
  }
  let isOpen = false
  /** By mailbox, the place up to which another relay did not come to remove what it noted as acknowledged. */
  const stale = new Map<string, number>()
  const acknowledged = (token: string, seq: number): void => {
    if (seq > 0 && !isOpen) stale.set(token, Math.max(seq, stale.get(token) ?? 0))
  }
  const outcomes: Outcomes = new Map()
  const took = { index, turns, outcomes, acknowledged, arrived }
  const boxes = opened.use(follow(deps.log, cluster, { stream: 'box', depth: 2, took: takeChange(took) }))
  const mails = opened.use(follow(deps.log, cluster, { stream: 'mail', depth: 2, took: takeMail(took) }))
  await mark(cluster, boxes, mails, deps.now())
  isOpen = true
  for (const [token, last] of stale) await cluster.purge('mail', `m.${token}.*`, last)
  const documents = createDocuments({ cluster, index, turns, boxes, outcomes, maxBytes: init.maxBytes })
  const running = opened.move()
  const parts = { cluster, index, turns, mails, documents, ...init }
  return {
    ...createStore(parts),
    get failure() {
      return cluster.failure
    },
    watch(tell) {
      arrivals.add(tell)
      return () => arrivals.delete(tell)
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** Writes the beginning of a run into both streams, and waits until all before it is known. */
async function mark(cluster: Cluster, boxes: Follower, mails: Follower, now: number): Promise<void> {
  const base = await cluster.write({ stream: 'mail', subject: 'base', label: { base: now * 1_000 } })
  const start = await cluster.write({ stream: 'box', subject: 'start', label: {} })
  if (base !== 'taken') await mails.reached(base)
  if (start !== 'taken') await boxes.reached(start)
}

type Took = {
  readonly index: MailIndex
  readonly turns: Turns
  readonly outcomes: Outcomes
  /** All devices have the mail up to a place, 0 for none. */
  readonly acknowledged: (token: string, seq: number) => void
  readonly arrived: (token: string) => void
}

/** What the message of a mail says of it. Labels are what relays wrote, which trust each other. */
type MailLabel = {
  readonly lane: MailLane
  readonly key: string
  /** What the mail is sealed with, and when it is removed. */
  readonly expires: number
  readonly until: number
  readonly size: number
  readonly hash: string
}

const indexed = (seq: number, { lane, size, until, hash }: MailLabel): IndexedMail => ({
  seq,
  lane,
  size,
  until,
  hash,
})

function takeMail({ index, turns, acknowledged, arrived }: Took): (message: Followed) => void {
  return ({ seq, subject: [kind, token = ''], label }) => {
    if (kind === 'base') index.raiseCursors(seq, Number(label['base']))
    if (kind !== 'm') return
    const outcome = index.addMail(token, indexed(seq, label as MailLabel))
    if (outcome === 'acknowledged') acknowledged(token, seq)
    turns.news(token)
    arrived(token)
  }
}

function takeChange({ index, turns, outcomes, acknowledged }: Took): (message: Followed) => void {
  return ({ seq, subject: [token = '', kind, ...rest], label }) => {
    const previous = Number(rest.at(-1))
    const told = (id: string, isNewest: boolean): void => {
      if (outcomes.has(id)) outcomes.set(id, isNewest)
    }
    if (kind === 'r') {
      const record = label as RecordLabel
      told(record.id, index.putRecord(token, previous, { seq, label: record }))
    }
    if (kind === 's') {
      // One of an older program counts no keys.
      const shelf: ShelfLabel = { keys: 0, ...(label as Omit<ShelfLabel, 'keys'>) }
      told(shelf.id, index.putShelf(token, rest[0] ?? '', previous, { seq, label: shelf }))
    }
    if (kind === 'a') index.acknowledge(token, rest[0] ?? '', Number(label['seq']))
    if (kind === 'r' || kind === 'a') acknowledged(token, index.removeAcknowledged(token))
    turns.news(token)
  }
}

type Parts = {
  readonly cluster: Cluster
  readonly index: MailIndex
  readonly turns: Turns
  readonly mails: Follower
  readonly documents: Documents
  readonly maxBytes: number
  readonly maxMails?: number
}

type Store = Omit<MailStore, 'failure' | 'watch' | keyof AsyncDisposable>

function createStore(parts: Parts): Store {
  const { index, documents } = parts
  const clear = async (token: string): Promise<void> => {
    const last = index.removeAcknowledged(token)
    if (last > 0) await parts.cluster.purge('mail', `m.${token}.*`, last)
  }
  return {
    mailbox: (name) => documents.mailbox(name),
    async register(mailbox, maxMailboxes) {
      const kept = await documents.register(mailbox, maxMailboxes)
      await clear(tokenOf(mailbox.record.record.name))
      return kept
    },
    deposit: (mail) => deposit(parts, mail),
    fetch: (name, cursor, bounds, end) => fetch(parts, tokenOf(name), { name, cursor, bounds, end }),
    async acknowledge(name, device, cursor) {
      const token = tokenOf(name)
      const box = index.box(token)
      if (box === undefined || !isLive(box.record) || !box.record.label.devices.includes(device)) return
      await settled(parts, box)
      const seq = placeAt(parts, box, cursor)
      if (seq <= (box.acknowledged.get(device) ?? 0)) return
      await noteAcknowledged(parts, token, { device, seq })
      await clear(token)
    },
    stock: (stock) => documents.stock(stock),
    shelf: (name, user) => documents.shelf(name, user),
    claim: (claim) => documents.claim(claim),
    expire: (now) => expire(parts, now),
    totals: () => Promise.resolve(index.totals()),
  }
}

async function noteAcknowledged(
  { cluster, index }: Parts,
  token: string,
  { device, seq }: { readonly device: string; readonly seq: number },
): Promise<void> {
  await cluster.write({ stream: 'box', subject: `${token}.a.${device}`, label: { seq } })
  index.acknowledge(token, device, seq)
}

function deposit(
  { cluster, index, turns, maxBytes, maxMails = NATS_MAX_MAILS }: Parts,
  { mail, hash, quota, until = mail.expires }: NewMail,
): ReturnType<MailStore['deposit']> {
  const token = tokenOf(mail.recipient)
  const { lane, keyId: key, expires, bytes } = mail
  const size = bytes.length
  const text = Buffer.from(hash).toString('base64url')
  const label: MailLabel = { lane, key, expires, until: Math.min(expires, until), size, hash: text }
  const attempt = async (): Promise<Awaited<ReturnType<MailStore['deposit']>> | undefined> => {
    const box = index.box(token)
    if (box === undefined || !isLive(box.record)) return 'unknown'
    if (box.has(text)) return 'known'
    const used = box.used[lane]
    const { mails, bytes: mailBytes } = index.totals()
    const total = mailBytes + index.shelfBytes
    const isFull = used.mails + 1 > quota.mails || used.bytes + size > quota.bytes
    if (isFull || mails >= maxMails || total + size + (mails + 1) * NATS_MAIL_OVERHEAD_BYTES > maxBytes)
      return 'quota'
    // Another relay that knows no more than this one takes the same place, and only one gets it.
    const subject = `m.${token}.${box.last}`
    const seq = await cluster.write({ stream: 'mail', subject, label, bytes, isFirst: true })
    if (seq === 'taken') return undefined
    index.addMail(token, indexed(seq, label))
    return 'kept'
  }
  return turns.inTurn(token, () => turns.until(token, attempt))
}

/** The mail of a mailbox that owners may have been given: what came with the stream. */
function given({ mails: { last } }: Parts, { mails }: IndexedBox): readonly IndexedMail[] {
  return mails.slice(0, placeAfter(mails, last))
}

/** What this relay wrote has come back with the stream, or was removed before it could. */
async function settled({ mails }: Parts, { last }: IndexedBox): Promise<void> {
  if (last > mails.last) await mails.reached(last, NATS_RETRY_MS)
}

/** The place of the last mail up to a cursor, 0 for none. What is not there yet is acknowledged by nobody. */
function placeAt(parts: Parts, box: IndexedBox, cursor: number): number {
  const { index, mails } = parts
  if (box.last <= mails.last && cursor >= index.cursorOf(box.last)) return box.last
  return given(parts, box).findLast(({ seq }) => index.cursorOf(seq) <= cursor)?.seq ?? 0
}

type Wanted = {
  readonly name: ServerName
  readonly cursor: number
  readonly bounds: LaneQuota
  readonly end: 'last' | undefined
}

async function fetch(
  parts: Parts,
  token: string,
  { name, cursor, bounds, end }: Wanted,
): Promise<readonly KeptMail[]> {
  const { cluster, index } = parts
  const deadline = performance.now() + NATS_DEADLINE_MS
  for (let missed = 0; ;) {
    const box = index.box(token)
    if (box === undefined || !isLive(box.record)) return []
    await settled(parts, box)
    const after = given(parts, box).filter(({ seq }) => index.cursorOf(seq) > cursor)
    const wanted = end === 'last' ? within(after.toReversed(), bounds).toReversed() : within(after, bounds)
    const messages = await Promise.all(wanted.map(({ seq }) => cluster.read('mail', seq)))
    // What follows one that is not here yet would be taken for all that there is.
    const missing = messages.indexOf('later')
    const here = missing < 0 ? messages : messages.slice(0, missing)
    for (const [n, message] of here.entries())
      if (message === 'gone') index.removeMail(token, wanted[n]?.seq ?? 0)
    const found = here.filter((message) => typeof message === 'object')
    if (found.length > 0 || wanted.length === 0)
      return found.map((message) => ({ cursor: index.cursorOf(message.seq), mail: mailIn(name, message) }))
    if (missing !== 0) continue
    if (performance.now() > deadline)
      throw new StoreError('failed', 'the NATS cluster does not give what it has')
    missed += 1
    // It may have been the last, and removed: whoever has what comes after it knows.
    if (missed === MISSES_BEFORE_MARK)
      await cluster.write({ stream: 'mail', subject: 'base', label: { base: 0 } })
    await pause()
  }
}

/** Attempts at a mail that is not there, after which something is written behind it. */
const MISSES_BEFORE_MARK = 2

function within(mails: readonly IndexedMail[], bounds: LaneQuota): readonly IndexedMail[] {
  let left = bounds.bytes
  const end = mails.findIndex(({ size }, n) => {
    left -= size
    return n >= bounds.mails || (n > 0 && left < 0)
  })
  return end < 0 ? mails : mails.slice(0, end)
}

function mailIn(recipient: ServerName, { label, bytes }: Message): KeptMail['mail'] {
  const { lane, key, expires } = label as MailLabel
  return { recipient, lane, keyId: key, expires, bytes }
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, NATS_RETRY_MS))

/** Every relay removes what expired by its own clock. */
async function expire(parts: Parts, now: number): Promise<void> {
  const { cluster, index, documents } = parts
  for (const box of index.boxes()) {
    const { token } = box
    const expired = box.mails.filter(({ until }) => until <= now)
    // Else a relay that starts after this does not know where the next mail comes.
    if (expired.length > 0 && expired.at(-1) === box.mails.at(-1))
      await noteAcknowledged(parts, token, { device: NOBODY, seq: box.last })
    for (let at = 0; at < expired.length; at += NATS_PARALLEL_REMOVALS) {
      const some = expired.slice(at, at + NATS_PARALLEL_REMOVALS)
      await Promise.all(some.map(({ seq }) => cluster.remove('mail', seq)))
      for (const { seq } of some) index.removeMail(token, seq)
    }
    if (box.mails.length > 0) continue
    if (isLive(box.record)) {
      if (box.record.label.expires <= now) await documents.end(box, now)
    } else if (box.record === undefined) index.forget(token)
    else if ('gone' in box.record.label && box.record.label.gone + NATS_TOMBSTONE_MS <= now) {
      await cluster.purge('box', `${token}.>`, box.record.seq)
      index.forget(token)
    }
  }
}

/** Records and key shelves in a NATS cluster: documents of which each version names the one that it takes the place of. */
import { createHash, randomUUID } from 'node:crypto'
import type { JsonObject, JsonValue, ServerName, UserId } from '@plexus/core'
import { accountRecords, type SignedShelf } from '@plexus/core/names'
import { StoreError, type ShelfCounts } from '@plexus/engine/ports'
import { MAX_MAIL_BYTES } from '@plexus/p2p/wire'
import { MAX_CACHED_MAILBOXES, NATS_DEADLINE_MS } from '../../limits.ts'
import { addedKeys, type Mailbox, type NewStock, type ShelfClaim } from '../mail-store.ts'
import type { Cluster, Message } from './cluster.ts'
import type { Follower } from './follower.ts'
import {
  isLive,
  leftOut,
  type Document,
  type IndexedBox,
  type MailIndex,
  type RecordLabel,
  type ShelfLabel,
} from './mail-index.ts'
import {
  claimed,
  countsOf,
  decodeDocument,
  encodeDocument,
  oneTimeKeys,
  stocked,
  type ShelfDocument,
} from './shelf-document.ts'
import type { Turns } from './turns.ts'

/** By the ids of versions that were written here: whether they follow the newest, once the stream told so. */
export type Outcomes = Map<string, boolean | undefined>

export type DocumentsDeps = {
  readonly cluster: Cluster
  readonly index: MailIndex
  readonly turns: Turns
  /** What follows the documents' stream. */
  readonly boxes: Follower
  readonly outcomes: Outcomes
  /** Of mail and shelves, at which shelves are refused. */
  readonly maxBytes: number
}

/** As the port says, but for what becomes of mail. */
export interface Documents {
  mailbox(name: ServerName): Promise<Mailbox | undefined>
  /** Of several relays that make one at the same time each may make one too many. */
  register(mailbox: Mailbox, maxMailboxes: number): Promise<Mailbox | undefined>
  /** Ends a mailbox, unless it is used again meanwhile. */
  end(box: IndexedBox, now: number): Promise<void>
  stock(stock: NewStock): Promise<ShelfCounts | 'old' | 'quota' | 'unknown'>
  shelf(name: ServerName, user: UserId): Promise<SignedShelf | undefined>
  claim(claim: ShelfClaim): Promise<JsonObject | undefined>
}

/** What a name or user id is called in subjects, in which not all characters may be. */
export const tokenOf = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** Where a document is. */
type Place<Label> = {
  readonly token: string
  readonly subject: string
  newest(): Document<Label> | undefined
}

/** `again`: the version that it was made of is the newest no more. */
type Next<Label, Answer> =
  | { readonly label: Label; readonly bytes: Uint8Array; readonly answer: Answer }
  | { readonly answer: Answer }
  | 'again'

export function createDocuments(deps: DocumentsDeps): Documents {
  const { cluster, index, turns, boxes, outcomes, maxBytes } = deps
  /** Mailboxes by the place of their record, the most lately used. */
  const cached = new Map<number, Mailbox>()

  const recordAt = (token: string): Place<RecordLabel> => ({
    token,
    subject: `${token}.r`,
    newest: () => index.box(token)?.record,
  })

  const shelfAt = (token: string, user: UserId): Place<ShelfLabel> => {
    const name = tokenOf(user)
    return {
      token,
      subject: `${token}.s.${name}`,
      newest: () => index.box(token)?.shelves.get(name),
    }
  }

  /**
   * Puts what `make` makes of the newest version in its place. `make` is asked again when another relay was first. What was written
   * counts once it came back with the stream: a relay that lags may write where an older version was removed.
   */
  async function change<Label extends object, Answer>(
    place: Place<Label>,
    make: (newest: Document<Label> | undefined, id: string) => Promise<Next<Label, Answer>>,
  ): Promise<Answer> {
    const { token, subject } = place
    const id = randomUUID()
    let written: { readonly answer: Answer } | undefined
    const attempt = async (): Promise<{ readonly answer: Answer } | undefined> => {
      // The answer to an earlier attempt was lost.
      if (written !== undefined && outcomes.get(id) === true) return written
      outcomes.set(id, undefined)
      const before = place.newest()
      const next = await make(before, id)
      if (next === 'again') return undefined
      if (!('label' in next)) return next
      written = next
      const previous = before?.seq ?? 0
      const message = { stream: 'box', subject: `${subject}.${previous}`, isFirst: true } as const
      const seq = await cluster.write({ ...message, label: next.label as JsonObject, bytes: next.bytes })
      if (seq === 'taken') return undefined
      await boxes.reached(seq, NATS_DEADLINE_MS)
      const outcome = outcomes.get(id)
      if (outcome === undefined)
        throw new StoreError(
          'failed',
          'it did not come back, or another relay removed it before it was known here',
        )
      if (!outcome) {
        await cluster.remove('box', seq)
        return undefined
      }
      // The one before stays: who lags by one finds its place taken.
      if (previous > 0) await cluster.purge('box', `${subject}.*`, previous - 1)
      return next
    }
    try {
      return await turns.inTurn(token, async () => (await turns.until(token, attempt)).answer)
    } finally {
      outcomes.delete(id)
    }
  }

  /** `undefined`: it is the newest version no more, or this is not known everywhere yet. */
  async function read({ seq }: Document<unknown>): Promise<Message | undefined> {
    const message = await cluster.read('box', seq)
    return typeof message === 'string' ? undefined : message
  }

  async function mailboxIn(record: Document<RecordLabel>): Promise<Mailbox | undefined> {
    const known = cached.get(record.seq)
    if (known !== undefined) return known
    const message = await read(record)
    if (message === undefined) return undefined
    const mailbox = decodeMailbox(message.bytes)
    cached.set(record.seq, mailbox)
    const [oldest] = cached.keys()
    if (oldest !== undefined && cached.size > MAX_CACHED_MAILBOXES) cached.delete(oldest)
    return mailbox
  }

  async function shelfIn(document: Document<unknown>): Promise<ShelfDocument | undefined> {
    const message = await read(document)
    return message === undefined ? undefined : decodeDocument(message.bytes)
  }

  async function register(mailbox: Mailbox, maxMailboxes: number): Promise<Mailbox | undefined> {
    const { record } = mailbox.record
    const { name, devices, expires } = record
    const token = tokenOf(name)
    let dropped: readonly string[] = []
    const place = recordAt(token)
    const kept = await change<RecordLabel, Mailbox | undefined>(place, async (newest, id) => {
      if (isLive(newest)) {
        const known = await mailboxIn(newest)
        if (known === undefined) return 'again'
        const isSame = known.record.signature === mailbox.record.signature
        if (!isSame && !accountRecords.isNewer(record, known.record.record)) return { answer: known }
        if (isSame && Buffer.compare(known.accessKeyHash, mailbox.accessKeyHash) === 0)
          return { answer: known }
      } else if (index.totals().mailboxes >= maxMailboxes) return { answer: undefined }
      dropped = leftOut(index.box(token), devices)
      return { label: { name, devices, expires, id }, bytes: encodeMailbox(mailbox), answer: mailbox }
    })
    const seq = place.newest()?.seq ?? 0
    for (const device of dropped) await cluster.purge('box', `${token}.a.${device}`, seq)
    return kept
  }

  const hasMailbox = (name: ServerName): boolean => isLive(index.box(tokenOf(name))?.record)

  return {
    mailbox(name) {
      const token = tokenOf(name)
      return turns
        .until(token, async () => {
          const record = index.box(token)?.record
          if (!isLive(record)) return { mailbox: undefined }
          const mailbox = await mailboxIn(record)
          return mailbox && { mailbox }
        })
        .then(({ mailbox }) => mailbox)
    },
    register,
    async end({ token, record }, now) {
      if (record === undefined) return
      const place = recordAt(token)
      await change<RecordLabel, undefined>(place, async (newest, id) => {
        if (newest?.seq !== record.seq) return { answer: undefined }
        return { label: { gone: now, id }, bytes: new Uint8Array(0), answer: undefined }
      })
      const newest = place.newest()
      if (newest === undefined || isLive(newest)) return
      for (const kind of ['s', 'a']) await cluster.purge('box', `${token}.${kind}.>`, newest.seq)
    },
    async stock({ name, shelf, keys, maxShelves, maxKeys }) {
      if (!hasMailbox(name)) return 'unknown'
      const token = tokenOf(name)
      return change<ShelfLabel, ShelfCounts | 'old' | 'quota'>(
        shelfAt(token, shelf.record.user),
        async (newest, id) => {
          if (newest === undefined && (index.box(token)?.shelves.size ?? 0) >= maxShelves)
            return { answer: 'quota' }
          const fresh = addedKeys(keys)
          if (fresh > 0 && keysAt(index.box(token)) + fresh > maxKeys) return { answer: 'quota' }
          const before = newest && (await shelfIn(newest))
          if (newest !== undefined && before === undefined) return 'again'
          const document = stocked(before, shelf, keys)
          if (document === 'old') return { answer: 'old' }
          const bytes = encodeDocument(document)
          const size = bytes.length
          const used = index.totals().bytes + index.shelfBytes - (newest?.label.size ?? 0)
          if (size > MAX_MAIL_BYTES || used + size > maxBytes) return { answer: 'quota' }
          return { label: { id, size, keys: oneTimeKeys(document) }, bytes, answer: countsOf(document) }
        },
      )
    },
    shelf(name, user) {
      const place = shelfAt(tokenOf(name), user)
      return turns
        .until(place.token, async () => {
          const newest = place.newest()
          if (newest === undefined) return { shelf: undefined }
          const document = await shelfIn(newest)
          return document && { shelf: document.shelf }
        })
        .then(({ shelf }) => shelf)
    },
    claim({ name, user, device, mayTake }) {
      return change(shelfAt(tokenOf(name), user), async (newest, id) => {
        if (newest === undefined) return { answer: undefined }
        const document = await shelfIn(newest)
        if (document === undefined) return 'again'
        const taken = claimed(document, device, mayTake)
        if (taken === undefined || taken.document === document) return { answer: taken?.key }
        const bytes = encodeDocument(taken.document)
        const label = { id, size: bytes.length, keys: oneTimeKeys(taken.document) }
        return { label, bytes, answer: taken.key }
      })
    },
  }
}

/** One-time keys that all users of a name have. */
function keysAt(box: IndexedBox | undefined): number {
  return [...(box?.shelves.values() ?? [])].reduce((sum, { label }) => sum + label.keys, 0)
}

function encodeMailbox({ record, accessKeyHash }: Mailbox): Uint8Array {
  const access = Buffer.from(accessKeyHash).toString('base64')
  return new TextEncoder().encode(JSON.stringify({ record: accountRecords.json(record), access }))
}

/** @throws StoreError */
function decodeMailbox(bytes: Uint8Array): Mailbox {
  const { record: json, access } = JSON.parse(new TextDecoder().decode(bytes)) as {
    record: JsonValue
    access: string
  }
  const record = accountRecords.parse(json)
  if (record === undefined) throw new StoreError('failed', 'a record of a mailbox is damaged')
  return { record, accessKeyHash: new Uint8Array(Buffer.from(access, 'base64')) }
}

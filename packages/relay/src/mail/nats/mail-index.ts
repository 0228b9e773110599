/** What a relay knows of the mailboxes in a NATS cluster: all but the bytes, as the streams told it so far. */
import type { MailLane } from '@plexus/engine/ports'
import type { MailTotals } from '../mail-store.ts'

/** A mail without its bytes. `until`: when it is removed. */
export type IndexedMail = {
  readonly seq: number
  readonly lane: MailLane
  readonly size: number
  readonly until: number
  readonly hash: string
}

/**
 * The newest version of a document: the message that it is in, and what that says of itself. A version names the one before it,
 * and of those that name the same one only the first counts.
 */
export type Document<Label> = { readonly seq: number; readonly label: Label }

/** Of a mailbox's record. `gone`: the mailbox is no more, since then. */
export type RecordLabel =
  | {
      readonly name: string
      readonly devices: readonly string[]
      readonly expires: number
      readonly id: string
    }
  | { readonly gone: number; readonly id: string }

/** `size`: bytes of the document. `keys`: one-time keys in it. */
export type ShelfLabel = { readonly id: string; readonly size: number; readonly keys: number }

export type IndexedBox = {
  readonly token: string
  readonly record: Document<RecordLabel> | undefined
  /** By the tokens of users. */
  readonly shelves: ReadonlyMap<string, Document<ShelfLabel>>
  /** The last mail that each device has. */
  readonly acknowledged: ReadonlyMap<string, number>
  /** In order. */
  readonly mails: readonly IndexedMail[]
  readonly used: Readonly<Record<MailLane, { readonly mails: number; readonly bytes: number }>>
  /** The highest place of a mail that this mailbox ever had. */
  readonly last: number
  has(hash: string): boolean
}

/** Stands for no device: what of the mails that expired had the highest place. */
export const NOBODY = '-'

/** Pure memory. All changes may come again. Places are of the stream `mail` for mail, of `box` for documents. */
export interface MailIndex {
  box(token: string): IndexedBox | undefined
  boxes(): Iterable<IndexedBox>
  totals(): MailTotals
  /** Bytes of the newest shelves. */
  readonly shelfBytes: number
  /** The cursor of a mail: places, raised by what time it was when relays started, so that an old copy of the streams gives none twice. */
  cursorOf(seq: number): number
  raiseCursors(seq: number, base: number): void
  /** `acknowledged`: all devices have it. */
  addMail(token: string, mail: IndexedMail): 'added' | 'known' | 'acknowledged'
  removeMail(token: string, seq: number): void
  /** False for a version that does not follow the newest. What devices have that the record leaves out is forgotten. */
  putRecord(token: string, previous: number, record: Document<RecordLabel>): boolean
  putShelf(token: string, user: string, previous: number, shelf: Document<ShelfLabel>): boolean
  /** A device has all mail up to a place. */
  acknowledge(token: string, device: string, seq: number): void
  /** Removes mail that all devices of the record have; answers the place of the last, 0 for none. */
  removeAcknowledged(token: string): number
  forget(token: string): void
}

type Box = IndexedBox & {
  record: Document<RecordLabel> | undefined
  readonly shelves: Map<string, Document<ShelfLabel>>
  readonly acknowledged: Map<string, number>
  readonly mails: IndexedMail[]
  readonly hashes: Set<string>
  readonly used: Record<MailLane, { mails: number; bytes: number }>
  last: number
  /** All devices have what is up to here. */
  removed: number
}

export const isLive = (
  record: Document<RecordLabel> | undefined,
): record is Document<Exclude<RecordLabel, { gone: number }>> =>
  record !== undefined && !('gone' in record.label)

/** The devices that a mailbox knows of and these are not. */
export function leftOut(box: IndexedBox | undefined, devices: readonly string[]): readonly string[] {
  const known = [...(box?.acknowledged.keys() ?? [])]
  return known.filter((device) => device !== NOBODY && !devices.includes(device))
}

export function createMailIndex(): MailIndex {
  const boxes = new Map<string, Box>()
  const bases: { readonly seq: number; readonly base: number }[] = []
  const totals = { mailboxes: 0, mails: 0, bytes: 0 }
  let shelfBytes = 0

  function boxOf(token: string): Box {
    const box = boxes.get(token) ?? createBox(token)
    boxes.set(token, box)
    return box
  }

  function count(box: Box, { lane, size }: IndexedMail, sign: 1 | -1): void {
    for (const sum of [box.used[lane], totals]) {
      sum.mails += sign
      sum.bytes += sign * size
    }
  }

  function take(box: Box, from: number, howMany: number): void {
    for (const mail of box.mails.splice(from, howMany)) {
      box.hashes.delete(mail.hash)
      count(box, mail, -1)
    }
  }

  function clearShelves({ shelves }: Box): void {
    for (const { label } of shelves.values()) shelfBytes -= label.size
    shelves.clear()
  }

  return {
    box: (token) => boxes.get(token),
    boxes: () => boxes.values(),
    totals: () => ({ ...totals }),
    get shelfBytes() {
      return shelfBytes
    },
    cursorOf: (seq) => seq + (bases.findLast((each) => each.seq <= seq)?.base ?? 0),
    raiseCursors(seq, base) {
      const before = bases.at(-1) ?? { seq: 0, base: 0 }
      if (seq > before.seq) bases.push({ seq, base: Math.max(before.base, base) })
    },
    addMail(token, mail) {
      const box = boxOf(token)
      const at = placeAfter(box.mails, mail.seq)
      if (mail.seq <= box.removed) return 'acknowledged'
      if (box.mails[at - 1]?.seq === mail.seq) return 'known'
      box.mails.splice(at, 0, mail)
      box.hashes.add(mail.hash)
      box.last = Math.max(box.last, mail.seq)
      count(box, mail, 1)
      return 'added'
    },
    removeMail(token, seq) {
      const box = boxOf(token)
      const at = placeAfter(box.mails, seq) - 1
      if (box.mails[at]?.seq === seq) take(box, at, 1)
    },
    putRecord(token, previous, record) {
      const box = boxOf(token)
      const before = isLive(box.record)
      // Where a mailbox was removed another may begin from nothing.
      if (previous < (box.record?.seq ?? 0) && !(previous === 0 && !before)) return false
      box.record = record
      totals.mailboxes += Number(isLive(record)) - Number(before)
      if (isLive(record)) {
        for (const device of leftOut(box, record.label.devices)) box.acknowledged.delete(device)
        return true
      }
      clearShelves(box)
      box.acknowledged.clear()
      if (box.mails.length === 0) box.last = 0
      return true
    },
    putShelf(token, user, previous, shelf) {
      const { shelves } = boxOf(token)
      const before = shelves.get(user)
      if (previous < (before?.seq ?? 0)) return false
      shelfBytes += shelf.label.size - (before?.label.size ?? 0)
      shelves.set(user, shelf)
      return true
    },
    acknowledge(token, device, seq) {
      const box = boxOf(token)
      box.acknowledged.set(device, Math.max(seq, box.acknowledged.get(device) ?? 0))
      box.last = Math.max(box.last, seq)
    },
    removeAcknowledged(token) {
      const box = boxOf(token)
      if (!isLive(box.record) || box.record.label.devices.length === 0) return 0
      const all = box.record.label.devices.map((device) => box.acknowledged.get(device) ?? 0)
      box.removed = Math.max(box.removed, Math.min(...all))
      const end = placeAfter(box.mails, box.removed)
      const last = box.mails[end - 1]?.seq ?? 0
      take(box, 0, end)
      return last
    },
    forget(token) {
      clearShelves(boxOf(token))
      boxes.delete(token)
    },
  }
}

function createBox(token: string): Box {
  const none = (): { mails: number; bytes: number } => ({ mails: 0, bytes: 0 })
  const hashes = new Set<string>()
  return {
    token,
    record: undefined,
    shelves: new Map(),
    acknowledged: new Map(),
    mails: [],
    hashes,
    used: { keys: none(), events: none(), strangers: none() },
    last: 0,
    removed: 0,
    has: (hash) => hashes.has(hash),
  }
}

/** How many of the mails, which are in order, come no later than a place. */
export function placeAfter(mails: readonly IndexedMail[], seq: number): number {
  let [low, high] = [0, mails.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((mails[middle]?.seq ?? 0) <= seq) low = middle + 1
    else high = middle
  }
  return low
}

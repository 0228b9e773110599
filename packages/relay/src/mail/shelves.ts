/** Key shelves: what an owner puts there, and what others may ask for. DESIGN section 8 */
import type { JsonObject, ServerName } from '@plexus/core'
import { MAX_SHELF_KEYS_OF_NAME, shelfDevices, shelfRecords } from '@plexus/core/names'
import type { Clock, ShelfAnswer, ShelfCounts } from '@plexus/engine/ports'
import {
  decodeShelfQuestion,
  decodeStock,
  encodeShelfAnswer,
  MAX_FRAME_BODY,
  MAX_SHELF_KEY_BYTES,
  type MailboxRefusal,
} from '@plexus/p2p/wire'
import { CLAIM_COST, MAX_SHELVES } from '../limits.ts'
import type { MailStore } from './mail-store.ts'
import type { Source } from './sources.ts'

export type ShelvesDeps = { readonly clock: Clock; readonly store: MailStore }

/** An answer, or why there is none. */
type Outcome<Answer> = Promise<{ readonly answer: Answer } | MailboxRefusal>

/** @throws StoreError */
export interface ShelfService {
  /** For a device of `name`. */
  stock(name: ServerName, body: Uint8Array): Outcome<ShelfCounts>
  /** For anybody; one-time keys as far as the source may take any. */
  ask(source: Pick<Source, 'claims' | 'rate'>, body: Uint8Array): Outcome<ShelfAnswer>
}

export function createShelfService({ clock, store }: ShelvesDeps): ShelfService {
  return {
    async stock(name, body) {
      const stock = decodeStock(body)
      if (stock === undefined) return { code: 'nonsense' }
      const isOwn = stock.shelf.record.name === name
      if (!isOwn || shelfRecords.check(stock.shelf, clock.now()) !== undefined) return { code: 'not-allowed' }
      const left = await store.stock({
        name,
        ...stock,
        maxShelves: MAX_SHELVES,
        maxKeys: MAX_SHELF_KEYS_OF_NAME,
      })
      if (typeof left === 'object') return { answer: left }
      if (left === 'old') return { code: 'old-record' }
      return { code: left === 'quota' ? 'quota' : 'unknown-recipient' }
    },
    async ask({ claims, rate }, body) {
      const question = decodeShelfQuestion(body)
      if (question === undefined) return { code: 'nonsense' }
      const { recipient: name, user, devices } = question
      const mailbox = await store.mailbox(name)
      const shelf = await store.shelf(name, user)
      const isGone = mailbox === undefined || mailbox.record.record.tombstone !== undefined
      if (isGone || shelf === undefined || shelf.record.expires <= clock.now())
        return { code: 'unknown-recipient' }
      const wanted = shelfDevices(shelf.record).filter((device) => devices.includes(device))
      if (!rate.take(wanted.length * CLAIM_COST)) return { code: 'too-fast' }
      const keys: [string, JsonObject][] = []
      let room = MAX_FRAME_BODY - encodeShelfAnswer({ shelf, keys: {} }).length
      for (const device of wanted) {
        // A key that is taken and does not fit would be nobody's: what is left out can be asked for again.
        if (room < entryBytes(device) + MAX_SHELF_KEY_BYTES) break
        const key = await store.claim({ name, user, device, mayTake: claims.take() })
        if (key === undefined) continue
        keys.push([device, key])
        room -= entryBytes(device) + Buffer.byteLength(JSON.stringify(key))
      }
      return { answer: { shelf, keys: Object.fromEntries(keys) } }
    },
  }
}

/** Bytes of a device's entry in an answer, but for the key. */
function entryBytes(device: string): number {
  return Buffer.byteLength(`${JSON.stringify(device)}:,`)
}

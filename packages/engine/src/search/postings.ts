/** Which events have which words. */
import type { EventId, RoomId } from '@plexus/core'
import { table, type Table } from '../kernel/table.ts'
import type { Write } from '../ports.ts'
import type { EventRecord } from '../rooms/types.ts'
import { searchableText, termsOf, type SearchKey } from './terms.ts'

type PostingKey = readonly [room: string, term: string, ts: number, position: number, EventId]

/** One word in one event: `count` times among `of` words. */
export type Posting = {
  readonly key: SearchKey
  readonly count: number
  readonly of: number
}

/**
 * By room, word, time that the event says of itself, position of its arrival, event. The room comes first, so that what
 * is said in one hides nothing of another.
 */
export const postings: Table<PostingKey, Posting> = table('search-word', ['s', 's', 'n', 'n', 's'])
/** The orders between which a room's events are in the index. */
export const indexed: Table<readonly [RoomId], { readonly low: number; readonly high: number }> = table(
  'search-span',
  ['s'],
)

/** Times that can stand in a key; a time outside of them is set to the nearest. */
const MAX_TIME = 2 ** 51

export function postingWrites(record: EventRecord): readonly Write[] {
  return entriesOf(record).map(([key, posting]) => postings.put(key, posting))
}

/** Takes an event, as it was before its redaction, out of the index. */
export function forgetWrites(record: EventRecord): readonly Write[] {
  return entriesOf(record).map(([key]) => postings.delete(key))
}

function entriesOf({ id, roomId, position, pdu }: EventRecord): readonly (readonly [PostingKey, Posting])[] {
  const found = searchableText(pdu)
  if (found === undefined) return []
  const [key, text] = found
  const terms = termsOf(text)
  const of = [...terms.values()].reduce((sum, count) => sum + count, 0)
  const ts = Math.max(-MAX_TIME, Math.min(MAX_TIME, pdu.origin_server_ts))
  return [...terms].map(([term, count]) => [[roomId, term, ts, position, id], { key, count, of }] as const)
}

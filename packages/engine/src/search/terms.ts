/** The words of an event, as they are looked for. spec: client-server-api/modules/search.md "room_events" */
import { isJsonObject, ownValue } from '@plexus/core'
import type { JsonValue, Pdu } from '@plexus/core'

export type SearchKey = 'content.body' | 'content.name' | 'content.topic'
export const SEARCH_KEYS: readonly SearchKey[] = ['content.body', 'content.name', 'content.topic']

/** Distinct words of one event; further ones cannot be found. */
export const MAX_TERMS = 300
/** Pieces of one text that are looked at, words or not: taking texts apart is slow. */
export const MAX_PIECES = 2_000
/** Of one word, in UTF-16 code units; longer ones are cut. */
export const MAX_TERM_LENGTH = 40
/** Of a text that is looked at, in UTF-16 code units. */
export const MAX_INDEXED_TEXT = 16_384

/** Finds words in every script, also where no space is between them; the rules of all locales are one here. */
const segmenter = new Intl.Segmenter('en', { granularity: 'word' })

/** What of an event can be searched. A redacted or encrypted event has none. */
export function searchableText({ type, content }: Pdu): readonly [SearchKey, string] | undefined {
  const of = (key: SearchKey, ...texts: readonly (JsonValue | undefined)[]) => {
    const text = texts.filter((part) => typeof part === 'string').join('\n')
    return text === '' ? undefined : ([key, text] as const)
  }
  if (type === 'm.room.message') return of('content.body', ownValue(content, 'body'))
  if (type === 'm.room.name') return of('content.name', ownValue(content, 'name'))
  if (type === 'm.room.topic')
    return of('content.topic', ownValue(content, 'topic'), plainText(ownValue(content, 'm.topic')))
  return undefined
}

/** How often each word is in a text: without differences of case and of width, cut to the bounds. */
export function termsOf(text: string): ReadonlyMap<string, number> {
  const terms = new Map<string, number>()
  let left = MAX_PIECES
  for (const word of wordsOf(text.slice(0, MAX_INDEXED_TEXT))) {
    if (left <= 0) break
    left -= 1
    if (word === undefined) continue
    const term = word.normalize('NFKC').toLowerCase().slice(0, MAX_TERM_LENGTH)
    if (terms.size >= MAX_TERMS && !terms.has(term)) continue
    terms.set(term, (terms.get(term) ?? 0) + 1)
  }
  return terms
}

/** A word of letters and digits of ASCII, in punctuation that belongs to no word. */
const PLAIN = /^[!-/:-@[-^`{-~]*([A-Za-z0-9]+)[!-/:-@[-^`{-~]*$/

/** Words, and `undefined` for what is between. The segmenter says the same of plain words, but takes a hundred times as long. */
function* wordsOf(text: string): Generator<string | undefined> {
  for (const [chunk] of text.matchAll(/\S+/gu)) {
    const plain = PLAIN.exec(chunk)?.[1]
    if (plain === undefined)
      for (const { segment, isWordLike } of segmenter.segment(chunk))
        yield isWordLike === true ? segment : undefined
    else yield plain
  }
}

/** The `text/plain` representation of an `m.topic` block. */
function plainText(block: JsonValue | undefined): JsonValue | undefined {
  const texts = isJsonObject(block) ? ownValue(block, 'm.text') : undefined
  if (!Array.isArray(texts)) return undefined
  const plain = (texts as readonly JsonValue[]).find(
    (text) => isJsonObject(text) && (ownValue(text, 'mimetype') ?? 'text/plain') === 'text/plain',
  )
  return isJsonObject(plain) ? ownValue(plain, 'body') : undefined
}

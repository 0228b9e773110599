/** A map of strings in key order. Keys stand in sorted chunks, so that an insertion moves at most one chunk. */
import type { Entry } from './physical.ts'

export interface SortedMap {
  get(key: string): string | undefined
  set(key: string, value: string): void
  delete(key: string): void
  /** Entries with `lo <= key < hi`, at most `limit`, from the top when `reverse`. */
  range(lo: string, hi: string, limit: number | undefined, reverse: boolean): Entry[]
}

const MAX_CHUNK = 512

export function createSortedMap(): SortedMap {
  const values = new Map<string, string>()
  const chunks: string[][] = [[]]

  /** The chunk in which `key` stands or would stand. */
  const chunkOf = (key: string): number =>
    Math.max(0, lowerBound(chunks.length, (index) => (chunks[index]?.[0] ?? '') <= key) - 1)
  const placeIn = (chunk: readonly string[], key: string): number =>
    lowerBound(chunk.length, (index) => (chunk[index] ?? '') < key)

  const insert = (key: string): void => {
    const at = chunkOf(key)
    const chunk = chunks[at] ?? []
    chunk.splice(placeIn(chunk, key), 0, key)
    if (chunk.length > MAX_CHUNK)
      chunks.splice(at, 1, chunk.slice(0, MAX_CHUNK / 2), chunk.slice(MAX_CHUNK / 2))
  }

  const remove = (key: string): void => {
    const at = chunkOf(key)
    const chunk = chunks[at] ?? []
    chunk.splice(placeIn(chunk, key), 1)
    if (chunk.length === 0 && chunks.length > 1) chunks.splice(at, 1)
  }

  return {
    get: (key) => values.get(key),
    set(key, value) {
      if (!values.has(key)) insert(key)
      values.set(key, value)
    },
    delete(key) {
      if (values.delete(key)) remove(key)
    },
    range(lo, hi, limit = Number.POSITIVE_INFINITY, reverse) {
      const found: Entry[] = []
      const step = reverse ? -1 : 1
      let at = chunkOf(reverse ? hi : lo)
      let chunk = chunks[at]
      let place = chunk === undefined ? 0 : placeIn(chunk, reverse ? hi : lo) + (reverse ? -1 : 0)
      while (chunk !== undefined && found.length < limit) {
        const key = chunk[place]
        if (key === undefined) {
          at += step
          chunk = chunks[at]
          place = reverse && chunk !== undefined ? chunk.length - 1 : 0
          continue
        }
        if (reverse ? key < lo : key >= hi) break
        found.push([key, values.get(key) ?? ''])
        place += step
      }
      return found
    },
  }
}

/** The number of leading indexes below `length` for which `before` holds. */
function lowerBound(length: number, before: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (before(middle)) low = middle + 1
    else high = middle
  }
  return low
}

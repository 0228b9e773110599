/**
 * A load for crash tests, and the check that belongs to it. The load writes numbered events, a few to a commit, over
 * four maps; whoever kills its process knows from `acknowledged` what must be found afterwards.
 */
import type { Durability, Store, Write } from '@plexus/engine/ports'

/** Commits that the load keeps under way at once. */
const UNDER_WAY = 4
const MAX_BATCH = 12
const STATE_KEYS = 10
const PAGE = 1_000

const keyOf = (number: number): string => String(number).padStart(9, '0')
/** 900 characters that compress little and depend on the number only. */
const contentOf = (number: number): string => {
  let content = ''
  for (let word = number * 2_654_435_761 + 1; content.length < 900; word = (word * 48_271) % 2_147_483_647) {
    content += word.toString(36)
  }
  return content.slice(0, 900)
}

/** The writes of the events `first` to `last`, which belong together. */
export function batchOf(first: number, last: number): Write[] {
  const writes: Write[] = []
  for (let number = first; number <= last; number += 1) {
    const key = keyOf(number)
    writes.push({ map: 'event', key: `$${key}`, value: contentOf(number) })
    writes.push({ map: 'timeline', key, value: `${first} ${last} $${key}` })
    writes.push({ map: 'state', key: String(number % STATE_KEYS), value: String(number) })
  }
  writes.push({ map: 'stream', key: 'position', value: String(last) })
  return writes
}

export type LoadInit = {
  /** The number of the first event; all below it are in the store. */
  readonly from: number
  /** Called after each commit that returned, with the number of its last event. */
  readonly acknowledged: (last: number) => void
  /** From 0 up to, not including, 1. */
  readonly random: () => number
}

/** Commits without end; only a failing commit, or the end of the process, stops it. */
export async function runLoad(store: Store, { from, acknowledged, random }: LoadInit): Promise<never> {
  let next = from
  const lane = async (): Promise<never> => {
    for (;;) {
      const first = next
      next += 1 + Math.floor(random() * MAX_BATCH)
      const last = next - 1
      const durability: Durability = random() < 0.2 ? 'strict' : 'relaxed'
      await store.commit(batchOf(first, last), durability)
      acknowledged(last)
    }
  }
  return Promise.race(Array.from({ length: UNDER_WAY }, lane))
}

export type Findings = {
  /** The number of the last event, -1 when there is none. */
  readonly last: number
  /** What is missing, doubled, altered or half-applied; empty when all is well. */
  readonly problems: readonly string[]
}

/** Reads all that loads left in a store. */
export async function inspect(store: Store): Promise<Findings> {
  const problems: string[] = []
  const timeline = await readAll(store, 'timeline')
  const events = await readAll(store, 'event')
  const last = timeline.length - 1
  if (events.length !== timeline.length)
    problems.push(`${events.length} events, ${timeline.length} in the timeline`)
  for (const [number, [key, value]] of timeline.entries()) {
    const [first, end, event] = value.split(' ')
    if (key !== keyOf(number) || event !== `$${key}`) problems.push(`timeline has ${key} at ${number}`)
    if (!(Number(first) <= number && number <= Number(end) && Number(end) <= last)) {
      problems.push(`event ${number} stands without its commit ${first} to ${end}`)
    }
    const [id, content] = events[number] ?? []
    if (id !== event || content !== contentOf(number))
      problems.push(`event ${number} is not what was written`)
  }
  const position = Number((await store.get('stream', 'position')) ?? -1)
  if (position !== last) problems.push(`position ${position}, last event ${last}`)
  for (const [key, value] of await store.range('state', '', '\u00ff')) {
    const expected = last - ((last - Number(key) + STATE_KEYS) % STATE_KEYS)
    if (Number(value) !== expected) problems.push(`state ${key} is of event ${value}, not ${expected}`)
  }
  return { last, problems }
}

async function readAll(store: Store, map: string): Promise<readonly (readonly [string, string])[]> {
  const found: (readonly [string, string])[] = []
  for (let lo = ''; ;) {
    const page = await store.range(map, lo, '\u00ff', { limit: PAGE })
    found.push(...page)
    if (page.length < PAGE) return found
    lo = `${page.at(-1)?.[0] ?? ''}\u0001`
  }
}

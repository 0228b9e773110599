/**
 * Remembers requests that were processed, so that whoever captured one gains nothing by sending it again.
 *
 * A sender gives each request of an incarnation an expiry of its own, in milliseconds, so that the expiry is its
 * number. Invariants:
 * 1. No number of an incarnation is accepted twice before it has expired.
 * 2. Memory is bounded. When one incarnation has too many numbers, the lower half is forgotten and all below it is
 *    refused; when there are too many incarnations, new ones are refused until old ones have expired.
 * 3. One server, which can name as many incarnations as it likes, keeps no other out.
 */
import { MAX_REPLAY_ENTRIES, MAX_REPLAY_WINDOWS, MAX_REPLAY_WINDOWS_OF_SERVER } from './bounds.ts'

export interface ReplayGuard {
  /** `dead`: numbers up to here count as expired. */
  accept(origin: string, incarnation: string, number: number, dead: number): 'fresh' | 'repeated' | 'full'
}

type Window = { seen: Set<number>; floor: number; top: number }

export function createReplayGuard(): ReplayGuard {
  /** By origin and incarnation. */
  const windows = new Map<string, Map<string, Window>>()
  let count = 0

  const dropExpired = (origin: string, dead: number): void => {
    const own = windows.get(origin)
    if (own === undefined) return
    for (const [incarnation, { top }] of own) if (top <= dead && own.delete(incarnation)) count -= 1
    if (own.size === 0) windows.delete(origin)
  }

  const open = (origin: string, incarnation: string, dead: number): Window | undefined => {
    const known = windows.get(origin)?.get(incarnation)
    if (known !== undefined) return known
    const isFull = (): boolean => (windows.get(origin)?.size ?? 0) >= MAX_REPLAY_WINDOWS_OF_SERVER
    if (isFull()) dropExpired(origin, dead)
    if (isFull()) return undefined
    if (count >= MAX_REPLAY_WINDOWS) for (const name of windows.keys()) dropExpired(name, dead)
    if (count >= MAX_REPLAY_WINDOWS) return undefined
    const window = { seen: new Set<number>(), floor: 0, top: 0 }
    windows.set(origin, (windows.get(origin) ?? new Map<string, Window>()).set(incarnation, window))
    count += 1
    return window
  }

  return {
    accept(origin, incarnation, number, dead) {
      const window = open(origin, incarnation, dead)
      if (window === undefined) return 'full'
      if (window.seen.size >= MAX_REPLAY_ENTRIES) forget(window, dead)
      if (number <= window.floor || window.seen.has(number)) return 'repeated'
      window.seen.add(number)
      window.top = Math.max(window.top, number)
      return 'fresh'
    },
  }
}

/** Drops what has expired, and the lower half of what is left if that is still too much. */
function forget(window: Window, dead: number): void {
  const live = [...window.seen].filter((number) => number > dead).sort((a, b) => a - b)
  const kept = live.length > MAX_REPLAY_ENTRIES / 2 ? live.slice(live.length / 2) : live
  const [lowest] = kept
  if (kept.length < live.length && lowest !== undefined) window.floor = lowest - 1
  window.seen = new Set(kept)
}

/**
 * Remembers requests that were processed, so that whoever captured one gains nothing by sending it again.
 *
 * A sender gives each request of an incarnation an expiry of its own, in milliseconds, so that the expiry is its
 * number. Invariants:
 * 1. No number of an incarnation is accepted twice before it has expired.
 * 2. Memory is bounded. When one incarnation has too many numbers, the lower half is forgotten and all below it is
 *    refused; when there are too many incarnations, new ones are refused until old ones have expired.
 */
import { MAX_REPLAY_ENTRIES, MAX_REPLAY_WINDOWS } from './bounds.ts'

export interface ReplayGuard {
  /** `dead`: numbers up to here count as expired. */
  accept(sender: string, number: number, dead: number): 'fresh' | 'repeated' | 'full'
}

type Window = { seen: Set<number>; floor: number; top: number }

export function createReplayGuard(): ReplayGuard {
  const windows = new Map<string, Window>()

  const open = (sender: string, dead: number): Window | undefined => {
    const known = windows.get(sender)
    if (known !== undefined) return known
    if (windows.size >= MAX_REPLAY_WINDOWS) {
      for (const [name, window] of windows) if (window.top <= dead) windows.delete(name)
    }
    if (windows.size >= MAX_REPLAY_WINDOWS) return undefined
    const window = { seen: new Set<number>(), floor: 0, top: 0 }
    windows.set(sender, window)
    return window
  }

  return {
    accept(sender, number, dead) {
      const window = open(sender, dead)
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

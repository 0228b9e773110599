/**
 * Whether the clock of this device and that of whoever serves the app agree. Where they do not, others refuse the requests of this node
 * and it refuses theirs, which nothing else would explain. Who serves the app is trusted for its code; a name costs nothing, so that
 * peers could tell any time.
 */
import type { Clock } from '@plexus/engine/ports'
import { signal, type ReadonlySignal } from '@preact/signals'

/** Clocks that differ by more do not agree: as `MAX_CLOCK_SKEW_MS` has it. */
export const MAX_DIFFERENCE_MS: number = 5 * 60_000
/** How often it is asked, and while they differ. */
export const CHECK_INTERVAL_MS = 3_600_000
export const WRONG_INTERVAL_MS = 30_000
const TIMEOUT_MS = 10_000

export type ClockCheckDeps = {
  readonly clock: Clock
  /** Asks who serves the app, for headers alone. */
  readonly ask: (signal: AbortSignal) => Promise<Pick<Response, 'headers'>>
}

/** Milliseconds that this device is ahead, negative for behind; 0 while the clocks agree, or nobody says otherwise. */
export function watchClock({ clock, ask }: ClockCheckDeps): ReadonlySignal<number> {
  const ahead = signal(0)
  const check = async (): Promise<void> => {
    const sentAt = clock.now()
    try {
      const { headers } = await ask(AbortSignal.timeout(TIMEOUT_MS))
      ahead.value = differenceOf(headers, sentAt, clock.now())
    } catch {
      // It is away, and nothing is known of its clock.
    }
    clock.after(ahead.value === 0 ? CHECK_INTERVAL_MS : WRONG_INTERVAL_MS, () => void check())
  }
  void check()
  return ahead
}

/** What an answer was given at lies between these, if the clocks agree. */
function differenceOf(headers: Headers, sentAt: number, receivedAt: number): number {
  // spec: RFC 9110 section 6.6.1 "Date"; RFC 9111 section 5.1 "Age": a cache may have stood in between.
  const date = Date.parse(headers.get('Date') ?? '') + 1_000 * Number(headers.get('Age') ?? 0)
  const differences = [sentAt - date, receivedAt - date]
  const isWrong = differences.every((ms) => Math.abs(ms) > MAX_DIFFERENCE_MS)
  return isWrong ? Math.round((sentAt + receivedAt) / 2 - date) : 0
}

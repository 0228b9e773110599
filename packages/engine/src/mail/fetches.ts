/** When the mail of this node is fetched: at each announcement, one run for a relay at a time, and what was left after a rest. */
import type { Runs } from '../kernel/runs.ts'
import type { SignedAccountRecord } from '@plexus/core/names'
import type { Clock, Log, MailHandler } from '../ports.ts'
import { CarrierError, MailError } from '../ports.ts'
import type { Inbox } from './inbox.ts'

/** When a relay is asked again whose mail could not be taken whole. */
const REST_INTERVAL_MS = 60_000

export type FetchesDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly runs: Runs
  readonly inbox: Inbox
  /** It keeps a mailbox of this process. */
  readonly isRegistered: (relay: string) => boolean
  /** A relay that gives no mail tells by which record it keeps it. */
  readonly refused: (record: SignedAccountRecord) => Promise<void>
  /** All mail of a relay was taken. Never rejects. */
  readonly drained: (relay: string) => Promise<void>
  /** Mail of a relay was taken, as far as it could be. */
  readonly taken: () => void
}

export interface Fetches {
  /** From here on mail is handed to `handle`. */
  start(handle: MailHandler): void
  from(relay: string): void
  /** From all relays that were fetched from before. */
  again(): void
  close(): void
}

export function createFetches({ clock, log, runs, inbox, ...deps }: FetchesDeps): Fetches {
  const fetches = new Map<string, () => void>()
  /** Relays whose mail could not be taken whole, by what cancels the next attempt. */
  const rests = new Map<string, () => void>()
  let handle: MailHandler | undefined

  const from = (relay: string): void => {
    const fetch = fetches.get(relay) ?? runs.once('mail was not looked after', () => drain(relay))
    fetches.set(relay, fetch)
    fetch()
  }

  const drain = async (relay: string): Promise<void> => {
    if (handle === undefined || !deps.isRegistered(relay)) return
    const isWhole = await inbox.drain(relay, handle).catch(async (error: unknown) => {
      log.log('debug', 'mail was not fetched', { relay, error: String(error) })
      if (error instanceof MailError && error.record !== undefined) await deps.refused(error.record)
      // One that is out of reach says so when it comes up.
      return error instanceof CarrierError
    })
    if (isWhole) await deps.drained(relay)
    else if (!runs.closed && !rests.has(relay)) {
      const fetchRest = (): void => {
        rests.delete(relay)
        from(relay)
      }
      rests.set(relay, clock.after(REST_INTERVAL_MS, fetchRest))
    }
    deps.taken()
  }

  return {
    start: (handler) => (handle = handler),
    from,
    again() {
      for (const relay of fetches.keys()) from(relay)
    },
    close() {
      for (const cancel of rests.values()) cancel()
    },
  }
}

/** Which relays deliver what is left at them, as far as that shows. */
import { createLru } from '../kernel/lru.ts'

/** Relays that are remembered. */
const MAX_RELAYS = 1_000
/** A relay that kept so many mails in a row for itself, while another brought them, is asked last. */
export const MAX_MISSED = 3

export interface Trust {
  /** A mail arrived that was left at `relays`; `brought` says which of them brought it. */
  arrived(relays: readonly string[], brought: (relay: string) => boolean): void
  readonly isAvoided: (relay: string) => boolean
}

export function createTrust(): Trust {
  /** Mails in a row that the relay did not bring. */
  const missed = createLru<string, number>(MAX_RELAYS)
  return {
    arrived(relays, brought) {
      // Where no other relay brought it, it came directly or from a relay that the receiver does not reach.
      if (!relays.some(brought)) return
      for (const relay of relays) missed.set(relay, brought(relay) ? 0 : (missed.get(relay) ?? 0) + 1)
    },
    isAvoided: (relay) => (missed.get(relay) ?? 0) >= MAX_MISSED,
  }
}

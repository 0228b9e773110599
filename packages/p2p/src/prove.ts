import { CarrierError, type Clock } from '@plexus/engine/ports'
import { dayOf, searchProof, type MailProof, type ProofSubject } from './wire/proof.ts'

/** Nonces that are tried at once: some ten milliseconds. */
const NONCES_PER_TURN = 2_000
/** Milliseconds that a proof may take: many times what the most that a relay may ask for takes a phone. */
export const MAX_PROOF_MS = 60_000
/** Proofs that wait for the work of one relay, the one at work included. */
export const MAX_PROOFS_OF_RELAY = 64

/**
 * Works for mails to strangers. Each relay has a turn of its own, and relays take turns with each other, so that one that
 * asks for much holds up its own mail only.
 */
export interface Prover {
  /** @throws CarrierError when it takes too long, too many wait, or `stopped` */
  prove(subject: Omit<ProofSubject, 'day'>, bits: number): Promise<MailProof>
}

export function createProver(clock: Clock, stopped: AbortSignal): Prover {
  /** By relay: how many are to be made, and the last of them. */
  const relays = new Map<string, { count: number; last: Promise<unknown> }>()

  /** The event loop has its turn in between. */
  async function work(subject: Omit<ProofSubject, 'day'>, bits: number): Promise<MailProof> {
    const begin = clock.now()
    const day = dayOf(begin)
    for (let from = 0; Math.abs(clock.now() - begin) <= MAX_PROOF_MS; from += NONCES_PER_TURN) {
      stopped.throwIfAborted()
      const nonce = searchProof({ ...subject, day }, bits, { from, count: NONCES_PER_TURN })
      if (nonce !== undefined) return { day, nonce }
      await new Promise<void>((resolve) => {
        clock.after(0, resolve)
      })
    }
    throw new CarrierError('timeout', 'the proof of work takes too long')
  }

  return {
    async prove(subject, bits) {
      const { relay } = subject
      const turns = relays.get(relay) ?? { count: 0, last: Promise.resolve() }
      if (turns.count >= MAX_PROOFS_OF_RELAY)
        throw new CarrierError('unreachable', 'too much mail waits for its proof of work')
      turns.count += 1
      relays.set(relay, turns)
      const proof = turns.last.then(() => work(subject, bits))
      turns.last = proof.catch(() => undefined)
      try {
        return await proof
      } finally {
        turns.count -= 1
        if (turns.count === 0) relays.delete(relay)
      }
    },
  }
}

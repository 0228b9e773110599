import type { Clock } from '@plexus/engine/ports'
import { dayOf, searchProof, type MailProof, type ProofSubject } from './wire/proof.ts'

/** Nonces that are tried at once: some ten milliseconds. */
const NONCES_PER_TURN = 2_000

/** Works for a mail. The event loop has its turn in between. */
export async function prove(
  clock: Clock,
  subject: Omit<ProofSubject, 'day'>,
  bits: number,
  signal: AbortSignal,
): Promise<MailProof> {
  const day = dayOf(clock.now())
  for (let from = 0; ; from += NONCES_PER_TURN) {
    signal.throwIfAborted()
    const nonce = searchProof({ ...subject, day }, bits, { from, count: NONCES_PER_TURN })
    if (nonce !== undefined) return { day, nonce }
    await new Promise<void>((resolve) => {
      clock.after(0, resolve)
    })
  }
}

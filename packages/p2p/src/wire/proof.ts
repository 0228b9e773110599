import { sha256 } from '@noble/hashes/sha2.js'
import { canonicalJson, type ServerName } from '@plexus/core'
import { MAX_PROOF_BITS } from './limits.ts'

/** Milliseconds of the days that a proof of work is made for. */
export const PROOF_DAY_MS: number = 24 * 3_600_000

const PREFIX = 'plexus mail proof 1\n'
const SEED_BYTES = 32
const encoder = new TextEncoder()

/** What a proof of work is bound to, so that none serves twice. */
export type ProofSubject = {
  /** Peer id of the relay. */
  readonly relay: string
  readonly recipient: ServerName
  /** Unpadded URL-safe base64 of the SHA-256 of the mail's bytes. */
  readonly mailHash: string
  /** Whole days since 1970. */
  readonly day: number
}

/** A nonce for which the hash of seed and nonce begins with as many zero bits as the relay asks for. */
export type MailProof = { readonly day: number; readonly nonce: number }

export const dayOf = (now: number): number => Math.floor(now / PROOF_DAY_MS)

/** The first nonce from `from` on, of `count`, that is a proof; `undefined` when none is. Some microseconds a nonce. */
export function searchProof(
  subject: ProofSubject,
  bits: number,
  { from, count }: { readonly from: number; readonly count: number },
): number | undefined {
  const { bytes, view } = blockOf(subject)
  for (let nonce = from; nonce < from + count; nonce += 1) {
    setNonce(view, nonce)
    if (zeroBits(sha256(bytes)) >= bits) return nonce
  }
  return undefined
}

export function isProof(subject: ProofSubject, nonce: number, bits: number): boolean {
  const { bytes, view } = blockOf(subject)
  setNonce(view, nonce)
  return zeroBits(sha256(bytes)) >= bits
}

/** The hash of the subject, and room for the nonce: one block of SHA-256. */
function blockOf({ relay, recipient, mailHash, day }: ProofSubject): {
  readonly bytes: Uint8Array
  readonly view: DataView
} {
  const bytes = new Uint8Array(SEED_BYTES + 8)
  bytes.set(sha256(encoder.encode(PREFIX + canonicalJson({ relay, recipient, mailHash, day }))))
  return { bytes, view: new DataView(bytes.buffer, SEED_BYTES) }
}

function setNonce(view: DataView, nonce: number): void {
  view.setUint32(0, Math.floor(nonce / 2 ** 32))
  view.setUint32(4, nonce % 2 ** 32)
}

/** Zero bits that a hash begins with, as far as anybody asks. */
function zeroBits(hash: Uint8Array): number {
  const word = new DataView(hash.buffer, hash.byteOffset).getUint32(0)
  return Math.min(MAX_PROOF_BITS, Math.clz32(word))
}

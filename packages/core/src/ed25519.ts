import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { createMemo, remembered, type Memo } from './memo.ts'

/**
 * Whether an Ed25519 signature is valid must not depend on which library looked, or a room would split. Libraries
 * differ in three ways: which encodings of points and scalars they take, whether they refuse points of small order,
 * and whether they check [S]B = R + [k]A (WebCrypto: OpenSSL, BoringSSL) or eight times that (noble, RFC 8032).
 *
 * `precheckSignature` leaves only inputs with S < L, canonical A and R of large order, and A in the prime-order
 * subgroup. For those the first equation makes R = [S]B − [k]A torsion-free, and for torsion-free R the two
 * equations are one. So these accept exactly the same signatures, of any key:
 *   - precheck, then any verifier of the first kind;
 *   - precheck, then a torsion-free R, then any verifier of the second kind (`verifyEd25519`).
 * A key with a torsion component can be made on purpose only; no signature of it is valid here, whether the key is
 * a name or a DNS server's.
 */
const PUBLIC_KEY_BYTES = 32
const SIGNATURE_BYTES = 64

/** Keys whose group membership is remembered, and as many checks of signatures; the least recently used goes first. */
export const MAX_CACHED_KEYS = 4096

/** The order of the base point, little endian. */
const L = hex('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010')
/** The field prime 2^255 − 19, little endian. */
const P = hex('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f')
/** The y coordinates of the eight points whose order divides 8, little endian: 1, −1, 0 and those of order 8. */
const SMALL_ORDER_Y: readonly string[] = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]

/**
 * True if a WebCrypto verifier may be asked about this key (32 bytes) and signature (64 bytes); false means that the
 * signature is invalid, whatever the message. Any lengths may be given.
 */
export function precheckSignature(publicKey: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false
  if (!isBelow(signature.subarray(32), L)) return false
  return isCanonicalLargeOrder(signature.subarray(0, 32)) && isSoundPublicKey(publicKey)
}

/** True for 32 bytes that are the canonical encoding of a point of prime order, as every honest key is. Cached. */
export function isSoundPublicKey(publicKey: Uint8Array): boolean {
  if (publicKey.length !== PUBLIC_KEY_BYTES || !isCanonicalLargeOrder(publicKey)) return false
  return remembered(soundKeys, bytesToHex(publicKey), () => isTorsionFree(publicKey))
}

const soundKeys: Memo<boolean> = createMemo(MAX_CACHED_KEYS)
const checked: Memo<boolean> = createMemo(MAX_CACHED_KEYS)

/** True if the signature over the message is valid. Slow (about a millisecond) but for the last ones; never throws. */
export function verifyEd25519(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (!precheckSignature(publicKey, signature)) return false
  const key = `${bytesToHex(publicKey)} ${bytesToHex(signature)} ${bytesToHex(sha256(message))}`
  return remembered(checked, key, () => {
    if (!isTorsionFree(signature.subarray(0, 32))) return false
    return ed25519.verify(signature, message, publicKey, { zip215: false })
  })
}

function isTorsionFree(encoded: Uint8Array): boolean {
  try {
    return ed25519.Point.fromBytes(encoded, false).isTorsionFree()
  } catch {
    return false
  }
}

/** By bytes alone: y is below the prime, and the point, if it is one, has not order 1, 2, 4 or 8. */
function isCanonicalLargeOrder(encoded: Uint8Array): boolean {
  const y = encoded.slice()
  y[31] = (y[31] ?? 0) & 0x7f
  return isBelow(y, P) && !SMALL_ORDER_Y.includes(bytesToHex(y))
}

/** Compares two little-endian numbers of 32 bytes. */
function isBelow(number: Uint8Array, bound: Uint8Array): boolean {
  for (let i = 31; i >= 0; i -= 1) {
    const difference = (number[i] ?? 0) - (bound[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

/** A request as a mail: padded, so that its size tells little, and sealed to its recipient. DESIGN section 8 */
import type { JsonValue } from '@plexus/core'
import { decodeBase64, isJsonObject, MAX_DOCUMENT_DEPTH, parseJson } from '@plexus/core'
import type { SealingKey } from '@plexus/core/names'
import { mailInfo, parseEnvelope, parseSignedRequest } from '@plexus/core/names'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { EnvelopedRequest, MailLane, SealedMail, Sealer, SealingPair } from '../ports.ts'

const KIB = 1024
/** Sizes in bytes of what is sealed. */
export const MAIL_BUCKETS: readonly number[] = [KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB]
/** Bytes of the length that a padded text begins with. */
export const LENGTH_BYTES = 4
/** Bytes that HPKE adds: the encapsulated key and the tag. */
const SEAL_BYTES = 48

export type MailAddress = {
  readonly lane: MailLane
  readonly key: SealingKey
  /** Milliseconds since 1970. */
  readonly expires: number
}

/** @throws RangeError for a request that no bucket holds, TypeError for a key that is none. */
export async function sealMail(
  sealer: Sealer,
  enveloped: EnvelopedRequest,
  { lane, key, expires }: MailAddress,
): Promise<SealedMail> {
  const recipient = enveloped.request.destination
  const publicKey = decodeBase64(key.publicKey)
  if (publicKey === undefined) throw new TypeError('the sealing key is not base64')
  const info = mailInfo({ recipient, keyId: key.id, expires })
  const bytes = await sealer.seal(publicKey, info, padded(utf8ToBytes(JSON.stringify(enveloped))))
  return { recipient, lane, keyId: key.id, expires, bytes }
}

/** What was sealed, unproven; `undefined` for a mail that was altered, is not for this key, or holds no request. Never throws. */
export async function openMail(
  sealer: Sealer,
  pair: SealingPair,
  { recipient, keyId, expires, bytes }: SealedMail,
): Promise<EnvelopedRequest | undefined> {
  if (!MAIL_BUCKETS.includes(bytes.length - SEAL_BYTES)) return undefined
  const text = await sealer.open(pair, mailInfo({ recipient, keyId, expires }), bytes)
  const json = text === undefined ? undefined : unpadded(text)
  if (json === undefined) return undefined
  const parsed = parseJson(json, { maxBytes: json.length, maxDepth: MAX_DOCUMENT_DEPTH })
  return parsed.kind === 'ok' ? asEnveloped(parsed.value) : undefined
}

/** Length, text, zeros up to the next bucket. @throws RangeError */
export function padded(text: Uint8Array): Uint8Array {
  const size = MAIL_BUCKETS.find((bucket) => bucket >= LENGTH_BYTES + text.length)
  if (size === undefined) throw new RangeError(`no mail holds ${text.length} bytes`)
  const bytes = new Uint8Array(size)
  new DataView(bytes.buffer).setUint32(0, text.length)
  bytes.set(text, LENGTH_BYTES)
  return bytes
}

/** `undefined` for a length that the bytes do not have. */
export function unpadded(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < LENGTH_BYTES) return undefined
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
  return length > bytes.length - LENGTH_BYTES
    ? undefined
    : bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length)
}

function asEnveloped(value: JsonValue): EnvelopedRequest | undefined {
  if (!isJsonObject(value)) return undefined
  const { signature } = value
  const request = parseSignedRequest(value['request'] ?? null)
  const envelope = parseEnvelope(value['envelope'] ?? null)
  if (request === undefined || envelope === undefined || typeof signature !== 'string') return undefined
  return { request, envelope, signature }
}

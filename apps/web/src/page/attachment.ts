/**
 * Encrypted attachments: AES-CTR with a key and counter of their own, and the SHA-256 of the ciphertext.
 * spec: client-server-api, modules/end_to_end_encryption "Sending encrypted attachments"
 */
import { base64, base64nopad, base64urlnopad } from '@scure/base'
import type { AttachmentKey } from '../ui/model.ts'

/** `EncryptedFile` of the specification, without the url. */
export type EncryptedFileInfo = {
  readonly v: 'v2'
  readonly key: {
    readonly kty: 'oct'
    readonly key_ops: readonly ['encrypt', 'decrypt']
    readonly alg: 'A256CTR'
    readonly k: string
    readonly ext: true
  }
  readonly iv: string
  readonly hashes: { readonly sha256: string }
}

const KEY_BYTES = 32
const IV_BYTES = 16
/** Half of the counter block counts, so that it never runs over into the random half. */
const COUNTER_BITS = 64

class AttachmentError extends Error {
  override readonly name: string = 'AttachmentError'
}

/** The bytes are not those that were sent. Others may come when they are fetched anew. */
export class WrongHashError extends AttachmentError {
  override readonly name = 'WrongHashError'
}

export async function encryptAttachment(
  bytes: Uint8Array,
): Promise<{ encrypted: Uint8Array; info: EncryptedFileInfo }> {
  const { subtle } = crypto
  const keyBytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES))
  const counter = new Uint8Array(IV_BYTES)
  crypto.getRandomValues(counter.subarray(0, IV_BYTES / 2))
  const key = await subtle.importKey('raw', keyBytes, 'AES-CTR', false, ['encrypt'])
  const algorithm = { name: 'AES-CTR', counter, length: COUNTER_BITS }
  const encrypted = new Uint8Array(await subtle.encrypt(algorithm, key, new Uint8Array(bytes)))
  const hash = new Uint8Array(await subtle.digest('SHA-256', encrypted))
  return {
    encrypted,
    info: {
      v: 'v2',
      key: {
        kty: 'oct',
        key_ops: ['encrypt', 'decrypt'],
        alg: 'A256CTR',
        k: base64urlnopad.encode(keyBytes),
        ext: true,
      },
      iv: base64nopad.encode(counter),
      hashes: { sha256: base64nopad.encode(hash) },
    },
  }
}

/** @throws WrongHashError, or AttachmentError for a key that is none */
export async function decryptAttachment(
  bytes: Uint8Array,
  { key, iv, sha256 }: AttachmentKey,
): Promise<Uint8Array> {
  const { subtle } = crypto
  const encrypted = new Uint8Array(bytes)
  const hash = new Uint8Array(await subtle.digest('SHA-256', encrypted))
  if (base64nopad.encode(hash) !== base64nopad.encode(decode(sha256))) {
    throw new WrongHashError('This file is not the one that was sent: its hash is wrong.')
  }
  const counter = new Uint8Array(decode(iv))
  const keyBytes = new Uint8Array(decode(key))
  if (counter.length !== IV_BYTES || keyBytes.length !== KEY_BYTES) {
    throw new AttachmentError('The key of this file is damaged.')
  }
  const imported = await subtle.importKey('raw', keyBytes, 'AES-CTR', false, ['decrypt'])
  const algorithm = { name: 'AES-CTR', counter, length: COUNTER_BITS }
  return new Uint8Array(await subtle.decrypt(algorithm, imported, encrypted))
}

/**
 * The key of an `EncryptedFile` as it came in an event; `undefined` for anything else.
 * spec: "Extensions to m.room.message msgtypes"
 */
export function parseEncryptedFile(file: unknown): (AttachmentKey & { readonly url: string }) | undefined {
  if (
    !isRecord(file) ||
    file['v'] !== 'v2' ||
    typeof file['url'] !== 'string' ||
    typeof file['iv'] !== 'string'
  )
    return undefined
  const { key, hashes } = file
  if (!isRecord(key) || key['kty'] !== 'oct' || key['alg'] !== 'A256CTR' || typeof key['k'] !== 'string')
    return undefined
  if (!isRecord(hashes) || typeof hashes['sha256'] !== 'string') return undefined
  return { url: file['url'], key: key['k'], iv: file['iv'], sha256: hashes['sha256'] }
}

/** Base64 in either alphabet, with padding or without: clients differ. */
function decode(text: string): Uint8Array {
  const plain = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/u, '')
  try {
    return base64.decode(plain + '='.repeat((4 - (plain.length % 4)) % 4))
  } catch (cause) {
    throw new AttachmentError('The key of this file is damaged.', { cause })
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

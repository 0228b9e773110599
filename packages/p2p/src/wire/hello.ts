import { decodeBase64, isJsonObject, type JsonObject, type JsonValue } from '@plexus/core'
import { checkCertificate, parseCertificate, type Certificate } from '@plexus/core/names'
import { MAX_ADDRESS_LENGTH, MAX_HELLO_ADDRESSES } from './limits.ts'
import { decodeJson, encodeJson } from './message.ts'

/** A certificate and the name key's signature of it, in base64. */
export type SignedCertificate = { readonly certificate: Certificate; readonly signature: string }

/**
 * What each side says first on a federation stream, and again when its certificate was renewed.
 * `session` is random per start of a node: a stream of an older session is of a life that is over.
 * `serial` counts the streams that the speaker opened in this session. `addresses` are hints for meeting again.
 */
export type Hello = SignedCertificate & {
  readonly session: string
  readonly serial: number
  readonly addresses: readonly string[]
}

const SESSION = /^[0-9a-f]{32}$/
const MAX_SIGNATURE_LENGTH = 128

export function encodeHello(hello: Hello): Uint8Array {
  const { certificate, signature, session, serial, addresses } = hello
  const value: JsonObject = { certificate, signature, session, serial, addresses }
  return encodeJson(value)
}

/** `undefined` for anything but the shape; the certificate is still to be checked. */
export function decodeHello(bytes: Uint8Array): Hello | undefined {
  const value = decodeJson(bytes)
  if (!isJsonObject(value)) return undefined
  const signed = decodeSignedCertificate(value)
  const { session, serial, addresses } = value
  if (signed === undefined || typeof session !== 'string' || !SESSION.test(session)) return undefined
  if (typeof serial !== 'number' || !Number.isSafeInteger(serial) || serial < 0) return undefined
  if (!Array.isArray(addresses) || addresses.length > MAX_HELLO_ADDRESSES) return undefined
  const texts: string[] = []
  for (const address of addresses as readonly JsonValue[]) {
    if (typeof address !== 'string' || address.length > MAX_ADDRESS_LENGTH) return undefined
    texts.push(address)
  }
  return { ...signed, session, serial, addresses: texts }
}

/** Shape only. */
export function decodeSignedCertificate(value: JsonValue): SignedCertificate | undefined {
  if (!isJsonObject(value)) return undefined
  const certificate = parseCertificate(value['certificate'] ?? null)
  const signature = value['signature']
  if (certificate === undefined || typeof signature !== 'string') return undefined
  return signature.length > MAX_SIGNATURE_LENGTH ? undefined : { certificate, signature }
}

/** Why a certificate does not bind `peerId`, which the transport proved, to its name; `undefined` when it does. */
export function certificateFault(signed: SignedCertificate, peerId: string, now: number): string | undefined {
  if (signed.certificate.peerId !== peerId) return 'certificate is for another peer id'
  const signature = decodeBase64(signed.signature)
  if (signature === undefined) return 'signature is not base64'
  return checkCertificate(signed.certificate, signature, now)
}

import { verifyEd25519 } from '../ed25519.ts'
import { parseServerName, type ServerName } from '../ids.ts'
import { isJsonObject, type JsonValue } from '../json.ts'
import { isCount, separatedBytes } from './domain.ts'
import { keyOfName } from './names.ts'

/** How far the clocks of two nodes may differ, in milliseconds. */
export const MAX_CLOCK_SKEW_MS: number = 5 * 60_000
/** Longest validity of a certificate, in milliseconds. */
export const MAX_CERTIFICATE_MS: number = 400 * 24 * 3_600_000

// The base58 form of an identity or SHA-256 multihash of a libp2p public key.
const PEER_ID = /^[1-9A-HJ-NP-Za-km-z]{44,64}$/

/** Says that a libp2p peer id speaks for a server name. Times in milliseconds since 1970. */
export type Certificate = {
  readonly name: ServerName
  readonly peerId: string
  readonly notBefore: number
  readonly expires: number
}

/** Why a certificate does not count. */
export type CertificateFailure =
  | 'not a key name'
  | 'validity too long'
  | 'not valid yet'
  | 'expired'
  | 'bad signature'

/** The bytes that the name key signs. */
export function certificateBytes(certificate: Certificate): Uint8Array {
  const { name, peerId, notBefore, expires } = certificate
  return separatedBytes('certificate', { name, peerId, notBefore, expires })
}

/** Shape only: `checkCertificate` says whether it counts. Unknown keys are dropped. */
export function parseCertificate(value: JsonValue): Certificate | undefined {
  if (!isJsonObject(value)) return undefined
  const { name, peerId, notBefore, expires } = value
  const server = typeof name === 'string' ? parseServerName(name) : undefined
  if (server === undefined || typeof peerId !== 'string' || !PEER_ID.test(peerId)) return undefined
  if (!isCount(notBefore) || !isCount(expires)) return undefined
  return { name: server, peerId, notBefore, expires }
}

/**
 * `undefined` if the certificate counts at `now` (milliseconds since 1970). That the other side holds the transport
 * key of `peerId` is the caller's to know.
 */
export function checkCertificate(
  certificate: Certificate,
  signature: Uint8Array,
  now: number,
): CertificateFailure | undefined {
  const key = keyOfName(certificate.name)
  if (key === undefined) return 'not a key name'
  if (certificate.expires - certificate.notBefore > MAX_CERTIFICATE_MS) return 'validity too long'
  if (now < certificate.notBefore - MAX_CLOCK_SKEW_MS) return 'not valid yet'
  if (now >= certificate.expires) return 'expired'
  return verifyEd25519(key, certificateBytes(certificate), signature) ? undefined : 'bad signature'
}

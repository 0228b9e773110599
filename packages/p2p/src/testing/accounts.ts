import { generateKeyPairSync, sign } from 'node:crypto'
import { encodeBase64, encodeBase64Url, type JsonValue, type ServerName } from '@plexus/core'
import { certificateBytes, nameOfKey, type Certificate } from '@plexus/core/names'
import type { CarrierResponse, EnvelopedRequest, Log } from '@plexus/engine/ports'
import { generateTransportKey, peerIdOfKey } from '../transport-key.ts'
import type { SignedCertificate } from '../wire/hello.ts'

export const silentLog: Log = { log: () => undefined }

const DAY_MS = 24 * 3_600_000

/** A name with its key, and a peer id that it certifies. */
export type TestAccount = {
  readonly name: ServerName
  readonly peerId: string
  /** A certificate from `now` on for a day; `change` makes it another one, soundly signed. */
  certify(now: number, change?: Partial<Certificate>): SignedCertificate
}

export async function createAccount(): Promise<TestAccount> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const name = nameOfKey(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)))
  const peerId = peerIdOfKey(await generateTransportKey())
  return {
    name,
    peerId,
    certify(now, change = {}) {
      const certificate = { name, peerId, notBefore: now, expires: now + DAY_MS, ...change }
      const signature = sign(null, certificateBytes(certificate), privateKey)
      return { certificate, signature: encodeBase64(new Uint8Array(signature)) }
    },
  }
}

const SIGNATURE = encodeBase64(new Uint8Array(64))

/** A request in the right shape; carriers check no signature. */
export function createRequest(
  origin: ServerName,
  destination: ServerName,
  content: JsonValue = {},
): EnvelopedRequest {
  const uri = '/_matrix/federation/v1/send/1'
  return {
    request: {
      method: 'PUT',
      uri,
      origin,
      destination,
      content,
      signatures: { [origin]: { 'ed25519:1': SIGNATURE } },
    },
    envelope: {
      requestHash: encodeBase64Url(new Uint8Array(32)),
      incarnation: encodeBase64Url(new Uint8Array(16)),
      expires: 2_000_000_000_000,
    },
    signature: SIGNATURE,
  }
}

export function createResponse(text: string, status = 200): CarrierResponse {
  return { status, contentType: 'text/plain', body: new TextEncoder().encode(text) }
}

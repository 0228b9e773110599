/**
 * Proves who sent a request, and that it was meant for this server and for this time.
 * spec: server-server-api.md "Request Authentication"; the envelope is Plexus's own.
 */
import type { KeyId, ServerName } from '@plexus/core'
import { decodeBase64 } from '@plexus/core'
import {
  envelopeBytes,
  hashOfRequestBytes,
  MAX_CLOCK_SKEW_MS,
  parseEnvelope,
  parseSignedRequest,
  requestBytes,
  type Envelope,
  type SignedRequest,
} from '@plexus/core/names'
import type { ServerKeys, WantedKey } from '@plexus/engine'
import type { Clock, InboundRequest, Verifier } from '@plexus/engine/ports'
import { ApiError } from './answer.ts'
import { ENVELOPE_LIFETIME_MS, MAX_REQUEST_BYTES } from './bounds.ts'

export type Authenticator = {
  readonly serverName: ServerName
  readonly verifier: Verifier
  readonly keys: Pick<ServerKeys, 'lookup'>
  readonly clock: Clock
}

export type Proven = {
  readonly request: SignedRequest
  /** Absent for a request that came over HTTPS, which X-Matrix alone proves: TLS is what keeps it from being repeated. */
  readonly envelope?: Envelope
}

/** @throws ApiError M_BAD_JSON, M_TOO_LARGE, M_UNAUTHORIZED. */
export async function authenticate(
  { serverName, verifier, keys, clock }: Authenticator,
  inbound: InboundRequest,
): Promise<Proven> {
  if (inbound.request.signatures === undefined) throw unauthorized('the request is not signed')
  // A carrier is not trusted to have parsed what it brings.
  const request = parseSignedRequest(inbound.request)
  if (request === undefined) throw new ApiError(400, 'M_BAD_JSON', 'not a signed request')
  if (request.destination !== serverName) throw unauthorized('the request is for another server')
  if (request.origin === serverName) throw unauthorized('the request claims to be from this server')
  const message = requestBytes(request)
  if (message.length > MAX_REQUEST_BYTES) throw new ApiError(413, 'M_TOO_LARGE', 'the request is too large')
  const own = onlySignature(request)
  const envelope = envelopeOf(inbound, message, clock.now())
  const publicKey = await keyOf(keys, { server: request.origin, keyId: own.keyId, at: clock.now() })
  const checks = [{ publicKey, message, signature: signatureOf(own.signature) }]
  if (envelope !== undefined) {
    const signature = signatureOf(inbound.signature)
    checks.push({ publicKey, message: envelopeBytes(envelope), signature })
  }
  const answers = await verifier.verify(checks)
  if (answers.length !== checks.length || answers.includes(false))
    throw unauthorized('the signature does not match')
  return envelope === undefined ? { request } : { request, envelope }
}

/** The envelope, if there is one, unless it is not of this request and of this time. */
function envelopeOf(inbound: InboundRequest, message: Uint8Array, now: number): Envelope | undefined {
  if (inbound.envelope === undefined && inbound.signature === undefined) return undefined
  const envelope = inbound.envelope === undefined ? undefined : parseEnvelope(inbound.envelope)
  if (envelope === undefined) throw new ApiError(400, 'M_BAD_JSON', 'not a signed request')
  checkTime(envelope, now)
  if (envelope.requestHash !== hashOfRequestBytes(message))
    throw unauthorized('the envelope is of another request')
  return envelope
}

function checkTime({ expires }: Envelope, now: number): void {
  if (expires <= now - MAX_CLOCK_SKEW_MS) throw unauthorized('the request has expired')
  if (expires > now + ENVELOPE_LIFETIME_MS + MAX_CLOCK_SKEW_MS)
    throw unauthorized('the request expires too late')
}

function onlySignature(request: SignedRequest): { readonly keyId: KeyId; readonly signature: string } {
  const [found, ...others] = Object.entries(request.signatures[request.origin] ?? {})
  if (found === undefined || others.length > 0) throw unauthorized('the request is not signed by one key')
  return { keyId: found[0] as KeyId, signature: found[1] }
}

/** The key must be in use: an old one signs no requests. spec: server-server-api.md "Publishing Keys" */
async function keyOf(keys: Authenticator['keys'], wanted: WantedKey): Promise<Uint8Array> {
  const [key = 'unknown'] = await keys.lookup([wanted], { forStranger: true, broughtBy: wanted.server })
  if (key === 'none') throw unauthorized('the server has no such key')
  if (key === 'unknown') throw unauthorized('the key of the server cannot be had at present')
  return key
}

function signatureOf(text: unknown): Uint8Array {
  const bytes = typeof text === 'string' ? decodeBase64(text) : undefined
  if (bytes?.length !== 64) throw unauthorized('the request is not signed by one key')
  return bytes
}

function unauthorized(message: string): ApiError {
  return new ApiError(401, 'M_UNAUTHORIZED', message)
}

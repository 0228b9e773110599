/**
 * Proves who sent a request, and that it was meant for this server and for this time.
 * spec: server-server-api.md "Request Authentication"; the envelope is Plexus's own.
 */
import type { KeyId, ServerName } from '@plexus/core'
import { checkCanonical, decodeBase64 } from '@plexus/core'
import {
  envelopeBytes,
  hashOfRequestBytes,
  MAX_CLOCK_SKEW_MS,
  meetsDirectly,
  parseEnvelope,
  parseSignedRequest,
  requestBytes,
  requestBytesAround,
  type Envelope,
  type SignedRequest,
} from '@plexus/core/names'
import type { ServerKeys } from '@plexus/engine'
import type { Clock, InboundRequest, SignatureCheck, Verifier } from '@plexus/engine/ports'
import { ApiError } from './answer.ts'
import { ENVELOPE_LIFETIME_MS, MAX_REQUEST_BYTES } from './bounds.ts'

export type Authenticator = {
  readonly serverName: ServerName
  readonly verifier: Verifier
  readonly keys: Pick<ServerKeys, 'lookup'>
  readonly clock: Clock
  /** Milliseconds that an envelope may be good for, `ENVELOPE_LIFETIME_MS` if absent. */
  readonly lifetimeMs?: number
}

export type Proven = {
  readonly request: SignedRequest
  /** What its origin signed. */
  readonly message: Uint8Array
  /** Absent for a request that came over HTTPS, which X-Matrix alone proves: TLS is what keeps it from being repeated. */
  readonly envelope?: Envelope
}

/** @throws ApiError M_BAD_JSON, M_TOO_LARGE, M_UNAUTHORIZED. */
export async function authenticate(deps: Authenticator, inbound: InboundRequest): Promise<Proven> {
  const { serverName, clock, lifetimeMs = ENVELOPE_LIFETIME_MS } = deps
  if (inbound.request.signatures === undefined) throw unauthorized('the request is not signed')
  // A carrier is not trusted to have parsed what it brings.
  const request = parseSignedRequest(inbound.request)
  if (request === undefined) throw badJson()
  if (request.destination !== serverName) throw unauthorized('the request is for another server')
  if (request.origin === serverName) throw unauthorized('the request claims to be from this server')
  const { body } = inbound
  const message = body === undefined ? canonicalBytes(request) : requestBytesAround(body, request)
  if (message.length > MAX_REQUEST_BYTES) throw new ApiError(413, 'M_TOO_LARGE', 'the request is too large')
  const envelope = envelopeOf(inbound, message, clock.now() + lifetimeMs, clock.now())
  if (envelope === undefined && meetsDirectly(serverName, request.origin))
    throw unauthorized('between names that are keys a request comes in an envelope')
  const signatures = await signaturesOf(deps.keys, request, clock.now())
  if (envelope !== undefined) {
    await checkEnclosed(deps.verifier, { signatures, message, envelope, signature: inbound.signature })
    return { request, message, envelope }
  }
  if (await isSigned(deps.verifier, signatures, message)) return { request, message }
  // Nothing says that a body comes in the form that is signed.
  const canonical = body === undefined ? message : canonicalBytes(request)
  if (canonical !== message && (await isSigned(deps.verifier, signatures, canonical)))
    return { request, message: canonical }
  throw unauthorized('the signature does not match')
}

/** @throws ApiError M_BAD_JSON where there is no canonical form. */
function canonicalBytes(request: SignedRequest): Uint8Array {
  const { content } = request
  // The events of a transaction are not checked yet.
  if (content !== undefined && checkCanonical(content, { anyNumber: true }) !== undefined) throw badJson()
  return requestBytes(request)
}

/** The envelope, if there is one, unless it is not of this request and of this time. */
function envelopeOf(
  inbound: InboundRequest,
  message: Uint8Array,
  latest: number,
  now: number,
): Envelope | undefined {
  if (inbound.envelope === undefined && inbound.signature === undefined) return undefined
  const envelope = inbound.envelope === undefined ? undefined : parseEnvelope(inbound.envelope)
  if (envelope === undefined) throw badJson()
  checkTime(envelope, latest, now)
  if (envelope.requestHash !== hashOfRequestBytes(message))
    throw unauthorized('the envelope is of another request')
  return envelope
}

function checkTime({ expires }: Envelope, latest: number, now: number): void {
  if (expires <= now - MAX_CLOCK_SKEW_MS) throw unauthorized('the request has expired')
  if (expires > latest + MAX_CLOCK_SKEW_MS) throw unauthorized('the request expires too late')
}

type Signed = Omit<SignatureCheck, 'message'>

/**
 * The signatures of the request's origin, each with its key, which must be in use: an old one signs no requests. A server
 * with several keys may sign with each. spec: server-server-api.md "Publishing Keys", "Request Authentication"
 */
async function signaturesOf(
  keys: Authenticator['keys'],
  { origin, signatures }: SignedRequest,
  at: number,
): Promise<readonly Signed[]> {
  const own = Object.entries(signatures[origin] ?? {})
  const wanted = own.map(([keyId]) => ({ server: origin, keyId: keyId as KeyId, at }))
  const answers = await keys.lookup(wanted, { forStranger: true, broughtBy: origin })
  const found = own.flatMap(([, text], index): Signed[] => {
    const publicKey = answers[index]
    return publicKey instanceof Uint8Array ? [{ publicKey, signature: signatureOf(text) }] : []
  })
  if (found.length > 0) return found
  if (answers.includes('unknown')) throw unauthorized('the key of the server cannot be had at present')
  throw unauthorized('the server has no such key')
}

/** By one of the keys. */
async function isSigned(
  verifier: Verifier,
  signatures: readonly Signed[],
  message: Uint8Array,
): Promise<boolean> {
  const answers = await verifier.verify(signatures.map((signed) => ({ ...signed, message })))
  return answers.includes(true)
}

type Enclosed = {
  readonly signatures: readonly Signed[]
  readonly message: Uint8Array
  readonly envelope: Envelope
  readonly signature: string | undefined
}

/** One key signs the request and the envelope. */
async function checkEnclosed(
  verifier: Verifier,
  { signatures: [own, ...others], message, envelope, signature }: Enclosed,
): Promise<void> {
  if (own === undefined || others.length > 0) throw unauthorized('the request is not signed by one key')
  const around = { ...own, message: envelopeBytes(envelope), signature: signatureOf(signature) }
  const answers = await verifier.verify([{ ...own, message }, around])
  if (answers.length !== 2 || answers.includes(false)) throw unauthorized('the signature does not match')
}

function signatureOf(text: unknown): Uint8Array {
  const bytes = typeof text === 'string' ? decodeBase64(text) : undefined
  if (bytes?.length !== 64) throw unauthorized('a signature has 64 bytes')
  return bytes
}

function badJson(): ApiError {
  return new ApiError(400, 'M_BAD_JSON', 'not a signed request')
}

function unauthorized(message: string): ApiError {
  return new ApiError(401, 'M_UNAUTHORIZED', message)
}

import { sha256 } from '@noble/hashes/sha2.js'
import { encodeBase64Url } from '../base64.ts'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { canonicalJson, checkCanonical, signableBytes } from '../canonical-json.ts'
import { parseKeyId, parseServerName, type KeyId, type ServerName } from '../ids.ts'
import { isJsonObject, without, type JsonObject, type JsonValue } from '../json.ts'

/** Longest `uri` of a signed request, in characters. */
export const MAX_REQUEST_URI_LENGTH = 16_384
/** Most signatures on one signed request; X-Matrix carries one for each key of the origin. */
export const MAX_REQUEST_SIGNATURES = 4

/**
 * A federation request as its origin signs it, whatever carries it.
 * spec: server-server-api.md "Request Authentication"
 */
export type SignedRequest = {
  /** Upper case. */
  readonly method: string
  /** Path and query, from `/_matrix/` on, as sent. */
  readonly uri: string
  readonly origin: ServerName
  readonly destination: ServerName
  /** The parsed JSON body; absent where the request has none. */
  readonly content?: JsonValue
  /** The origin's signatures: unpadded base64 by key id. */
  readonly signatures: { readonly [origin: string]: { readonly [keyId: string]: string } }
}

const METHOD = /^[A-Z]{1,16}$/
// Visible ASCII: what a request target may hold on the wire.
const URI = /^\/[!-~]*$/
const SIGNATURE = /^[A-Za-z0-9+/]{86}$/

/** The bytes that the origin signs, exactly as for the `X-Matrix` header. */
export function requestBytes(request: Omit<SignedRequest, 'signatures'>): Uint8Array {
  const { method, uri, origin, destination, content } = request
  const fields: JsonObject = { method, uri, origin, destination }
  return signableBytes(content === undefined ? fields : { ...fields, content })
}

/**
 * As `requestBytes`, of a request whose content came as this text. Parsing it loses how a number was written (1.0) and
 * digits beyond 2^53, which other servers let into old rooms, and sign. For one whose content has white space and the
 * like these are bytes that nobody signed.
 */
export function requestBytesAround(
  content: Uint8Array,
  { method, uri, origin, destination }: Omit<SignedRequest, 'signatures' | 'content'>,
): Uint8Array {
  // In the order of canonical JSON.
  const before = utf8ToBytes('{"content":')
  const after = utf8ToBytes(`,${canonicalJson({ destination, method, origin, uri }).slice(1)}`)
  const bytes = new Uint8Array(before.length + content.length + after.length)
  bytes.set(before)
  bytes.set(content, before.length)
  bytes.set(after, before.length + content.length)
  return bytes
}

/** SHA-256 of `requestBytes`, URL-safe unpadded base64. */
export function requestHash(request: Omit<SignedRequest, 'signatures'>): string {
  return hashOfRequestBytes(requestBytes(request))
}

/** As `requestHash`, for who has the bytes already. */
export function hashOfRequestBytes(bytes: Uint8Array): string {
  return encodeBase64Url(sha256(bytes))
}

/** What a request asks, signed or not. */
export type RequestTarget = Pick<SignedRequest, 'method' | 'uri' | 'content'>

/** Shape only. */
export function parseRequestTarget(value: JsonValue): RequestTarget | undefined {
  if (!isJsonObject(value)) return undefined
  const { method, uri, content } = value
  if (typeof method !== 'string' || !METHOD.test(method)) return undefined
  if (typeof uri !== 'string' || uri.length > MAX_REQUEST_URI_LENGTH || !URI.test(uri)) return undefined
  if (content !== undefined && !isAcceptable(content)) return undefined
  return content === undefined ? { method, uri } : { method, uri, content }
}

/**
 * Canonical JSON, but for what many made and a transaction carries: each event and EDU of it is checked by itself, events
 * by the rules of their room's version, so that none spoils the rest. spec: rooms/v1.md "Canonical JSON"
 */
function isAcceptable(content: JsonValue): boolean {
  const rest = isJsonObject(content) ? without(content, 'pdus', 'edus') : content
  return checkCanonical(rest) === undefined
}

/** Shape only: the signature is the caller's to check. Signatures of others than the origin are refused. */
export function parseSignedRequest(value: JsonValue): SignedRequest | undefined {
  const target = parseRequestTarget(value)
  if (target === undefined || !isJsonObject(value)) return undefined
  const { origin, destination } = value
  const from = typeof origin === 'string' ? parseServerName(origin) : undefined
  const to = typeof destination === 'string' ? parseServerName(destination) : undefined
  if (from === undefined || to === undefined) return undefined
  const signatures = originSignatures(value['signatures'], from)
  if (signatures === undefined) return undefined
  return { ...target, origin: from, destination: to, signatures: { [from]: signatures } }
}

function originSignatures(
  value: JsonValue | undefined,
  origin: ServerName,
): { readonly [keyId: KeyId]: string } | undefined {
  if (!isJsonObject(value) || Object.keys(value).length !== 1) return undefined
  const byKey = Object.hasOwn(value, origin) ? value[origin] : undefined
  if (!isJsonObject(byKey)) return undefined
  const entries: [KeyId, string][] = []
  for (const [key, signature] of Object.entries(byKey)) {
    const keyId = parseKeyId(key)
    if (keyId === undefined || typeof signature !== 'string' || !SIGNATURE.test(signature)) return undefined
    entries.push([keyId, signature])
  }
  if (entries.length === 0 || entries.length > MAX_REQUEST_SIGNATURES) return undefined
  return Object.fromEntries(entries)
}

import { isJsonObject, type JsonObject, type JsonValue } from '@plexus/core'
import { parseEnvelope, parseSignedRequest } from '@plexus/core/names'
import type { Acknowledgement, CarrierResponse, EnvelopedRequest } from '@plexus/engine/ports'
import { decodeJson, encodeJson, type Message } from './message.ts'

/** libp2p protocol id of the one long-lived stream between two nodes. */
export const FEDERATION_PROTOCOL = '/plexus/federation/1.0.0'

/** Kinds of frames on a federation stream. A request and its answers carry the id that the requester chose. */
export const FederationFrame = {
  /** First frame each way: certificate and own addresses. */
  hello: 1,
  request: 2,
  requestPart: 3,
  response: 4,
  responsePart: 5,
  /** The request was not processed to an answer; body: one byte, `Refusal`. */
  refuse: 6,
  /** The requester no longer waits. */
  cancel: 7,
  ping: 8,
  pong: 9,
  /** Body: u32 bytes of request and response frames that may be sent in addition. */
  credit: 10,
  /** No more requests on this stream, either way; it closes when those under way are answered. */
  goodbye: 11,
} as const

/** Why a request got no answer. */
export const Refusal = { busy: 1, tooLarge: 2, nonsense: 3, origin: 4, failed: 5 } as const
export type RefusalCode = (typeof Refusal)[keyof typeof Refusal]

const MAX_CONTENT_TYPE_LENGTH = 255
const MAX_INCARNATION_LENGTH = 64
const NO_BYTES = new Uint8Array(0)
/** Unpadded base64 of 64 bytes. */
const SIGNATURE = /^[A-Za-z0-9+/]{86}$/

export function encodeRequest({ request, envelope, signature }: EnvelopedRequest): Message {
  return { header: encodeJson({ request, envelope, signature }), body: NO_BYTES }
}

/** `undefined` for anything but a request in the shape of `SignedRequest` with its envelope. */
export function decodeRequest(message: Message): EnvelopedRequest | undefined {
  if (message.body.length > 0) return undefined
  const header = decodeJson(message.header)
  if (!isJsonObject(header)) return undefined
  const request = parseSignedRequest(header['request'] ?? null)
  const envelope = parseEnvelope(header['envelope'] ?? null)
  const signature = header['signature']
  if (request === undefined || envelope === undefined) return undefined
  if (typeof signature !== 'string' || !SIGNATURE.test(signature)) return undefined
  return { request, envelope, signature }
}

export function encodeResponse(response: CarrierResponse): Message {
  const { status, contentType, body, acknowledgement } = response
  const header: JsonObject = { status, contentType, acknowledgement }
  return { header: encodeJson(header), body }
}

export function decodeResponse(message: Message): CarrierResponse | undefined {
  const header = decodeJson(message.header)
  if (!isJsonObject(header)) return undefined
  const { status, contentType, acknowledgement } = header
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599)
    return undefined
  if (typeof contentType !== 'string' || contentType.length > MAX_CONTENT_TYPE_LENGTH) return undefined
  if (acknowledgement === undefined) return { status, contentType, body: message.body }
  const parsed = decodeAcknowledgement(acknowledgement)
  return parsed === undefined
    ? undefined
    : { status, contentType, body: message.body, acknowledgement: parsed }
}

function decodeAcknowledgement(value: JsonValue): Acknowledgement | undefined {
  if (!isJsonObject(value)) return undefined
  const { incarnation, committed } = value
  if (typeof incarnation !== 'string' || incarnation.length > MAX_INCARNATION_LENGTH) return undefined
  if (typeof committed !== 'number' || !Number.isSafeInteger(committed) || committed < 0) return undefined
  return { incarnation, committed }
}

export function encodeU32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

export function decodeU32(bytes: Uint8Array): number | undefined {
  if (bytes.length !== 4) return undefined
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0)
}

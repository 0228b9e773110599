import type { JsonValue } from '@plexus/core'
import { MAX_FRAME_BODY } from './limits.ts'

/**
 * A request or response: a JSON header and raw bytes, so that media is not base64. It is cut into frame bodies; the
 * first begins with u32 length of the header and u32 length of the raw bytes, and all but the last are full.
 */
export type Message = { readonly header: Uint8Array; readonly body: Uint8Array }

const PREFIX_BYTES = 8

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

export function encodeJson(value: JsonValue): Uint8Array {
  return encoder.encode(JSON.stringify(value))
}

/** `undefined` for bytes that are not JSON in UTF-8. */
export function decodeJson(bytes: Uint8Array): JsonValue | undefined {
  try {
    return JSON.parse(decoder.decode(bytes)) as JsonValue
  } catch {
    return undefined
  }
}

/** Bytes that a message takes in frame bodies. */
export function messageBytes(message: Message): number {
  return PREFIX_BYTES + message.header.length + message.body.length
}

/** The frame body at `offset` of the message's bytes; at most `MAX_FRAME_BODY` long. */
export function messagePart(message: Message, offset: number): Uint8Array {
  const end = Math.min(messageBytes(message), offset + MAX_FRAME_BODY)
  const part = new Uint8Array(end - offset)
  if (offset === 0) {
    const view = new DataView(part.buffer)
    view.setUint32(0, message.header.length)
    view.setUint32(4, message.body.length)
  }
  copyRange(part, offset, message.header, PREFIX_BYTES)
  copyRange(part, offset, message.body, PREFIX_BYTES + message.header.length)
  return part
}

/** Copies into `target`, which shows the message from `offset`, what it shows of `source`, which begins at `start`. */
function copyRange(target: Uint8Array, offset: number, source: Uint8Array, start: number): void {
  const from = Math.max(0, offset - start)
  const to = Math.min(source.length, offset + target.length - start)
  if (from < to) target.set(source.subarray(from, to), start + from - offset)
}

export type MessageBounds = { readonly header: number; readonly body: number }
export type MessageFault = 'message too short' | 'message too long' | 'message part has the wrong length'

/** A message that is being received. */
export interface Assembly {
  /** Bytes received. */
  readonly received: number
  /** The message once it is complete. Never throws. */
  add(part: Uint8Array): Message | MessageFault | undefined
}

export function createAssembly(bounds: MessageBounds): Assembly {
  const parts: Uint8Array[] = []
  let received = 0
  let headerBytes = 0
  let total = 0

  return {
    get received() {
      return received
    },
    add(part) {
      if (received === 0) {
        if (part.length < PREFIX_BYTES) return 'message too short'
        const view = new DataView(part.buffer, part.byteOffset, part.byteLength)
        headerBytes = view.getUint32(0)
        const bodyBytes = view.getUint32(4)
        if (headerBytes > bounds.header || bodyBytes > bounds.body) return 'message too long'
        total = PREFIX_BYTES + headerBytes + bodyBytes
      }
      if (part.length !== Math.min(MAX_FRAME_BODY, total - received))
        return 'message part has the wrong length'
      received += part.length
      parts.push(part)
      if (received < total) return undefined
      const bytes = parts.length === 1 ? part : concatBytes(parts, total)
      const split = PREFIX_BYTES + headerBytes
      return { header: bytes.subarray(PREFIX_BYTES, split), body: bytes.subarray(split) }
    },
  }
}

function concatBytes(parts: readonly Uint8Array[], total: number): Uint8Array {
  const bytes = new Uint8Array(total)
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

/**
 * The two parts of a media answer: JSON metadata, then the media.
 * spec: data/api/server-server/content_repository.yaml; RFC 2046 section 5.1, RFC 6266
 */
import { encodeBase64Url, isJsonObject, parseJson } from '@plexus/core'
import { MultipartParseError, parseMultipart, type MultipartPart } from '@remix-run/multipart-parser'
import { create as createDisposition, parse as parseDisposition } from 'content-disposition'
import { MAX_MULTIPART_OVERHEAD_BYTES } from './bounds.ts'

export type MediaPart = {
  readonly contentType: string
  readonly fileName?: string
  readonly bytes: Uint8Array
}

/** Longest content type and file name that are kept. */
const MAX_CONTENT_TYPE_LENGTH = 255
const MAX_FILE_NAME_LENGTH = 255
/** Bytes from which a boundary is made: no media can hold what is drawn after it was uploaded. */
export const BOUNDARY_RANDOM_BYTES = 18

const CONTENT_TYPE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\s*;[\x20-\x7e]*)?$/
// Only what needs no quotes, or stands in them plainly. RFC 2046 "boundary"
const BOUNDARY =
  /^multipart\/mixed\s*;(?:[^"]*;)?\s*boundary=(?:"([0-9A-Za-z'()+_,./:=?-]{1,70})"|([0-9A-Za-z'+_.-]{1,70}))\s*(?:;[^"]*)?$/i

const encoder = new TextEncoder()

/** `random`: `BOUNDARY_RANDOM_BYTES` bytes that were unknown when the media was uploaded. */
export function encodeMedia(
  media: MediaPart,
  random: Uint8Array,
): { contentType: string; bytes: Uint8Array } {
  const boundary = encodeBase64Url(random)
  const type = CONTENT_TYPE.test(media.contentType) ? media.contentType : 'application/octet-stream'
  const head =
    `--${boundary}\r\nContent-Type: application/json\r\n\r\n{}\r\n` +
    `--${boundary}\r\nContent-Type: ${type}\r\nContent-Disposition: ${createDisposition(media.fileName)}\r\n\r\n`
  const bytes = concat([encoder.encode(head), media.bytes, encoder.encode(`\r\n--${boundary}--\r\n`)])
  return { contentType: `multipart/mixed; boundary=${boundary}`, bytes }
}

/** The media part; `undefined` for anything but the two parts, or media of more than `maxBytes`. */
export function decodeMedia(contentType: string, body: Uint8Array, maxBytes: number): MediaPart | undefined {
  const parts = partsOf(contentType, body, maxBytes)
  const [metadata, media] = parts
  if (parts.length !== 2 || metadata === undefined || media === undefined) return undefined
  const json = parseJson(metadata.bytes, { maxBytes: MAX_MULTIPART_OVERHEAD_BYTES })
  if (json.kind !== 'ok' || !isJsonObject(json.value)) return undefined
  const headers = headersOf(media)
  // A redirect would lead out of the federation, to an address that another server chose.
  if (headers === undefined || headers['location'] !== undefined) return undefined
  const type = headers['content-type'] ?? ''
  const safe = type.length <= MAX_CONTENT_TYPE_LENGTH && CONTENT_TYPE.test(type)
  const part = { contentType: safe ? type : 'application/octet-stream', bytes: media.bytes }
  const fileName = fileNameOf(headers['content-disposition'])
  return fileName === undefined ? part : { ...part, fileName }
}

function partsOf(contentType: string, body: Uint8Array, maxBytes: number): readonly MultipartPart[] {
  const found = BOUNDARY.exec(contentType)
  const boundary = found?.[1] ?? found?.[2]
  if (boundary === undefined) return []
  // The first delimiter may begin on a line of its own.
  const message = body[0] === 13 && body[1] === 10 ? body.subarray(2) : body
  try {
    return [
      ...parseMultipart(message, { boundary, maxParts: 2, maxFileSize: maxBytes, maxTotalSize: body.length }),
    ]
  } catch (error) {
    if (error instanceof MultipartParseError) return []
    throw error
  }
}

/** `undefined` for headers that are not UTF-8. */
function headersOf(part: MultipartPart): MultipartPart['headers'] | undefined {
  try {
    return part.headers
  } catch (error) {
    if (error instanceof TypeError) return undefined
    throw error
  }
}

function fileNameOf(disposition: string | undefined): string | undefined {
  if (disposition === undefined) return undefined
  const name = parseDisposition(disposition).parameters['filename']
  if (name === undefined || name === '' || name.length > MAX_FILE_NAME_LENGTH) return undefined
  return name.toWellFormed()
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

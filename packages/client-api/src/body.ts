/** Request bodies: bounded in bytes and depth before anything looks into them. */
import { isJsonObject } from '@plexus/core'
import type { JsonObject, JsonValue } from '@plexus/core'
import { MatrixError, badJson, tooLarge } from './matrix-error.ts'

/** Largest JSON body; the largest honest ones are backups of many room keys. */
export const MAX_JSON_BYTES: number = 4 * 1024 * 1024
/** Deepest nesting of objects and arrays in a JSON body. */
export const MAX_JSON_DEPTH = 100

/** @throws MatrixError M_TOO_LARGE */
export async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = request.headers.get('content-length')
  if (Number(announced ?? 0) > maxBytes) throw tooLong(maxBytes)
  // HTTP lets no more through than was announced, and to read at once costs a fraction of the stream.
  if (announced !== null) {
    const bytes = new Uint8Array(await request.arrayBuffer())
    if (bytes.length > maxBytes) throw tooLong(maxBytes)
    return bytes
  }
  if (request.body === null) return new Uint8Array(0)
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body) {
    length += chunk.length
    if (length > maxBytes) throw tooLong(maxBytes)
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}

/** The body as a JSON object; an empty one counts as `{}`. @throws MatrixError M_NOT_JSON, M_BAD_JSON, M_TOO_LARGE */
export async function readJson(request: Request): Promise<JsonObject> {
  const bytes = await readBytes(request, MAX_JSON_BYTES)
  if (bytes.length === 0) return {}
  let text: string
  let value: JsonValue
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    if (isDeeperThan(text, MAX_JSON_DEPTH)) throw badJson(`nested deeper than ${MAX_JSON_DEPTH}`)
    value = JSON.parse(text) as JsonValue
  } catch (error) {
    if (error instanceof MatrixError) throw error
    throw new MatrixError(400, 'M_NOT_JSON', 'the body is not JSON in UTF-8')
  }
  if (!isJsonObject(value)) throw badJson('the body must be an object')
  return value
}

function tooLong(maxBytes: number): MatrixError {
  return tooLarge(`the body is longer than ${maxBytes} bytes`)
}

/** Counts brackets outside strings; right for every valid JSON text, and no answer matters for the others. */
export function isDeeperThan(text: string, depth: number): boolean {
  let open = 0
  let quoted = false
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    if (quoted) {
      if (unit === 0x5c) index += 1
      else if (unit === 0x22) quoted = false
    } else if (unit === 0x22) quoted = true
    else if (unit === 0x5b || unit === 0x7b) {
      open += 1
      if (open > depth) return true
    } else if (unit === 0x5d || unit === 0x7d) open -= 1
  }
  return false
}

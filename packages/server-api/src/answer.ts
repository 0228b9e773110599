/** What a handler answers, and the errors that become answers. spec: client-server-api "Standard error response" */
import type { JsonObject, JsonValue } from '@plexus/core'
import { canonicalJson } from '@plexus/core'
import type { Acknowledgement, CarrierResponse } from '@plexus/engine/ports'

export type Answer =
  | { readonly json: JsonValue; readonly acknowledgement?: Acknowledgement }
  | { readonly contentType: string; readonly bytes: Uint8Array }

/** A request is refused; `details` stand beside `errcode` and `error` in the answer. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly errcode: string
  readonly details: JsonObject
  constructor(status: number, errcode: string, message: string, details: JsonObject = {}) {
    super(message)
    this.status = status
    this.errcode = errcode
    this.details = details
  }
}

const STATUS_OF: ReadonlyMap<string, number> = new Map([
  ['M_FORBIDDEN', 403],
  ['M_INVITE_BLOCKED', 403],
  ['M_NOT_FOUND', 404],
  ['M_TOO_LARGE', 413],
  ['M_LIMIT_EXCEEDED', 429],
  ['M_UNKNOWN', 500],
  ['M_NOT_YET_UPLOADED', 504],
  ['M_UNABLE_DUE_TO_PARTIAL_STATE', 404],
])

/** The HTTP status that goes with an errcode of the engine. */
export function statusOf(errcode: string): number {
  return STATUS_OF.get(errcode) ?? 400
}

const encoder = new TextEncoder()

function jsonResponse(status: number, body: JsonValue): CarrierResponse {
  return { status, contentType: 'application/json', body: encoder.encode(JSON.stringify(body)) }
}

/** JSON whose bytes are canonical, as key documents are answered. */
export function canonicalAnswer(json: JsonObject): Answer {
  return { contentType: 'application/json', bytes: encoder.encode(canonicalJson(json)) }
}

export function errorResponse(error: ApiError): CarrierResponse {
  return jsonResponse(error.status, { ...error.details, errcode: error.errcode, error: error.message })
}

export function responseOf(answer: Answer): CarrierResponse {
  if ('bytes' in answer) return { status: 200, contentType: answer.contentType, body: answer.bytes }
  const response = jsonResponse(200, answer.json)
  return answer.acknowledgement === undefined
    ? response
    : { ...response, acknowledgement: answer.acknowledgement }
}

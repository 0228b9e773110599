import { decodeBase64, encodeBase64 } from './base64.ts'
import { canonicalJson, checkCanonical } from './canonical-json.ts'
import { claimedRoomId, contentHash, eventIdOf } from './hash.ts'
import {
  MAX_ID_BYTES,
  parseEventId,
  parseRoomId,
  parseUserId,
  utf8Length,
  type EventId,
  type EventIdForm,
  type RoomId,
} from './ids.ts'
import { isJsonObject, without, type JsonObject, type JsonValue } from './json.ts'
import type { EventReference, Pdu } from './pdu.ts'
import { redact } from './redact.ts'
import type { RoomVersion } from './room-version.ts'

/** Largest event in bytes of canonical JSON, signatures included. spec: client-server-api "Size limits" */
export const MAX_PDU_BYTES = 65_536
/** spec: data/api/server-server/definitions/components/auth_events_prev_events_v4.yaml, the same in all versions */
export const MAX_PREV_EVENTS = 20
export const MAX_AUTH_EVENTS = 10
/**
 * Largest `depth`; a longer chain stays at it. Versions before 6 know larger ones, but of those a number of JavaScript
 * does not keep the digits that are signed. spec: data/api/server-server/definitions/components/depth_v6.yaml
 */
export const MAX_DEPTH: number = Number.MAX_SAFE_INTEGER

/** Why a value is not an event. `field` is the top-level key, where there is one to name. */
export type FormatFailure = {
  readonly code:
    | 'not an object'
    | 'not canonical'
    | 'missing'
    | 'wrong type'
    | 'invalid'
    | 'too large'
    | 'wrong room'
  readonly field?: string
  readonly reason: string
}

export type FormatVerdict =
  | {
      readonly kind: 'ok'
      /** Without `unsigned`, and redacted if the content hash did not match. */
      readonly pdu: Pdu
      readonly eventId: EventId
      readonly roomId: RoomId
      readonly contentHashOk: boolean
    }
  | { readonly kind: 'drop'; readonly why: FormatFailure }

/**
 * Checks 1 and 3 of an event from outside; total on any value of a JSON parser. Signatures are the caller's to
 * check (`requiredSigners`, `signingBytes`). spec: server-server-api.md "Checks performed on receipt of a PDU"
 */
export function checkFormat(version: RoomVersion, raw: JsonValue): FormatVerdict {
  if (!isJsonObject(raw)) return drop('not an object', 'an event is an object')
  const event = without(raw, 'unsigned')
  const canonical = checkCanonical(event, { anyNumber: !version.strictJson })
  if (canonical !== undefined) return drop('not canonical', canonical)
  for (const check of CHECKS[version.eventIds]) {
    const why = check(event)
    if (why !== undefined) return { kind: 'drop', why }
  }
  const size = utf8Length(canonicalJson(event))
  if (size > MAX_PDU_BYTES) return drop('too large', `${size} bytes of canonical JSON`)
  const pdu = event as Pdu
  const roomId = claimedRoomId(version, pdu)
  if (roomId === undefined) return { kind: 'drop', why: missing('room_id') }
  const contentHashOk = hashMatches(pdu)
  return {
    kind: 'ok',
    pdu: contentHashOk ? pdu : redact(version, pdu),
    eventId: eventIdOf(version, pdu),
    roomId,
    contentHashOk,
  }
}

/**
 * The first of the fields that are longer than events may have them. Servers counted code points before they counted
 * bytes, so rooms hold such events, and others follow them: they are rejected, not dropped.
 * spec: client-server-api/_index.md "Size limits"
 */
export function oversizedField(pdu: Pick<Pdu, 'type' | 'state_key'>): 'type' | 'state_key' | undefined {
  if (utf8Length(pdu.type) > MAX_ID_BYTES) return 'type'
  return utf8Length(pdu.state_key ?? '') > MAX_ID_BYTES ? 'state_key' : undefined
}

/** In code points. */
function isShort(text: string): boolean {
  return (
    text.length <= MAX_ID_BYTES ||
    (text.length <= 2 * MAX_ID_BYTES && Array.from(text).length <= MAX_ID_BYTES)
  )
}

function hashMatches(pdu: Pdu): boolean {
  const claimed = decodeBase64(pdu.hashes.sha256)
  return claimed !== undefined && encodeBase64(claimed) === contentHash(pdu)
}

type FieldCheck = (event: JsonObject) => FormatFailure | undefined

/** spec: data/api/server-server/definitions/components/pdu_base.yaml, client-server-api "Size limits" */
const FIELD_CHECKS: readonly FieldCheck[] = [
  string('type', isShort),
  string('sender', (text) => parseUserId(text) !== undefined),
  optional(
    'room_id',
    string('room_id', (text) => parseRoomId(text) !== undefined),
  ),
  optional('state_key', string('state_key', isShort)),
  (event) => (event['content'] === undefined ? missing('content') : objectAt(event, 'content')),
  integer('origin_server_ts', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  integer('depth', 0, MAX_DEPTH),
  hashes,
  signatures,
]

/** The references in a list from outside, at most `most`; `undefined` for anything else. */
export function parseReferences(
  version: RoomVersion,
  value: JsonValue | undefined,
  most: number,
): readonly EventReference[] | undefined {
  if (!Array.isArray(value) || value.length > most) return undefined
  const entries = value as readonly JsonValue[]
  return entries.every(isReferenceOf(version.eventIds)) ? (entries as readonly EventReference[]) : undefined
}

function isReferenceOf(form: EventIdForm): (value: JsonValue) => boolean {
  if (form === 'field') return isIdWithHash
  return (value) => typeof value === 'string' && parseEventId(value, form) !== undefined
}

function checksFor(form: EventIdForm): readonly FieldCheck[] {
  return [
    ...FIELD_CHECKS,
    references('prev_events', MAX_PREV_EVENTS, isReferenceOf(form)),
    references('auth_events', MAX_AUTH_EVENTS, isReferenceOf(form)),
  ]
}

/** spec: rooms/v1.md, rooms/v3.md, rooms/v4.md "Event format" */
const CHECKS: Readonly<Record<EventIdForm, readonly FieldCheck[]>> = {
  field: [...checksFor('field'), string('event_id', (text) => parseEventId(text, 'field') !== undefined)],
  base64: checksFor('base64'),
  base64url: checksFor('base64url'),
}

function isIdWithHash(value: JsonValue): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false
  const [id, hashes] = value as readonly (JsonValue | undefined)[]
  if (typeof id !== 'string' || parseEventId(id, 'field') === undefined) return false
  return isJsonObject(hashes) && typeof hashes['sha256'] === 'string'
}

function string(field: string, valid: (text: string) => boolean): FieldCheck {
  return (event) => {
    const value = event[field]
    if (value === undefined) return missing(field)
    if (typeof value !== 'string') return wrongType(field, 'a string')
    return valid(value) ? undefined : { code: 'invalid', field, reason: `${field} is malformed or too long` }
  }
}

function optional(field: string, check: FieldCheck): FieldCheck {
  return (event) => (event[field] === undefined ? undefined : check(event))
}

function integer(field: string, lowest: number, highest: number): FieldCheck {
  return (event) => {
    const value = event[field]
    if (value === undefined) return missing(field)
    // Versions before 6 let fractions into an event, but not here.
    if (typeof value !== 'number' || !Number.isInteger(value)) return wrongType(field, 'an integer')
    return value >= lowest && value <= highest
      ? undefined
      : { code: 'invalid', field, reason: `${field} is out of range` }
  }
}

function references(field: string, most: number, isReference: (value: JsonValue) => boolean): FieldCheck {
  return (event) => {
    const value = event[field]
    if (value === undefined) return missing(field)
    if (!Array.isArray(value)) return wrongType(field, 'an array')
    if (value.length > most) return { code: 'too large', field, reason: `${value.length} entries` }
    const valid = (value as readonly JsonValue[]).every(isReference)
    return valid ? undefined : { code: 'invalid', field, reason: `${field} holds what is not an event id` }
  }
}

function hashes(event: JsonObject): FormatFailure | undefined {
  const value = event['hashes']
  if (value === undefined) return missing('hashes')
  if (!isJsonObject(value)) return wrongType('hashes', 'an object')
  return typeof value['sha256'] === 'string'
    ? undefined
    : wrongType('hashes', 'an object with a string sha256')
}

function signatures(event: JsonObject): FormatFailure | undefined {
  const value = event['signatures']
  if (value === undefined) return missing('signatures')
  if (!isJsonObject(value)) return wrongType('signatures', 'an object')
  for (const byKey of Object.values(value)) {
    if (!isJsonObject(byKey) || Object.values(byKey).some((text) => typeof text !== 'string')) {
      return wrongType('signatures', 'an object of objects of strings')
    }
  }
  return undefined
}

function objectAt(event: JsonObject, field: string): FormatFailure | undefined {
  return isJsonObject(event[field]) ? undefined : wrongType(field, 'an object')
}

function missing(field: string): FormatFailure {
  return { code: 'missing', field, reason: `no ${field}` }
}

function wrongType(field: string, wanted: string): FormatFailure {
  return { code: 'wrong type', field, reason: `${field} is not ${wanted}` }
}

function drop(code: FormatFailure['code'], reason: string): FormatVerdict {
  return { kind: 'drop', why: { code, reason } }
}

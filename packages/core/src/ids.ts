/**
 * Branded identifiers. A brand means: parsed by the function of the same name here, or made by this node.
 * Every parser is total: any string gives the branded string or `undefined`.
 * spec: appendices.md "Identifier Grammar"
 */
declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

export type ServerName = Branded<'ServerName'>
export type UserId = Branded<'UserId'>
export type RoomId = Branded<'RoomId'>
export type EventId = Branded<'EventId'>
export type RoomAlias = Branded<'RoomAlias'>
/** Signing key identifier, `ed25519:<version>`. */
export type KeyId = Branded<'KeyId'>
export type DeviceId = Branded<'DeviceId'>

/** Longest server name, in characters (all ASCII). spec: appendices.md "Server Name" */
export const MAX_SERVER_NAME_LENGTH = 230
/** Longest user id, room id, event id or alias with sigil and domain, in bytes of UTF-8. */
export const MAX_ID_BYTES = 255

const SERVER_NAME = /^(?:\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.-]{1,255})(?::[0-9]{1,5})?$/
const HASH_ID_OPAQUE = /^[A-Za-z0-9_-]{43}$/
const BASE64_HASH = /^[A-Za-z0-9+/]{43}$/
const NEW_LOCALPART = /^[a-z0-9._=/+-]+$/
// The key version is `[a-zA-Z0-9_]`. spec: data/api/server-server/definitions/keys.yaml
const KEY_ID = /^ed25519:[A-Za-z0-9_]{1,200}$/

/** Length of a string in bytes of UTF-8; a lone surrogate counts 3, as its replacement character does. */
export function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit >= 0xd800 && unit <= 0xdbff && isLowSurrogate(text.charCodeAt(i + 1))) {
      length += 2
      i += 1
    } else length += unit < 0x800 ? 1 : 2
  }
  return length
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff
}

/** spec: appendices.md "Server Name" */
export function parseServerName(text: string): ServerName | undefined {
  if (text.length > MAX_SERVER_NAME_LENGTH || !SERVER_NAME.test(text)) return undefined
  return text as ServerName
}

/**
 * A user id as it may stand in an event: historical localparts (any code points but `:` and NUL, also none) pass.
 * spec: appendices.md "Historical User IDs"
 */
export function parseUserId(text: string): UserId | undefined {
  return isDomainId(text, '@') ? (text as UserId) : undefined
}

/** True for a localpart that a new user may take. spec: appendices.md "User Identifiers" */
export function isValidNewLocalpart(localpart: string): boolean {
  return NEW_LOCALPART.test(localpart)
}

/** Both forms: `!opaque:server`, and `!` with the 43 characters of a hash (room version 12 on). */
export function parseRoomId(text: string): RoomId | undefined {
  if (text.startsWith('!') && HASH_ID_OPAQUE.test(text.slice(1))) return text as RoomId
  return isDomainId(text, '!') ? (text as RoomId) : undefined
}

/**
 * The forms of event ids: `$` with the 43 characters of a hash in URL-safe base64 (room version 4 on) or in plain
 * base64 (version 3), and `$opaque:server` (versions 1 and 2). spec: rooms/v1.md, v3.md, v4.md "Event IDs"
 */
export type EventIdForm = 'base64url' | 'base64' | 'field'

/** @param form the only one to let in; any if absent */
export function parseEventId(text: string, form?: EventIdForm): EventId | undefined {
  const valid =
    form === undefined ? Object.values(IS_EVENT_ID).some((is) => is(text)) : IS_EVENT_ID[form](text)
  return valid ? (text as EventId) : undefined
}

const IS_EVENT_ID: Readonly<Record<EventIdForm, (text: string) => boolean>> = {
  base64url: (text) => text.startsWith('$') && HASH_ID_OPAQUE.test(text.slice(1)),
  base64: (text) => text.startsWith('$') && BASE64_HASH.test(text.slice(1)),
  field: (text) => isDomainId(text, '$'),
}

/** spec: appendices.md "Room Aliases" */
export function parseRoomAlias(text: string): RoomAlias | undefined {
  return isDomainId(text, '#') ? (text as RoomAlias) : undefined
}

/** Only Ed25519 exists. spec: appendices.md "Signing Details" */
export function parseKeyId(text: string): KeyId | undefined {
  return KEY_ID.test(text) ? (text as KeyId) : undefined
}

/** The server that allocated the id. Ids of rooms and events have one in some room versions, else the answer is the id. */
export function serverOf(id: UserId | RoomAlias | RoomId | EventId): ServerName {
  return id.slice(id.indexOf(':') + 1) as ServerName
}

/** The part between the sigil and the first colon. */
export function localpartOf(id: UserId | RoomAlias): string {
  return id.slice(1, id.indexOf(':'))
}

function isDomainId(text: string, sigil: string): boolean {
  if (!text.startsWith(sigil) || text.length > MAX_ID_BYTES) return false
  const colon = text.indexOf(':')
  if (colon === -1 || parseServerName(text.slice(colon + 1)) === undefined) return false
  return !text.includes('\0') && text.isWellFormed() && utf8Length(text) <= MAX_ID_BYTES
}

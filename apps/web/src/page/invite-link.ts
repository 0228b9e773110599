/**
 * The fragment of an invite link, DESIGN section 7: `#join.` and the base64url of a JSON array of the link's parts.
 * A fragment is never sent to a server. It comes from anywhere, so it is parsed strictly and nothing in it is trusted.
 */
import { isValidNewLocalpart, localpartOf, parseRoomId, parseUserId } from '@plexus/core'
import type { InviteLink } from '@plexus/engine/ports'
import { base64urlnopad } from '@scure/base'

/** Longest fragment, in characters; a link with that much still fits a QR code or a chat message. */
export const MAX_FRAGMENT_LENGTH = 6_000
export const MAX_ADDRESSES = 8
export const MAX_ADDRESS_LENGTH = 400
export const MAX_TOKEN_LENGTH = 255
/** In UTF-16 units. */
export const MAX_ROOM_NAME_LENGTH = 100

const PREFIX = '#join.'
const TOKEN = /^[\x21-\x7e]+$/
const SECRET = /^[A-Za-z0-9_-]{43}$/
const ADDRESS = /^\/[\x21-\x7e]+$/
// Control characters and those that change the direction or hide text, so that a name cannot pretend to be more.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu

/** What has been read of a link, or why it is none. */
export type LinkReading =
  | { readonly kind: 'link'; readonly link: InviteLink }
  /** The fragment is of something else, or empty. */
  | { readonly kind: 'none' }
  | { readonly kind: 'broken'; readonly why: string }

/** `#join.…`. What is too long for a link (a long room name, a ninth address) is cut; the rest stands as it is. */
export function encodeInvite(link: InviteLink): string {
  const { roomId, token, secret, inviter } = link
  const multiaddrs = link.multiaddrs
    .filter((address) => address.length <= MAX_ADDRESS_LENGTH)
    .slice(0, MAX_ADDRESSES)
  const name = link.roomName === undefined ? undefined : cleanName(link.roomName)
  const parts = [roomId, token, secret, inviter, multiaddrs, ...(name === undefined ? [] : [name])]
  return PREFIX + base64urlnopad.encode(new TextEncoder().encode(JSON.stringify(parts)))
}

/** Reads a fragment, `#` included. */
export function decodeInvite(fragment: string): LinkReading {
  if (!fragment.startsWith(PREFIX)) return { kind: 'none' }
  if (fragment.length > MAX_FRAGMENT_LENGTH) return { kind: 'broken', why: 'it is too long' }
  const parts = parseParts(fragment.slice(PREFIX.length))
  if (parts === undefined) return { kind: 'broken', why: 'it is cut off or changed' }
  const link = linkOf(parts)
  return link === undefined
    ? { kind: 'broken', why: 'its parts are not what they should be' }
    : { kind: 'link', link }
}

/** Reads what somebody pasted: a whole address, or the fragment alone. */
export function readInvite(text: string): LinkReading {
  const trimmed = text.trim()
  const start = trimmed.indexOf(PREFIX)
  if (start === -1) return { kind: 'broken', why: 'it is no link to a room' }
  return decodeInvite(trimmed.slice(start))
}

function parseParts(payload: string): readonly unknown[] | undefined {
  try {
    // Refuses other alphabets, padding and stray bits, so that a link has one form.
    const bytes = base64urlnopad.decode(payload)
    const value: unknown = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
    )
    return Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

function linkOf(parts: readonly unknown[]): InviteLink | undefined {
  if (parts.length !== 5 && parts.length !== 6) return undefined
  const [room, token, secret, user, addresses, name] = parts
  const roomId = typeof room === 'string' ? parseRoomId(room) : undefined
  const inviter = typeof user === 'string' ? parseUserId(user) : undefined
  if (roomId === undefined || inviter === undefined) return undefined
  // The user id is shown, so it has no characters that could make it look like another.
  if (!isValidNewLocalpart(localpartOf(inviter))) return undefined
  if (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH || !TOKEN.test(token)) return undefined
  if (typeof secret !== 'string' || !SECRET.test(secret)) return undefined
  const multiaddrs = addressesOf(addresses)
  if (multiaddrs === undefined) return undefined
  const link: InviteLink = { roomId, token, secret, inviter, multiaddrs }
  if (parts.length === 5) return link
  if (typeof name !== 'string' || name === '' || cleanName(name) !== name) return undefined
  return { ...link, roomName: name }
}

function addressesOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_ADDRESSES) return undefined
  const isAddress = (entry: unknown): entry is string =>
    typeof entry === 'string' && entry.length <= MAX_ADDRESS_LENGTH && ADDRESS.test(entry)
  return value.every(isAddress) ? value : undefined
}

/** A name that shows as what it is; `undefined` when nothing of it is left. */
function cleanName(name: string): string | undefined {
  const seen = name.toWellFormed().replace(UNSEEN, '').trim()
  const cut = seen.slice(0, MAX_ROOM_NAME_LENGTH).toWellFormed().trim()
  return cut === '' ? undefined : cut
}

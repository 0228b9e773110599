/**
 * Order-preserving keys for the Store port: tuples of strings and numbers become strings of U+0001..U+00FF.
 * Tuples sort by their first part, then the next; a tuple sorts before every longer one that begins with it.
 */
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'

export type KeyPart = string | number

const END = '\u0001'
const ESCAPE = '\u0002'
const PLAIN = /^[\u0003-\u007f]*$/
const NUMBER_OFFSET = 2 ** 52
const NUMBER_DIGITS = 11

/** The key of a tuple. Numbers are integers of magnitude below 2^52. */
export function encodeKey(parts: readonly KeyPart[]): string {
  let key = ''
  for (const part of parts) key += (typeof part === 'number' ? encodeNumber(part) : encodeString(part)) + END
  return key
}

/** The half-open interval [lo, hi) of all keys that begin with the tuple. */
export function prefixRange(parts: readonly KeyPart[]): readonly [lo: string, hi: string] {
  const lo = encodeKey(parts)
  return [lo, `${lo}\u00ff`]
}

/** The tuple back, numbers as numbers where `kinds` says so. */
export function decodeKey(key: string, kinds: readonly ('s' | 'n')[]): KeyPart[] {
  const parts = key.split(END)
  return kinds.map((kind, index) => {
    const part = parts[index] ?? ''
    return kind === 'n' ? Number.parseInt(part, 36) - NUMBER_OFFSET : decodeString(part)
  })
}

function encodeNumber(value: number): string {
  if (!Number.isSafeInteger(value) || Math.abs(value) >= NUMBER_OFFSET)
    throw new RangeError(`not a key number: ${value}`)
  return (value + NUMBER_OFFSET).toString(36).padStart(NUMBER_DIGITS, '0')
}

/** Code units outside U+0003..U+007F stand as the escape and the hexadecimal UTF-8 of the whole string's rest. */
function encodeString(text: string): string {
  if (PLAIN.test(text)) return text
  let out = ''
  for (const character of text) {
    out += PLAIN.test(character) ? character : ESCAPE + escapeOf(character) + ESCAPE
  }
  return out
}

/** A lone surrogate has no UTF-8; it keeps its code unit, so that no two strings share a key. */
function escapeOf(character: string): string {
  const unit = character.charCodeAt(0)
  if (character.length === 1 && unit >= 0xd800 && unit <= 0xdfff) return `u${unit.toString(16)}`
  return bytesToHex(utf8ToBytes(character))
}

function decodeString(part: string): string {
  if (!part.includes(ESCAPE)) return part
  return part
    .split(ESCAPE)
    .map((piece, index) => (index % 2 === 0 ? piece : unescapePiece(piece)))
    .join('')
}

function unescapePiece(piece: string): string {
  if (piece.startsWith('u')) return String.fromCharCode(Number.parseInt(piece.slice(1), 16))
  let encoded = ''
  for (let index = 0; index < piece.length; index += 2) encoded += `%${piece.slice(index, index + 2)}`
  return decodeURIComponent(encoded)
}

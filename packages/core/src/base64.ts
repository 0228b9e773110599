import { base64nopad, base64urlnopad } from '@scure/base'

/** spec: appendices.md "Unpadded Base64" */
export function encodeBase64(bytes: Uint8Array): string {
  return base64nopad.encode(bytes)
}

/** spec: appendices.md "URL-safe unpadded Base64" */
export function encodeBase64Url(bytes: Uint8Array): string {
  return base64urlnopad.encode(bytes)
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/**
 * Decodes either alphabet, with or without padding, also where the last character has bits beyond the last byte (the
 * specification's own test seed does); `undefined` for anything else.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bare = text.replace(/={1,2}$/, '')
  if (bare !== text && text.length % 4 !== 0) return undefined
  const standard =
    /[-_]/.test(bare) && !/[+/]/.test(bare) ? bare.replaceAll('-', '+').replaceAll('_', '/') : bare
  try {
    return base64nopad.decode(withoutStrayBits(standard))
  } catch {
    return undefined
  }
}

function withoutStrayBits(text: string): string {
  const stray = { 2: 4, 3: 2 }[text.length % 4]
  const last = ALPHABET.indexOf(text.slice(-1))
  if (stray === undefined || last === -1) return text
  return text.slice(0, -1) + ALPHABET.charAt((last >> stray) << stray)
}

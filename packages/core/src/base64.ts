import { base64nopad, base64urlnopad } from '@scure/base'

/** spec: appendices.md "Unpadded Base64" */
export function encodeBase64(bytes: Uint8Array): string {
  return base64nopad.encode(bytes)
}

/** spec: appendices.md "URL-safe unpadded Base64" */
export function encodeBase64Url(bytes: Uint8Array): string {
  return base64urlnopad.encode(bytes)
}

/** Decodes either alphabet, with or without padding; `undefined` for anything else, stray bits included. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bare = text.replace(/={1,2}$/, '')
  if (bare !== text && text.length % 4 !== 0) return undefined
  try {
    return /[-_]/.test(bare) ? base64urlnopad.decode(bare) : base64nopad.decode(bare)
  } catch {
    return undefined
  }
}

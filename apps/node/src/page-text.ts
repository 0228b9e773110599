/** In which encoding a page is written. source: HTML Standard "Determining the character encoding" */

/** How far a page is searched for what it says about its encoding, in bytes. */
const MAX_PRESCAN_BYTES = 1_024

const BYTE_ORDER_MARKS: readonly (readonly [mark: readonly number[], label: string])[] = [
  [[0xef, 0xbb, 0xbf], 'utf-8'],
  [[0xfe, 0xff], 'utf-16be'],
  [[0xff, 0xfe], 'utf-16le'],
]

/** By byte order mark, `Content-Type`, a `meta` element, and else UTF-8 or what the web had before it. */
export function decodePage(bytes: Uint8Array, contentType: string): string {
  const mark = BYTE_ORDER_MARKS.find(([mark]) => mark.every((byte, index) => bytes[index] === byte))
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, MAX_PRESCAN_BYTES))
  const label =
    mark?.[1] ?? charsetIn(contentType) ?? charsetIn(/<meta\b[^>]*charset[^>]*>/i.exec(head)?.[0] ?? '')
  const known = label === undefined ? undefined : decoderOf(label)
  if (known !== undefined) return known.decode(bytes)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return new TextDecoder('windows-1252').decode(bytes)
  }
}

const charsetIn = (text: string): string | undefined => /charset\s*=\s*["']?([^\s"';>]+)/i.exec(text)?.[1]

function decoderOf(label: string): TextDecoder | undefined {
  try {
    return new TextDecoder(label)
  } catch {
    return undefined
  }
}

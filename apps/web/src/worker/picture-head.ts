/** What the first bytes of a picture say about it: its size is known before any pixel is decoded. */

export type PictureHead = {
  readonly contentType: 'image/gif' | 'image/jpeg' | 'image/png' | 'image/webp'
  /** In pixels, before it is turned upright. */
  readonly width: number
  readonly height: number
}

/** `undefined` for what is no picture of a known kind. */
export function pictureHead(bytes: Uint8Array): PictureHead | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  try {
    return pngHead(view) ?? gifHead(view) ?? webpHead(view) ?? jpegHead(view)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

const textAt = (view: DataView, at: number, length: number): string =>
  String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at, length))

/** source: PNG (Third Edition) "IHDR" */
function pngHead(view: DataView): PictureHead | undefined {
  if (view.getUint32(0) !== 0x8950_4e47 || textAt(view, 12, 4) !== 'IHDR') return undefined
  return { contentType: 'image/png', width: view.getUint32(16), height: view.getUint32(20) }
}

/** source: GIF89a "Logical Screen Descriptor" */
function gifHead(view: DataView): PictureHead | undefined {
  if (!/^GIF8[79]a$/.test(textAt(view, 0, 6))) return undefined
  return { contentType: 'image/gif', width: view.getUint16(6, true), height: view.getUint16(8, true) }
}

/** source: RFC 9649 section 2; of lossy pictures RFC 6386 section 9.1 */
function webpHead(view: DataView): PictureHead | undefined {
  if (textAt(view, 0, 4) !== 'RIFF' || textAt(view, 8, 4) !== 'WEBP') return undefined
  const contentType = 'image/webp'
  switch (textAt(view, 12, 4)) {
    case 'VP8X': {
      const threeBytes = (at: number): number => view.getUint16(at, true) + view.getUint8(at + 2) * 0x1_0000
      return { contentType, width: threeBytes(24) + 1, height: threeBytes(27) + 1 }
    }
    case 'VP8L': {
      const bits = view.getUint32(21, true)
      return { contentType, width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 }
    }
    case 'VP8 ':
      return {
        contentType,
        width: view.getUint16(26, true) & 0x3fff,
        height: view.getUint16(28, true) & 0x3fff,
      }
    default:
      return undefined
  }
}

/** source: ITU T.81 section B.2: segments up to the head of the frame */
function jpegHead(view: DataView): PictureHead | undefined {
  if (view.getUint16(0) !== 0xffd8) return undefined
  for (let at = 2; ;) {
    if (view.getUint8(at) !== 0xff) return undefined
    const marker = view.getUint8(at + 1)
    // A marker may be filled up in front.
    if (marker === 0xff) at += 1
    else if (isFrame(marker))
      return { contentType: 'image/jpeg', width: view.getUint16(at + 7), height: view.getUint16(at + 5) }
    else at += 2 + view.getUint16(at + 2)
  }
}

/** SOF0 to SOF15, without DHT, JPG and DAC that lie between them. */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc

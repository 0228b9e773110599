import { createHash, randomBytes } from 'node:crypto'
import { crc32, deflateSync } from 'node:zlib'
import type { Locator } from 'playwright'

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
/** 8 bits per channel, red, green, blue and alpha; no interlace. */
const FORMAT = Buffer.from([8, 6, 0, 0, 0])

/** A PNG of random opaque pixels, which does not compress, and the SHA-256 of its pixels. */
export function noisePng(width: number, height: number): { bytes: Buffer; pixelHash: string } {
  const pixels = randomBytes(width * height * 4)
  for (let alpha = 3; alpha < pixels.length; alpha += 4) pixels[alpha] = 255
  const size = Buffer.alloc(8)
  size.writeUInt32BE(width, 0)
  size.writeUInt32BE(height, 4)
  const rows = Array.from({ length: height }, (_, row) =>
    Buffer.concat([Buffer.of(0), pixels.subarray(row * width * 4, (row + 1) * width * 4)]),
  )
  const bytes = Buffer.concat([
    SIGNATURE,
    chunk('IHDR', Buffer.concat([size, FORMAT])),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ])
  return { bytes, pixelHash: createHash('sha256').update(pixels).digest('hex') }
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const frame = Buffer.alloc(8)
  frame.writeUInt32BE(data.length, 0)
  frame.writeUInt32BE(crc32(named), 4)
  return Buffer.concat([frame.subarray(0, 4), named, frame.subarray(4)])
}

/** SHA-256 of the pixels that an `img` shows, in its own size. */
export async function pixelHash(image: Locator): Promise<string> {
  return image.evaluate(async (element) => {
    const shown = element as HTMLImageElement
    await shown.decode()
    const canvas = new OffscreenCanvas(shown.naturalWidth, shown.naturalHeight)
    const drawing = canvas.getContext('2d')
    if (drawing === null) throw new Error('no canvas')
    drawing.drawImage(shown, 0, 0)
    const { data } = drawing.getImageData(0, 0, canvas.width, canvas.height)
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(data)))
    return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  })
}

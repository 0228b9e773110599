import { describe, expect, it } from 'vitest'
import { pictureHead } from './picture-head.ts'

const bytesOf = (...parts: readonly (string | readonly number[])[]): Uint8Array =>
  Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === 'string' ? Array.from(part, (c) => c.charCodeAt(0)) : [...part],
    ),
  )

const PNG = bytesOf('\u0089PNG\r\n\u001a\n', [0, 0, 0, 13], 'IHDR', [0, 0, 1, 44, 0, 0, 0, 150])
const GIF = bytesOf('GIF89a', [44, 1, 150, 0])
const webp = (kind: string, ...rest: number[]): Uint8Array =>
  bytesOf('RIFF', [0, 0, 0, 0], 'WEBP', kind, [0, 0, 0, 0], rest)
const VP8X = webp('VP8X', 0, 0, 0, 0, 43, 1, 0, 149, 0, 0)
const VP8L = webp('VP8L', 0x2f, 0x2b, 0x41, 0x25, 0)
const VP8 = webp('VP8 ', 0, 0, 0, 0x9d, 1, 0x2a, 44, 0x41, 150, 0x40)
const JPEG = bytesOf(
  [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xc4, 0, 2],
  [0xff, 0xc2, 0, 11, 8, 0, 150, 1, 44],
)

describe('the head of a picture', () => {
  it.each([
    ['image/png', PNG],
    ['image/gif', GIF],
    ['image/webp', VP8X],
    ['image/webp', VP8L],
    ['image/webp', VP8],
    ['image/jpeg', JPEG],
  ])('of %s says how large it is', (contentType, bytes) => {
    expect(pictureHead(bytes)).toEqual({ contentType, width: 300, height: 150 })
  })

  it('is not there for anything else, nor where the picture is cut', () => {
    for (const bytes of [PNG, GIF, VP8X, VP8L, VP8, JPEG])
      for (let length = 0; length < bytes.length - 1; length++)
        expect(pictureHead(bytes.subarray(0, length))?.width ?? 300).toBe(300)
    expect(pictureHead(PNG.subarray(0, 20))).toBeUndefined()
    expect(pictureHead(JPEG.subarray(0, 12))).toBeUndefined()
    for (const text of ['', '<svg width="9" height="9"/>', 'x'.repeat(100), 'RIFF0000WEBPVP9 '])
      expect(pictureHead(bytesOf(text))).toBeUndefined()
    expect(
      pictureHead(
        bytesOf(
          [0xff, 0xd8],
          Array.from({ length: 1_000 }, () => 0xff),
        ),
      ),
    ).toBeUndefined()
  })
})

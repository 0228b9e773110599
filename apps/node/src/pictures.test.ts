import type { ThumbnailSize } from '@plexus/engine/ports'
import sharp, { type Sharp } from 'sharp'
import { describe, expect, it } from 'vitest'
import { createPictures, MAX_PIXELS, measure } from './pictures.ts'

const plain = (width: number, height: number, channels: 3 | 4 = 3): Sharp =>
  sharp({ create: { width, height, channels, background: { r: 200, g: 10, b: 10, alpha: 0.5 } } })

/** A GIF of two frames. */
const moving = (width: number, height: number): Promise<Buffer> => {
  const pixels = Buffer.alloc(width * height * 2 * 3)
  pixels.fill(255, pixels.length / 2)
  return sharp(pixels, { raw: { width, height: height * 2, channels: 3, pageHeight: height } })
    .gif()
    .toBuffer()
}

/** The kind, size and frames of a thumbnail; or what is said in place of one. */
async function shrunk(bytes: Uint8Array, size: Partial<ThumbnailSize>): Promise<unknown> {
  const made = await createPictures().thumbnail(bytes, {
    width: 32,
    height: 32,
    method: 'scale',
    animated: false,
    ...size,
  })
  if (typeof made === 'string') return made
  const { format, width, height, pages = 1 } = await sharp(made.bytes).metadata()
  expect(made.contentType).toBe(`image/${format}`)
  return `${format} ${width}x${height} ${pages}`
}

describe('thumbnails', () => {
  it('are at least as large as wanted, in the aspect of the picture or of the wish', async () => {
    const bytes = await plain(400, 200).jpeg().toBuffer()
    expect(await shrunk(bytes, {})).toBe('jpeg 64x32 1')
    expect(await shrunk(bytes, { width: 100, height: 10 })).toBe('jpeg 100x50 1')
    expect(await shrunk(bytes, { method: 'crop' })).toBe('jpeg 32x32 1')
    expect(await shrunk(await plain(64, 64, 4).webp().toBuffer(), {})).toBe('png 32x32 1')
    expect(await shrunk(await plain(64, 64).avif().toBuffer(), {})).toBe('jpeg 32x32 1')
  })

  it('are never enlarged', async () => {
    const bytes = await plain(400, 20).png().toBuffer()
    for (const method of ['crop', 'scale'] as const) expect(await shrunk(bytes, { method })).toBe('original')
  })

  it('stand upright', async () => {
    const bytes = await plain(400, 200).jpeg().withMetadata({ orientation: 6 }).toBuffer()
    expect(await shrunk(bytes, {})).toBe('jpeg 32x64 1')
    expect(await measure(bytes)).toMatchObject({ contentType: 'image/jpeg', width: 200, height: 400 })
  })

  it('move only when they may', async () => {
    const bytes = await moving(64, 64)
    expect(await shrunk(bytes, { animated: true })).toBe('webp 32x32 2')
    // A GIF may have transparent parts.
    expect(await shrunk(bytes, {})).toBe('png 32x32 1')
    const small = await moving(16, 16)
    expect(await shrunk(small, { animated: true })).toBe('original')
    expect(await shrunk(small, {})).toBe('png 16x16 1')
  })

  it('of a small animated PNG do not move', async () => {
    const png = await plain(8, 8).png().toBuffer()
    const control = Buffer.from('0000000861635444c000000100000000', 'hex')
    control.write('acTL', 4)
    const animated = Buffer.concat([
      png.subarray(0, 33),
      control,
      Buffer.from('b92d6c2d', 'hex'),
      png.subarray(33),
    ])
    expect(await shrunk(png, {})).toBe('original')
    expect(await shrunk(animated, {})).not.toBe('original')
  })

  it('are not made of too many pixels, however few the bytes', async () => {
    const side = Math.ceil(Math.sqrt(MAX_PIXELS)) + 1
    const bomb = await plain(side, side).png().toBuffer()
    expect(bomb.length).toBeLessThan(1_000_000)
    expect(await shrunk(bomb, {})).toBe('too-large')
    expect(await measure(bomb)).toBeUndefined()
  })

  it('are not made of what is no picture of a known kind', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"/>')
    const tiff = await plain(64, 64).tiff().toBuffer()
    const png = await plain(64, 64).png().toBuffer()
    for (const bytes of [svg, tiff, Buffer.from('nonsense'), Buffer.alloc(0), png.subarray(0, 60)]) {
      expect(await shrunk(bytes, {})).toBe('unreadable')
    }
    expect(await measure(svg)).toBeUndefined()
  })
})

import type { ThumbnailSize } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import { canvasPictures, MAX_PIXELS } from './pictures.ts'

/** Red on the left, blue on the right. */
async function painted(width: number, height: number, type: string): Promise<Uint8Array> {
  const canvas = new OffscreenCanvas(width, height)
  const drawing = canvas.getContext('2d')
  if (drawing === null) throw new Error('no canvas')
  drawing.fillStyle = 'red'
  drawing.fillRect(0, 0, width, height)
  drawing.fillStyle = 'blue'
  drawing.fillRect(width / 2, 0, width / 2, height)
  return new Uint8Array(await (await canvas.convertToBlob({ type })).arrayBuffer())
}

/** The kind and size of a thumbnail, and the colours of its upper corners; or what is said in place of one. */
async function shrunk(bytes: Uint8Array, size: Partial<ThumbnailSize> = {}): Promise<unknown> {
  const made = await canvasPictures.thumbnail(bytes, {
    width: 32,
    height: 32,
    method: 'scale',
    animated: false,
    ...size,
  })
  if (typeof made === 'string') return made
  const picture = await createImageBitmap(new Blob([new Uint8Array(made.bytes)]))
  const { width, height } = picture
  const canvas = new OffscreenCanvas(width, height)
  const drawing = canvas.getContext('2d')
  drawing?.drawImage(picture, 0, 0)
  const colourAt = (x: number): string => {
    const [red = 0, , blue = 0] = drawing?.getImageData(x, 0, 1, 1).data ?? []
    return red > blue ? 'red' : 'blue'
  }
  return `${made.contentType} ${width}x${height} ${colourAt(0)} ${colourAt(width - 1)}`
}

describe('thumbnails by a canvas', () => {
  it('are at least as large as wanted, in the aspect of the picture or of the wish', async () => {
    const jpeg = await painted(400, 200, 'image/jpeg')
    expect(await shrunk(jpeg)).toBe('image/jpeg 64x32 red blue')
    expect(await shrunk(jpeg, { method: 'crop' })).toBe('image/jpeg 32x32 red blue')
    expect(await shrunk(await painted(64, 64, 'image/webp'))).toBe('image/png 32x32 red blue')
  })

  it('are never enlarged, and move only when they may', async () => {
    const png = await painted(400, 20, 'image/png')
    expect(await shrunk(await painted(400, 20, 'image/jpeg'))).toBe('original')
    expect(await shrunk(png, { animated: true })).toBe('original')
    expect(await shrunk(png, { method: 'crop' })).toBe('image/png 400x20 red blue')
  })

  it('are not made of too many pixels, nor of what is no picture', async () => {
    const png = await painted(40, 40, 'image/png')
    const bomb = Uint8Array.from(png)
    new DataView(bomb.buffer).setUint32(16, MAX_PIXELS)
    expect(await shrunk(bomb)).toBe('too-large')
    expect(await shrunk(png.subarray(0, 40))).toBe('unreadable')
    expect(await shrunk(new TextEncoder().encode('<svg width="99" height="99"/>'))).toBe('unreadable')
  })
})

/** Thumbnails by a canvas. */
import type { Picture, Pictures, ThumbnailSize } from '@plexus/engine/ports'
import { pictureHead, type PictureHead } from './picture-head.ts'

/** Width times height: 200 MB of a tab. */
export const MAX_PIXELS = 50_000_000

/** Still ones alone: what may move is given as it is. */
export const canvasPictures: Pictures = {
  async thumbnail(bytes, size) {
    const head = pictureHead(bytes)
    if (head === undefined || head.width * head.height === 0) return 'unreadable'
    if (head.width * head.height > MAX_PIXELS) return 'too-large'
    const maybeMoves = head.contentType !== 'image/jpeg'
    if (size.animated && maybeMoves) return 'original'
    const picture = await decode(bytes, head)
    if (picture === undefined) return 'unreadable'
    try {
      const isSmall = picture.width <= size.width || picture.height <= size.height
      if (isSmall && !maybeMoves) return 'original'
      return await draw(picture, head, isSmall ? 1 : scaleOf(picture, size), size)
    } finally {
      picture.close()
    }
  },
}

/** As shown, turned upright. */
async function decode(bytes: Uint8Array, { contentType }: PictureHead): Promise<ImageBitmap | undefined> {
  try {
    return await createImageBitmap(new Blob([new Uint8Array(bytes)], { type: contentType }))
  } catch {
    return undefined
  }
}

/** So that the picture is at least as large as wanted both ways. spec: content_repo.md "Thumbnails" */
const scaleOf = (picture: ImageBitmap, { width, height }: ThumbnailSize): number =>
  Math.max(width / picture.width, height / picture.height)

async function draw(
  picture: ImageBitmap,
  { contentType }: PictureHead,
  scale: number,
  { width, height, method }: ThumbnailSize,
): Promise<Picture> {
  const whole = { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) }
  const crops = method === 'crop' && scale < 1
  const canvas = new OffscreenCanvas(crops ? width : whole.width, crops ? height : whole.height)
  const drawing = canvas.getContext('2d')
  if (drawing === null) throw new Error('no canvas')
  drawing.imageSmoothingQuality = 'high'
  const left = (canvas.width - whole.width) / 2
  const top = (canvas.height - whole.height) / 2
  drawing.drawImage(picture, left, top, whole.width, whole.height)
  // Only a JPEG has no transparent parts for sure.
  const type = contentType === 'image/jpeg' ? contentType : 'image/png'
  const blob = await canvas.convertToBlob({ type })
  return { bytes: new Uint8Array(await blob.arrayBuffer()), contentType: type }
}

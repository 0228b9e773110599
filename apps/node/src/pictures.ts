/** Pictures by libvips. Strangers made them: only decoders of what browsers show are on, and pixels and time are bounded. */
import type { Picture, Pictures, ThumbnailSize, WebPage } from '@plexus/engine/ports'
import type Sharp from 'sharp'
import type { Metadata, Sharp as Pipeline } from 'sharp'

/** Width times height, times frames of what moves. */
export const MAX_PIXELS = 50_000_000
const TIMEOUT_S = 10
/** Threads for one picture; Node gives four pictures a thread each. */
const THREADS = 1

let loading: Promise<typeof Sharp> | undefined

/** Loaded with the first picture: it takes 30 MB. */
const library = (): Promise<typeof Sharp> => (loading ??= load())

async function load(): Promise<typeof Sharp> {
  const { default: sharp } = await import('sharp')
  sharp.block({ operation: ['VipsForeignLoad'] })
  sharp.unblock({
    operation: [
      'VipsForeignLoadJpegBuffer',
      'VipsForeignLoadPngBuffer',
      'VipsForeignLoadNsgifBuffer',
      'VipsForeignLoadWebpBuffer',
      'VipsForeignLoadHeifBuffer',
    ],
  })
  sharp.concurrency(THREADS)
  // Each picture is decoded once.
  sharp.cache(false)
  return sharp
}

/** By the names that libvips has for formats. */
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  jpeg: 'image/jpeg',
  png: 'image/png',
  gif: 'image/gif',
  webp: 'image/webp',
  heif: 'image/avif',
}

type Facts = {
  readonly contentType: string
  /** As shown, of one frame. */
  readonly width: number
  readonly height: number
  readonly frames: number
  readonly hasAlpha: boolean
}

export function createPictures(): Pictures {
  return {
    async thumbnail(bytes, size) {
      const facts = await inspect(bytes)
      if (facts === undefined) return 'unreadable'
      const { width, height, frames } = facts
      if (width * height > MAX_PIXELS) return 'too-large'
      const moves = size.animated && frames > 1 && width * height * frames <= MAX_PIXELS
      const isSmall = width <= size.width || height <= size.height
      if (isSmall && (moves || (frames === 1 && !isAnimatedPng(bytes)))) return 'original'
      try {
        return await withPicture(bytes, { animated: moves }, (picture) =>
          shrink(picture, facts, { ...size, animated: moves }),
        )
      } catch {
        return 'unreadable'
      }
    },
  }
}

/** The picture with its type and size, `undefined` for what is no picture that may be shown. */
export async function measure(bytes: Uint8Array): Promise<WebPage['picture']> {
  const facts = await inspect(bytes)
  if (facts === undefined || facts.width * facts.height > MAX_PIXELS) return undefined
  const { contentType, width, height } = facts
  return { bytes, contentType, width, height }
}

type OpenOptions = { readonly animated: boolean; readonly limit?: false }

async function withPicture<T>(
  bytes: Uint8Array,
  { animated, limit }: OpenOptions,
  use: (picture: Pipeline) => Promise<T>,
): Promise<T> {
  const sharp = await library()
  const options = { animated, limitInputPixels: limit ?? MAX_PIXELS, failOn: 'error' } as const
  return use(sharp(bytes, options).timeout({ seconds: TIMEOUT_S }))
}

/** Reads the head alone. */
async function inspect(bytes: Uint8Array): Promise<Facts | undefined> {
  let found: Metadata
  try {
    found = await withPicture(bytes, { animated: false, limit: false }, (picture) => picture.metadata())
  } catch {
    return undefined
  }
  const contentType = CONTENT_TYPES[found.format]
  if (contentType === undefined) return undefined
  const { width, height } = found.autoOrient
  return { contentType, width, height, frames: found.pages ?? 1, hasAlpha: found.hasAlpha }
}

/**
 * At least as large as wanted both ways, unless the picture is not.
 * spec: client-server-api/modules/content_repo.md "Thumbnails"
 */
async function shrink(picture: Pipeline, facts: Facts, size: ThumbnailSize): Promise<Picture> {
  const { width, height, method, animated } = size
  const resized = picture.autoOrient().resize({
    width,
    height,
    fit: method === 'crop' ? 'cover' : 'outside',
    withoutEnlargement: true,
  })
  const encoded = animated
    ? { picture: resized.webp(), contentType: 'image/webp' }
    : facts.hasAlpha
      ? { picture: resized.png(), contentType: 'image/png' }
      : { picture: resized.jpeg(), contentType: 'image/jpeg' }
  const bytes = await encoded.picture.toBuffer()
  return { bytes: new Uint8Array(bytes), contentType: encoded.contentType }
}

/** libvips sees one frame only. source: PNG (Third Edition) "acTL": it stands before the first IDAT. */
function isAnimatedPng(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const control = buffer.indexOf('acTL')
  return buffer.readUInt32BE(0) === 0x8950_4e47 && control !== -1 && control < buffer.indexOf('IDAT')
}

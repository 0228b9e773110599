/** Thumbnails, made when they are asked for. spec: client-server-api/modules/content_repo.md "Thumbnails" */
import { createLru } from '../kernel/lru.ts'
import type { Picture, Pictures, ThumbnailSize } from '../ports.ts'
import { UserError } from './types.ts'
import type { Media, MediaItem, Thumbnails } from './types.ts'

/** What is decoded, and safe to be shown inline. spec: content_repo.md "Serving inline content" */
const KINDS: ReadonlySet<string> = new Set([
  'image/jpeg',
  'image/gif',
  'image/png',
  'image/apng',
  'image/webp',
  'image/avif',
])
/** Largest picture that stands in for its thumbnail where none can be made. */
const MAX_STAND_IN_BYTES: number = 1024 * 1024
/** Thumbnails in the making at a time, for all users; more are refused. */
export const MAX_UNDER_WAY = 32
/** What is kept in memory: 64 MiB at most. */
const MAX_KEPT = 256
const MAX_KEPT_BYTES: number = 256 * 1024

type Parts = { readonly media: Pick<Media, 'download'>; readonly pictures: Pictures | undefined }

export function createThumbnails({ media, pictures }: Parts): Thumbnails {
  const kept = createLru<string, Picture>(MAX_KEPT)
  let underWay = 0

  const make = async (maker: Pictures, item: MediaItem, size: ThumbnailSize): Promise<Picture> => {
    if (underWay >= MAX_UNDER_WAY) throw new UserError('M_LIMIT_EXCEEDED', 'too many thumbnails; try again')
    underWay += 1
    try {
      const made = await maker.thumbnail(item.bytes, size)
      if (made === 'original') return item
      if (made === 'too-large') throw new UserError('M_TOO_LARGE', 'the picture has too many pixels')
      if (made === 'unreadable') throw noThumbnail()
      return made
    } finally {
      underWay -= 1
    }
  }

  return {
    async get(server, mediaId, size, options) {
      const key = [server, mediaId, size.width, size.height, size.method, size.animated].join(' ')
      const known = kept.get(key)
      if (known !== undefined) return known
      const item = await media.download(server, mediaId, options)
      if (!KINDS.has(item.contentType.replace(/;.*/s, '').trim().toLowerCase())) throw noThumbnail()
      if (pictures === undefined) {
        if (item.bytes.length <= MAX_STAND_IN_BYTES) return item
        throw new UserError('M_TOO_LARGE', 'the picture is too large to stand in for a thumbnail')
      }
      const made = await make(pictures, item, size)
      if (made !== item && made.bytes.length <= MAX_KEPT_BYTES) kept.set(key, made)
      return made
    },
  }
}

function noThumbnail(): UserError {
  return new UserError('M_UNKNOWN', 'there are no thumbnails of this kind of media')
}

/** What the media endpoints share. spec: client-server-api/modules/content_repo.md */
import type { ServerName } from '@plexus/core'
import type { MediaItem, MediaMetadata, RemoteOptions } from '@plexus/engine'
import * as v from 'valibot'
import { MatrixError, notFound } from '../../matrix-error.ts'
import { queryBoolean, queryInteger } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'

/** Longest wait for media, in milliseconds; the default is that of the specification. */
const MAX_MEDIA_TIMEOUT_MS = 60_000
/** Largest image that is served in place of a thumbnail: this node does not scale images. */
const MAX_THUMBNAIL_BYTES: number = 1024 * 1024
const MAX_THUMBNAIL_SIDE = 10_000

export const mediaTimeout: v.GenericSchema<unknown, number> = v.optional(
  queryInteger(0, MAX_MEDIA_TIMEOUT_MS),
  '20000',
)

const thumbnailFields = {
  width: queryInteger(1, MAX_THUMBNAIL_SIDE),
  height: queryInteger(1, MAX_THUMBNAIL_SIDE),
  method: v.optional(v.picklist(['crop', 'scale'])),
  timeout_ms: mediaTimeout,
}

export const thumbnailQuery: v.GenericSchema<unknown, { timeout_ms: number }> = v.object(thumbnailFields)
export const legacyThumbnailQuery: v.GenericSchema<unknown, { timeout_ms: number; allow_remote: boolean }> =
  v.object({ ...thumbnailFields, allow_remote: v.optional(queryBoolean, 'true') })

/** spec: content_repo.md "Serving inline content" */
const INLINE: ReadonlySet<string> = new Set([
  'text/css',
  'text/plain',
  'text/csv',
  'application/json',
  'application/ld+json',
  'image/jpeg',
  'image/gif',
  'image/png',
  'image/apng',
  'image/webp',
  'image/avif',
  'video/mp4',
  'video/webm',
  'video/ogg',
  'video/quicktime',
  'audio/mp4',
  'audio/webm',
  'audio/aac',
  'audio/mpeg',
  'audio/ogg',
  'audio/wave',
  'audio/wav',
  'audio/x-wav',
  'audio/x-pn-wav',
  'audio/flac',
  'audio/x-flac',
])

const SECURITY_POLICY =
  "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; object-src 'self';"

type MediaPath = {
  readonly serverName: ServerName
  readonly mediaId: string
  readonly fileName?: string | undefined
}

/** What the uploader says about the bytes. */
export function metadataOf(request: Request, fileName: string | undefined): MediaMetadata {
  const contentType = request.headers.get('content-type')
  return {
    ...(contentType === null ? {} : { contentType }),
    ...(fileName === undefined ? {} : { fileName }),
  }
}

export async function download(
  engine: ApiEngine,
  path: MediaPath,
  options: RemoteOptions,
): Promise<Response> {
  const item = await fetchItem(engine, path, options)
  return mediaResponse(item, path.fileName ?? item.fileName)
}

/**
 * Without an image codec the original stands in where it is small enough: thumbnails may be larger than asked for.
 * @throws MatrixError M_UNKNOWN for what is no image, M_TOO_LARGE.
 */
export async function thumbnail(
  engine: ApiEngine,
  path: MediaPath,
  options: RemoteOptions,
): Promise<Response> {
  const item = await fetchItem(engine, path, options)
  const type = baseType(item.contentType)
  if (!type.startsWith('image/') || !INLINE.has(type)) {
    throw new MatrixError(400, 'M_UNKNOWN', 'there are no thumbnails of this kind of media')
  }
  if (item.bytes.length > MAX_THUMBNAIL_BYTES) {
    const status = path.serverName === engine.serverName ? 413 : 502
    throw new MatrixError(status, 'M_TOO_LARGE', 'the image is too large to stand in for a thumbnail')
  }
  return mediaResponse(item, item.fileName)
}

/**
 * The unauthenticated endpoints are frozen: who has no token gets nothing from them.
 * @throws MatrixError M_NOT_FOUND. spec: content_repo.md "Client behaviour"
 */
export function checkLegacy(
  engine: ApiEngine,
  requester: Requester | undefined,
  serverName: ServerName,
  allowRemote: boolean,
): void {
  if (requester === undefined || (!allowRemote && serverName !== engine.serverName)) {
    throw notFound('this media is served by the authenticated endpoints only')
  }
}

async function fetchItem(engine: ApiEngine, path: MediaPath, options: RemoteOptions): Promise<MediaItem> {
  return engine.users.media.download(path.serverName, path.mediaId, options)
}

function mediaResponse({ bytes, contentType }: MediaItem, fileName: string | undefined): Response {
  const disposition = INLINE.has(baseType(contentType)) ? 'inline' : 'attachment'
  return new Response(new Uint8Array(bytes), {
    headers: {
      'Content-Type': contentType,
      'Content-Length': String(bytes.length),
      'Content-Disposition':
        fileName === undefined ? disposition : `${disposition}; ${fileNameParameter(fileName)}`,
      'Content-Security-Policy': SECURITY_POLICY,
      'Cross-Origin-Resource-Policy': 'cross-origin',
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'private, max-age=31536000, immutable',
    },
  })
}

function baseType(contentType: string): string {
  return (contentType.split(';')[0] ?? '').trim().toLowerCase()
}

/** RFC 6266: a quoted string for plain names, RFC 8187 for the others. */
function fileNameParameter(fileName: string): string {
  const clean = fileName.toWellFormed().replaceAll(/[/\\]|\p{Cc}/gu, '_')
  if (/^[ -~]*$/.test(clean)) return `filename="${clean.replaceAll('"', '\\"')}"`
  const encoded = encodeURIComponent(clean).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `filename*=UTF-8''${encoded}`
}

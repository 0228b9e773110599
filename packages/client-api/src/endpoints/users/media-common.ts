/** What the media endpoints share. spec: client-server-api/modules/content_repo.md */
import type { ServerName } from '@plexus/core'
import { UserError } from '@plexus/engine'
import type { MediaItem, MediaMetadata, RemoteOptions } from '@plexus/engine'
import type { ThumbnailSize } from '@plexus/engine/ports'
import * as v from 'valibot'
import { MatrixError, notFound } from '../../matrix-error.ts'
import { queryBoolean, queryInteger } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'

/** Longest wait for media, in milliseconds; the default is that of the specification. */
const MAX_MEDIA_TIMEOUT_MS = 60_000
/** In pixels. */
const MAX_THUMBNAIL_SIDE = 10_000

export const mediaTimeout: v.GenericSchema<unknown, number> = v.optional(
  queryInteger(0, MAX_MEDIA_TIMEOUT_MS),
  '20000',
)

const thumbnailFields = {
  width: queryInteger(1, MAX_THUMBNAIL_SIDE),
  height: queryInteger(1, MAX_THUMBNAIL_SIDE),
  method: v.optional(v.picklist(['crop', 'scale']), 'scale'),
  animated: v.optional(queryBoolean, 'false'),
  timeout_ms: mediaTimeout,
}

type ThumbnailQuery = ThumbnailSize & { readonly timeout_ms: number }

export const thumbnailQuery: v.GenericSchema<unknown, ThumbnailQuery> = v.object(thumbnailFields)
export const legacyThumbnailQuery: v.GenericSchema<unknown, ThumbnailQuery & { allow_remote: boolean }> =
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
  const item = await orTooLarge(
    engine,
    path,
    engine.users.media.download(path.serverName, path.mediaId, options),
  )
  return mediaResponse(item, path.fileName ?? item.fileName)
}

export async function thumbnail(
  engine: ApiEngine,
  path: MediaPath,
  { timeout_ms: timeoutMs, width, height, method, animated }: ThumbnailQuery,
  signal: AbortSignal,
): Promise<Response> {
  const size = { width, height, method, animated }
  const options = { timeoutMs, signal }
  const thumbnail = engine.users.thumbnails.get(path.serverName, path.mediaId, size, options)
  const item = await orTooLarge(engine, path, thumbnail)
  return mediaResponse(item, item.fileName)
}

/** Other servers' media that is too large is their fault. spec: content_repo.md "Security considerations" */
async function orTooLarge(
  engine: ApiEngine,
  { serverName }: MediaPath,
  found: Promise<MediaItem>,
): Promise<MediaItem> {
  try {
    return await found
  } catch (error) {
    const isTheirs = serverName !== engine.serverName
    if (!isTheirs || !(error instanceof UserError) || error.errcode !== 'M_TOO_LARGE') throw error
    throw new MatrixError(502, 'M_TOO_LARGE', error.message)
  }
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

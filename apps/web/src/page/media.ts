/** Media by way of the node: upload, download, check, and a type under which the browser may show it. */
import { parseServerName, type ServerName } from '@plexus/core'
import type { AttachmentKey, MediaRef } from '../ui/model.ts'
import { decryptAttachment, WrongHashError } from './attachment.ts'
import { NODE_URL } from './node-fetch.ts'

/** Largest file that is sent or shown, in bytes. */
export const MAX_MEDIA_BYTES: number = 50 * 1024 * 1024

const DOWNLOAD_TIMEOUT_MS = 120_000
const MXC = /^mxc:\/\/([0-9A-Za-z.:[\]-]{1,255})\/([A-Za-z0-9_-]{1,255})$/

/** Images that a browser shows without running anything in them, by their first bytes. SVG is none. */
const IMAGES: readonly { readonly type: string; readonly starts: (bytes: Uint8Array) => boolean }[] = [
  { type: 'image/png', starts: (bytes) => begins(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) },
  { type: 'image/jpeg', starts: (bytes) => begins(bytes, [0xff, 0xd8, 0xff]) },
  { type: 'image/gif', starts: (bytes) => ascii(bytes, 0, 4) === 'GIF8' },
  { type: 'image/webp', starts: (bytes) => ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP' },
  { type: 'image/avif', starts: (bytes) => ascii(bytes, 4, 12) === 'ftypavif' },
]

const begins = (bytes: Uint8Array, start: readonly number[]): boolean =>
  start.every((byte, index) => bytes[index] === byte)
const ascii = (bytes: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...bytes.subarray(from, to))

/** The type under which bytes are shown inline: what they are, not what their sender says. */
export function imageType(bytes: Uint8Array): string | undefined {
  return IMAGES.find(({ starts }) => starts(bytes))?.type
}

export type MediaAccess = {
  readonly fetch: typeof fetch
  readonly accessToken: string
  /** Has the node drop its copy of another server's media. */
  forget(server: ServerName, mediaId: string): Promise<void>
}

/** POST /_matrix/media/v3/upload. Answers with the mxc URI. */
export async function uploadMedia(access: MediaAccess, bytes: Uint8Array, type: string): Promise<string> {
  const response = await access.fetch(`${NODE_URL}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${access.accessToken}`, 'Content-Type': type },
    body: new Uint8Array(bytes),
  })
  const answer: unknown = await response.json()
  const uri =
    typeof answer === 'object' && answer !== null && 'content_uri' in answer ? answer.content_uri : undefined
  if (!response.ok || typeof uri !== 'string') throw new Error(uploadProblem(response.status))
  return uri
}

function uploadProblem(status: number): string {
  if (status === 413) return 'This file is too large.'
  return status === 507
    ? 'There is no room for this file. Free some disk space.'
    : 'The file could not be stored. Try again.'
}

/**
 * GET /_matrix/client/v1/media/download, checked, decrypted, as a blob of a harmless type. What fails its hash check
 * is not kept, so that the next attempt fetches it anew.
 */
export async function fetchMedia(access: MediaAccess, media: MediaRef, inline: boolean): Promise<Blob> {
  const [, host = '', mediaId = ''] = MXC.exec(media.url) ?? []
  const server = parseServerName(host)
  if (server === undefined) throw new Error('This file has no address.')
  const path = `${encodeURIComponent(server)}/${encodeURIComponent(mediaId)}`
  const response = await access.fetch(`${NODE_URL}/_matrix/client/v1/media/download/${path}`, {
    headers: { Authorization: `Bearer ${access.accessToken}` },
    signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS),
  })
  if (!response.ok)
    throw new Error('Nobody who has this file is reachable. Try again when its sender is online.')
  const kept = new Uint8Array(await response.arrayBuffer())
  const bytes = await opened(kept, media.encryption).catch(async (error: unknown) => {
    if (error instanceof WrongHashError) await access.forget(server, mediaId)
    throw error
  })
  const type = inline ? imageType(bytes) : 'application/octet-stream'
  if (type === undefined) throw new Error('This is not an image that can be shown.')
  return new Blob([new Uint8Array(bytes)], { type })
}

async function opened(bytes: Uint8Array, key: AttachmentKey | undefined): Promise<Uint8Array> {
  return key === undefined ? bytes : decryptAttachment(bytes, key)
}

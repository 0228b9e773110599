/**
 * Media: metadata in the store, bytes in the blobs. spec: client-server-api/modules/content_repo.md
 *
 * Invariants: a blob is durable before the row that names it is committed; a blob goes when no row names it any more.
 */
import { encodeBase64Url } from '@plexus/core'
import type { ServerName, UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import { FederationError } from '../ports.ts'
import type { Write } from '../ports.ts'
import type { UsersContext, UsersInit } from './deps.ts'
import { cleanContentType, cleanFileName } from './media-names.ts'
import { createUploadWaiters } from './media-waiters.ts'
import { media, mediaByHash, mediaByOwner } from './tables.ts'
import type { MediaRow } from './tables.ts'
import { UserError } from './types.ts'
import type { Media, MediaItem, MediaMetadata, RemoteOptions } from './types.ts'

const MAX_UPLOAD_BYTES: number = 50 * 1024 * 1024
const MAX_MEDIA_BYTES_PER_USER: number = 4 * 1024 * 1024 * 1024
const MAX_REMOTE_MEDIA_BYTES: number = 1024 * 1024 * 1024
/** Media ids that one user has reserved and not yet uploaded to. */
const MAX_RESERVED_MEDIA = 50
const RESERVATION_MS: number = 24 * 60 * 60 * 1000
/** How long a download waits for an upload that is under way; also the default. */
const MAX_UPLOAD_WAIT_MS = 20_000
/** Downloads from other servers at a time; more are refused. */
const MAX_REMOTE_DOWNLOADS = 32
/** For the media itself, once it is uploaded. */
const FETCH_TIMEOUT_MS = 60_000
const MEDIA_ID_BYTES = 18
const MEDIA_ID = /^[A-Za-z0-9_-]{1,255}$/
/** Owners whose bytes are known without a look into the store. */
const MAX_TOTALS_IN_MEMORY = 10_000
/** The owner of the cache: other servers' media, and the pictures of web pages. */
const CACHE = ''

export interface MediaStore extends Media {
  /** For other servers: own media alone. */
  own(mediaId: string, options?: RemoteOptions): Promise<MediaItem>
  /**
   * Keeps under an id of this server what no user uploaded, among other servers' media and as long as those.
   * `undefined` when it is too large for that.
   */
  cache(bytes: Uint8Array, metadata: MediaMetadata): Promise<string | undefined>
}

export function createMedia(context: UsersContext, init: UsersInit): MediaStore {
  const { store, committer, blobs, clock, random, mutex, signer, federation, log } = context
  const maxUploadBytes = init.maxUploadBytes ?? MAX_UPLOAD_BYTES
  const maxOwn = init.maxMediaBytesPerUser ?? MAX_MEDIA_BYTES_PER_USER
  const maxCache = init.maxRemoteMediaBytes ?? MAX_REMOTE_MEDIA_BYTES
  const waiters = createUploadWaiters(clock)
  const fetching = new Map<string, Promise<MediaItem>>()
  const lock = <T>(work: () => Promise<T>): Promise<T> => mutex.run('media', work)

  const newId = (): string => encodeBase64Url(random.bytes(MEDIA_ID_BYTES))

  // Bytes of each owner, summed once; all that changes them holds the lock.
  const totals = createLru<string, number>(MAX_TOTALS_IN_MEMORY)
  committer.onFailure(() => {
    totals.clear()
  })
  const used = async (owner: string): Promise<number> => {
    const known = totals.get(owner)
    if (known !== undefined) return known
    const total = (await mediaByOwner.list(store, [owner])).reduce((sum, [, size]) => sum + size, 0)
    totals.set(owner, total)
    return total
  }
  const addUsed = (owner: string, bytes: number): void => {
    const known = totals.get(owner)
    if (known !== undefined) totals.set(owner, known + bytes)
  }

  /** The writes that keep bytes under an id; their blob is durable when this returns. */
  const keep = async (
    owner: UserId | undefined,
    server: ServerName,
    mediaId: string,
    bytes: Uint8Array,
    metadata: MediaMetadata,
  ): Promise<readonly Write[]> => {
    const hash = await blobs.put(bytes)
    const contentType = cleanContentType(metadata.contentType)
    const fileName = cleanFileName(metadata.fileName)
    const row: MediaRow = {
      owner,
      createdAt: clock.now(),
      hash,
      size: bytes.length,
      ...(contentType === undefined ? {} : { contentType }),
      ...(fileName === undefined ? {} : { fileName }),
    }
    return [
      media.put([server, mediaId], row),
      mediaByHash.put([hash, server, mediaId], 1),
      mediaByOwner.put([owner ?? CACHE, row.createdAt, server, mediaId], bytes.length),
    ]
  }

  const checkRoom = async (userId: UserId, bytes: Uint8Array): Promise<void> => {
    if (bytes.length > maxUploadBytes) throw new UserError('M_TOO_LARGE', `at most ${maxUploadBytes} bytes`)
    if ((await used(userId)) + bytes.length > maxOwn) {
      throw new UserError('M_FORBIDDEN', 'there is no room left for more media of this user')
    }
  }

  /** Drops what is kept of another server's media; `createdAt` is of the row in `mediaByOwner`. */
  const drop = async (server: string, mediaId: string, createdAt: number, size: number): Promise<void> => {
    const hash = (await media.get(store, [server, mediaId]))?.hash
    await committer.submit({
      writes: () => [
        media.delete([server, mediaId]),
        mediaByOwner.delete([CACHE, createdAt, server, mediaId]),
        ...(hash === undefined ? [] : [mediaByHash.delete([hash, server, mediaId])]),
      ],
      publish: () => addUsed(CACHE, -size),
    })
    if (hash !== undefined && (await mediaByHash.list(store, [hash], { limit: 1 })).length === 0) {
      await blobs.delete(hash)
    }
  }

  const dropKept = async (server: ServerName, mediaId: string): Promise<void> => {
    const row = await media.get(store, [server, mediaId])
    if (row !== undefined) await drop(server, mediaId, row.createdAt, row.size)
  }

  /** Makes room in the cache, oldest first. */
  const evict = async (needed: number): Promise<void> => {
    let total = await used(CACHE)
    for (const [[, createdAt, server, mediaId], size] of await mediaByOwner.list(store, [CACHE])) {
      if (total + needed <= maxCache) return
      await drop(server, mediaId, createdAt, size)
      total -= size
    }
  }

  const read = async (server: ServerName, mediaId: string): Promise<MediaItem | 'reserved' | undefined> => {
    const row = await media.get(store, [server, mediaId])
    if (row === undefined) return undefined
    if (row.hash === undefined) return row.createdAt + RESERVATION_MS < clock.now() ? undefined : 'reserved'
    const bytes = await blobs.get(row.hash)
    return bytes === undefined ? undefined : itemOf(bytes, row)
  }

  const own = async (mediaId: string, options: RemoteOptions = {}): Promise<MediaItem> => {
    if (!MEDIA_ID.test(mediaId)) throw notFound()
    const found = await read(signer.name, mediaId)
    if (found !== 'reserved') {
      if (found === undefined) throw notFound()
      return found
    }
    await waiters.wait(
      mediaId,
      Math.min(options.timeoutMs ?? MAX_UPLOAD_WAIT_MS, MAX_UPLOAD_WAIT_MS),
      options.signal,
    )
    const uploaded = await read(signer.name, mediaId)
    if (uploaded === 'reserved')
      throw new UserError('M_NOT_YET_UPLOADED', 'the media has not been uploaded yet')
    if (uploaded === undefined) throw notFound()
    return uploaded
  }

  const fetch = async (server: ServerName, mediaId: string, options: RemoteOptions): Promise<MediaItem> => {
    const uploadTimeoutMs = Math.min(options.timeoutMs ?? MAX_UPLOAD_WAIT_MS, MAX_UPLOAD_WAIT_MS)
    const timeoutMs = FETCH_TIMEOUT_MS + uploadTimeoutMs
    const answer = await federation
      .downloadMedia(server, mediaId, maxUploadBytes, { timeoutMs, uploadTimeoutMs })
      .catch((error: unknown) => {
        throw asUserError(error)
      })
    const metadata = {
      contentType: answer.contentType,
      ...(answer.fileName === undefined ? {} : { fileName: answer.fileName }),
    }
    try {
      await lock(async () => {
        if (answer.bytes.length > maxCache) return
        // A row whose bytes were lost counts no more.
        await dropKept(server, mediaId)
        await evict(answer.bytes.length)
        const writes = await keep(undefined, server, mediaId, answer.bytes, metadata)
        await committer.submit({ writes: () => writes, publish: () => addUsed(CACHE, answer.bytes.length) })
      })
    } catch (error) {
      log.log('warn', 'media of another server could not be kept', { error: String(error) })
    }
    return itemOf(answer.bytes, metadata)
  }

  const fetchOnce = (server: ServerName, mediaId: string, options: RemoteOptions): Promise<MediaItem> => {
    const key = `${server}/${mediaId}`
    const running = fetching.get(key)
    if (running !== undefined) return running
    if (fetching.size >= MAX_REMOTE_DOWNLOADS) {
      throw new UserError('M_LIMIT_EXCEEDED', 'too many downloads from other servers; try again')
    }
    const result = fetch(server, mediaId, options).finally(() => fetching.delete(key))
    fetching.set(key, result)
    return result
  }

  return {
    maxUploadBytes,
    own,
    upload: (userId, bytes, metadata) =>
      lock(async () => {
        await checkRoom(userId, bytes)
        const mediaId = newId()
        const writes = await keep(userId, signer.name, mediaId, bytes, metadata)
        await committer.submit({ writes: () => writes, publish: () => addUsed(userId, bytes.length) })
        return mediaId
      }),
    cache: (bytes, metadata) =>
      lock(async () => {
        if (bytes.length > maxCache) return undefined
        await evict(bytes.length)
        const mediaId = newId()
        const writes = await keep(undefined, signer.name, mediaId, bytes, metadata)
        await committer.submit({ writes: () => writes, publish: () => addUsed(CACHE, bytes.length) })
        return mediaId
      }),
    create: (userId) =>
      lock(async () => {
        const now = clock.now()
        const reserved = await mediaByOwner.list(store, [reservations(userId)])
        const expired = reserved.filter(([[, at]]) => at + RESERVATION_MS < now)
        if (reserved.length - expired.length >= MAX_RESERVED_MEDIA) {
          throw new UserError('M_LIMIT_EXCEEDED', `at most ${MAX_RESERVED_MEDIA} uploads under way`)
        }
        const mediaId = newId()
        await committer.submit({
          writes: () => [
            ...expired.flatMap(([key]) => [mediaByOwner.delete(key), media.delete([key[2], key[3]])]),
            media.put([signer.name, mediaId], { owner: userId, createdAt: now, size: 0 }),
            mediaByOwner.put([reservations(userId), now, signer.name, mediaId], 0),
          ],
        })
        return { mediaId, expiresAt: now + RESERVATION_MS }
      }),
    complete: (userId, mediaId, bytes, metadata) =>
      lock(async () => {
        const row = MEDIA_ID.test(mediaId) ? await media.get(store, [signer.name, mediaId]) : undefined
        if (row === undefined) throw notFound()
        if (row.owner !== userId) throw new UserError('M_FORBIDDEN', 'another user reserved this media id')
        if (row.hash !== undefined)
          throw new UserError('M_CANNOT_OVERWRITE_MEDIA', 'the media is there already')
        if (row.createdAt + RESERVATION_MS < clock.now()) {
          throw new UserError('M_FORBIDDEN', 'the reservation has expired')
        }
        await checkRoom(userId, bytes)
        const writes = await keep(userId, signer.name, mediaId, bytes, metadata)
        await committer.submit({
          writes: () => [
            mediaByOwner.delete([reservations(userId), row.createdAt, signer.name, mediaId]),
            ...writes,
          ],
          publish() {
            addUsed(userId, bytes.length)
            waiters.done(mediaId)
          },
        })
      }),
    async download(server, mediaId, options = {}) {
      if (server === signer.name) return own(mediaId, options)
      if (!MEDIA_ID.test(mediaId)) throw notFound()
      const cached = await read(server, mediaId)
      return cached !== undefined && cached !== 'reserved' ? cached : fetchOnce(server, mediaId, options)
    },
    async forget(server, mediaId) {
      if (server !== signer.name && MEDIA_ID.test(mediaId)) await lock(() => dropKept(server, mediaId))
    },
  }
}

function notFound(): UserError {
  return new UserError('M_NOT_FOUND', 'there is no such media')
}

/** What another server says of its media, as it is said of own media. */
function asUserError(error: unknown): unknown {
  if (!(error instanceof FederationError)) return error
  const { status, errcode } = error.remote
  if (status === 404) return notFound()
  if (errcode === 'M_NOT_YET_UPLOADED') return new UserError(errcode, 'the media has not been uploaded yet')
  return errcode === 'M_TOO_LARGE' ? new UserError(errcode, 'the media is too large') : error
}

function itemOf(bytes: Uint8Array, { contentType, fileName }: MediaMetadata): MediaItem {
  return {
    bytes,
    contentType: cleanContentType(contentType) ?? 'application/octet-stream',
    ...(fileName === undefined ? {} : { fileName }),
  }
}

/** Stands apart from the user's media; no user id begins so. */
function reservations(userId: UserId): string {
  return `reserved ${userId}`
}

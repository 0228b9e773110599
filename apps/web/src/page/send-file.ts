/** Sends a file: encrypted where the room is, uploaded to the own node, then named in a message. */
import { MsgType, type MatrixClient, type Room, type RoomMessageEventContent } from './sdk.ts'
import { byteSize } from '../ui/format.ts'
import type { Upload } from '../ui/model.ts'
import { encryptAttachment } from './attachment.ts'
import { imageType, MAX_MEDIA_BYTES, uploadMedia, type MediaAccess } from './media.ts'

export type SendFileDeps = {
  readonly client: MatrixClient
  readonly room: Room
  readonly media: MediaAccess
  /** Puts an upload in place of the one before; `undefined` takes it away. */
  show(upload: Upload | undefined, before: Upload | undefined): void
}

type Info = { readonly mimetype: string; readonly size: number; readonly w?: number; readonly h?: number }

export async function sendFile(deps: SendFileDeps, file: File): Promise<void> {
  if (file.size > MAX_MEDIA_BYTES) {
    throw new Error(`${file.name} has ${byteSize(file.size)}; a file may have ${byteSize(MAX_MEDIA_BYTES)}.`)
  }
  const started: Upload = { name: file.name, done: 0, total: Math.max(1, file.size) }
  deps.show(started, undefined)
  let shown = started
  try {
    const bytes = new Uint8Array(await file.arrayBuffer())
    const info = await infoOf(file, bytes)
    const progress: Upload = { ...started, done: started.total / 2 }
    deps.show(progress, shown)
    shown = progress
    const source = await upload(deps, bytes, info.mimetype)
    const content = {
      ...source,
      msgtype: 'w' in info ? MsgType.Image : MsgType.File,
      body: file.name,
      filename: file.name,
      info,
    }
    await deps.client.sendMessage(deps.room.roomId, content as RoomMessageEventContent)
  } finally {
    deps.show(undefined, shown)
  }
}

async function upload(deps: SendFileDeps, bytes: Uint8Array, type: string): Promise<object> {
  if (!deps.room.hasEncryptionStateEvent()) return { url: await uploadMedia(deps.media, bytes, type) }
  const { encrypted, info } = await encryptAttachment(bytes)
  return { file: { ...info, url: await uploadMedia(deps.media, encrypted, 'application/octet-stream') } }
}

/** Width and height only for what is shown inline, and what the browser can read. */
async function infoOf(file: File, bytes: Uint8Array): Promise<Info> {
  const size = file.size
  const type = imageType(bytes)
  if (type === undefined) return { mimetype: file.type || 'application/octet-stream', size }
  try {
    const bitmap = await createImageBitmap(file)
    const { width: w, height: h } = bitmap
    bitmap.close()
    return { mimetype: type, size, w, h }
  } catch (error) {
    console.info('plexus: the browser cannot read this image, so it is sent as a file', error)
    return { mimetype: 'application/octet-stream', size }
  }
}

/** From the events of a room to what the timeline shows. Everything in an event is its sender's claim. */
import { EventStatus, EventType, MsgType, RelationType, type MatrixEvent } from './sdk.ts'
import type { Delivery } from '@plexus/engine/ports'
import { spokenText } from '../ui/message-text.ts'
import type {
  DeliveryState,
  MediaRef,
  MessageContent,
  MessageItem,
  NoticeItem,
  TimelineItem,
} from '../ui/model.ts'
import { parseEncryptedFile } from './attachment.ts'
import { noticeText } from './notices.ts'
import { unreadableWhy } from './unreadable.ts'

/** Longest text that is put on the screen, in characters; an event can hold 65,536 bytes. */
export const MAX_SHOWN_TEXT = 20_000
const MAX_NAME = 200
const MAX_MIME = 100
/** Pixels beyond which a claimed width or height is nonsense. */
const MAX_DIMENSION = 20_000

/** What a room knows that an event does not. */
export interface ItemContext {
  readonly me: string
  nameOf(userId: string): string
  /** `undefined` while it is not known, `null` for an event that another device sent. */
  delivery(eventId: string): Delivery | null | undefined
  /** Names of others whose receipt stands at the event. */
  readBy(event: MatrixEvent): readonly string[]
  canRemove(event: MatrixEvent): boolean
  find(eventId: string): MatrixEvent | undefined
}

/** `undefined` for events that the timeline does not show. */
export function itemOf(event: MatrixEvent, context: ItemContext): TimelineItem | undefined {
  if (event.isState()) return noticeOf(event, context)
  if (event.isRelation(RelationType.Replace)) return undefined
  const content = contentOf(event, context)
  if (content === undefined) return undefined
  const sender = event.getSender() ?? ''
  const own = sender === context.me
  const item: MessageItem = {
    kind: 'message',
    key: keyOf(event),
    eventId: event.getId() ?? '',
    sender,
    senderName: context.nameOf(sender),
    time: event.getTs(),
    own,
    content,
    replyTo: replyOf(event, context),
    delivery: own ? deliveryOf(event, context) : { kind: 'received' },
    readBy: own ? context.readBy(event) : [],
    canRemove: event.status === null && context.canRemove(event),
  }
  return item
}

/** The transaction outlives the change from the local to the real event id. */
export function keyOf(event: MatrixEvent): string {
  return event.getTxnId() ?? event.getId() ?? ''
}

function noticeOf(event: MatrixEvent, context: ItemContext): NoticeItem | undefined {
  const text = noticeText(event, context)
  return text === undefined ? undefined : { kind: 'notice', key: keyOf(event), time: event.getTs(), text }
}

function deliveryOf(event: MatrixEvent, context: Pick<ItemContext, 'delivery'>): DeliveryState {
  switch (event.status) {
    case EventStatus.NOT_SENT:
      return { kind: 'failed', problem: event.error?.message ?? 'This message was not sent.' }
    case EventStatus.CANCELLED:
      return { kind: 'failed', problem: 'This message was dropped.' }
    case EventStatus.QUEUED:
    case EventStatus.SENDING:
    case EventStatus.ENCRYPTING:
      return { kind: 'sending' }
    default: {
      const delivery = context.delivery(event.getId() ?? '')
      if (delivery === null) return { kind: 'received' }
      const { delivered: reached = 0, atRelay = 0, members = 0 } = delivery ?? {}
      return { kind: 'sent', reached, atRelay, members }
    }
  }
}

function contentOf(event: MatrixEvent, context: ItemContext): MessageContent | undefined {
  if (event.isRedacted()) return { kind: 'removed', by: removerOf(event, context) }
  const type = event.getType()
  if (isMessageType(type) && isEmptied(event)) return { kind: 'removed', by: undefined }
  if (event.isDecryptionFailure())
    return { kind: 'unreadable', why: unreadableWhy(event.decryptionFailureReason) }
  if (type === EventType.RoomMessageEncrypted.valueOf()) return { kind: 'unreadable', why: 'Decrypting…' }
  return type === EventType.RoomMessage.valueOf() ? messageContent(event) : undefined
}

function isMessageType(type: string): boolean {
  return type === EventType.RoomMessage.valueOf() || type === EventType.RoomMessageEncrypted.valueOf()
}

/** A redacted event as it comes from another server's history, without the redaction. */
function isEmptied(event: MatrixEvent): boolean {
  return event.status === null && Object.keys(event.getWireContent()).length === 0
}

function removerOf(event: MatrixEvent, context: ItemContext): string | undefined {
  const remover = event.getUnsigned().redacted_because?.sender
  return remover === undefined || remover === event.getSender() ? undefined : context.nameOf(remover)
}

function messageContent(event: MatrixEvent): MessageContent {
  const content: Readonly<Record<string, unknown>> = event.getContent()
  const body = text(content['body'], MAX_SHOWN_TEXT)
  const media = mediaOf(content)
  switch (content['msgtype']) {
    case MsgType.Image:
      if (media !== undefined) return imageOf(content, media)
      break
    case MsgType.File:
    case MsgType.Audio:
    case MsgType.Video:
      if (media !== undefined) return { kind: 'file', name: fileName(content), media }
      break
    default:
  }
  const style =
    content['msgtype'] === MsgType.Emote ? 'emote' : content['msgtype'] === MsgType.Notice ? 'notice' : 'text'
  const shown = event.replyEventId === undefined ? body : withoutFallback(body)
  return { kind: 'text', text: shown, style, edited: event.replacingEvent() !== null }
}

/** Older clients put what they answer above their own words. spec: "Fallbacks for rich replies" */
function withoutFallback(body: string): string {
  if (!body.startsWith('> ')) return body
  const lines = body.split('\n')
  const first = lines.findIndex((line) => !line.startsWith('> '))
  return first === -1 ? body : lines.slice(lines[first] === '' ? first + 1 : first).join('\n')
}

function imageOf(content: Readonly<Record<string, unknown>>, media: MediaRef): MessageContent {
  const info = record(content['info'])
  return {
    kind: 'image',
    name: fileName(content),
    media,
    width: dimension(info['w']),
    height: dimension(info['h']),
  }
}

function mediaOf(content: Readonly<Record<string, unknown>>): MediaRef | undefined {
  const info = record(content['info'])
  const claimed = { mime: text(info['mimetype'], MAX_MIME), size: count(info['size']) }
  const file = parseEncryptedFile(content['file'])
  if (file !== undefined) {
    const { url, key, iv, sha256 } = file
    return { url, ...claimed, encryption: { key, iv, sha256 } }
  }
  const { url } = content
  return typeof url === 'string' ? { url, ...claimed, encryption: undefined } : undefined
}

/** The name under which a file is saved: no folders, no dots at the start, nothing unseen. */
export function fileName(content: Readonly<Record<string, unknown>>): string {
  const claimed = text(content['filename'], MAX_NAME) || text(content['body'], MAX_NAME)
  const name = claimed.replaceAll(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069/\\]/gu,
    ' ',
  )
  return name.replace(/^[.\s]+/u, '').trim() || 'file'
}

function replyOf(event: MatrixEvent, context: ItemContext): MessageItem['replyTo'] {
  const eventId = event.replyEventId
  if (eventId === undefined) return undefined
  const target = context.find(eventId)
  const content = target === undefined ? undefined : contentOf(target, context)
  if (target === undefined || content === undefined) return { eventId, name: 'Earlier message', text: '' }
  return {
    eventId,
    name: context.nameOf(target.getSender() ?? ''),
    text: text(spokenText(content), MAX_NAME),
  }
}

function text(value: unknown, max: number): string {
  return typeof value === 'string' ? value.slice(0, max).toWellFormed() : ''
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

function dimension(value: unknown): number | undefined {
  const pixels = count(value)
  return pixels !== undefined && pixels > 0 && pixels <= MAX_DIMENSION ? pixels : undefined
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
}

import type { JSX } from 'preact'
import { fullTime, listNames, timeOfDay } from './format.ts'
import { ReplyIcon, TrashIcon } from './icons.tsx'
import { FileMessage, ImageMessage } from './media-message.tsx'
import { DeliveryMark } from './delivery-mark.tsx'
import { deliveryWords } from './message-text.ts'
import type { MessageItem, RoomModel } from './model.ts'
import { Avatar, ErrorLine } from './parts.tsx'
import { linkParts } from './link-parts.ts'
import { useAction } from './use-action.ts'

export type MessageProps = {
  readonly item: MessageItem
  readonly room: RoomModel
  /** Whether a group of one sender begins or ends here. */
  readonly first: boolean
  readonly last: boolean
  readonly onReply: (item: MessageItem) => void
}

export function Message({ item, room, first, last, onReply }: MessageProps): JSX.Element {
  const classes = [
    'message',
    item.own ? 'own' : 'other',
    first ? 'first' : '',
    last ? 'last' : '',
    `is-${item.content.kind}`,
  ]
  return (
    <article
      class={classes.filter((name) => name !== '').join(' ')}
      data-event-id={item.eventId}
      data-delivery={deliveryWords(item.delivery)}
      aria-label={`${item.own ? 'You' : item.senderName}, ${timeOfDay(item.time)}`}
    >
      {!item.own && (
        <span class="message-avatar">
          {first && <Avatar name={item.senderName} id={item.sender} size={32} />}
        </span>
      )}
      <div class="message-column">
        {first && !item.own && (
          <span class="message-sender" title={item.sender}>
            {item.senderName}
          </span>
        )}
        <div class="bubble-row">
          <div class="bubble">
            {item.replyTo !== undefined && <Quote replyTo={item.replyTo} />}
            <Content item={item} room={room} />
            <span class="meta">
              <time dateTime={new Date(item.time).toISOString()} title={fullTime(item.time)}>
                {timeOfDay(item.time)}
              </time>
              {item.own && item.delivery.kind !== 'received' && <DeliveryMark delivery={item.delivery} />}
            </span>
          </div>
          <MessageActions item={item} room={room} onReply={onReply} />
        </div>
        <Foot item={item} room={room} last={last} />
      </div>
    </article>
  )
}

function Quote({ replyTo }: { replyTo: NonNullable<MessageItem['replyTo']> }): JSX.Element {
  return (
    <blockquote class="quote">
      <strong>{replyTo.name}</strong>
      <span>{replyTo.text}</span>
    </blockquote>
  )
}

function Content({ item, room }: { item: MessageItem; room: RoomModel }): JSX.Element {
  const { content } = item
  switch (content.kind) {
    case 'text':
      return (
        <p class={`text ${content.style}`} dir="auto">
          {content.style === 'emote' && `${item.senderName} `}
          {linkParts(content.text).map((part, index) =>
            part.href === undefined ? (
              part.text
            ) : (
              <a key={index} href={part.href} target="_blank" rel="noopener noreferrer nofollow">
                {part.text}
              </a>
            ),
          )}
          {content.edited && <span class="hint"> (edited)</span>}
        </p>
      )
    case 'image':
      return <ImageMessage content={content} room={room} />
    case 'file':
      return <FileMessage content={content} room={room} />
    case 'unreadable':
      return <p class="text faint">{content.why}</p>
    default:
      return <p class="text faint">Message removed{content.by === undefined ? '' : ` by ${content.by}`}</p>
  }
}

function MessageActions({
  item,
  room,
  onReply,
}: Pick<MessageProps, 'item' | 'room' | 'onReply'>): JSX.Element | undefined {
  const remove = useAction(async () => room.remove(item.eventId))
  const settled = item.delivery.kind === 'received' || item.delivery.kind === 'sent'
  if (!settled || item.content.kind === 'removed') return undefined
  return (
    <div class="message-actions">
      <button
        type="button"
        class="icon-button small"
        aria-label="Reply"
        title="Reply"
        onClick={() => onReply(item)}
      >
        <ReplyIcon />
      </button>
      {item.canRemove && (
        <button
          type="button"
          class="icon-button small"
          aria-label="Remove"
          title={remove.error ?? 'Remove for everybody'}
          aria-busy={remove.busy}
          onClick={() => {
            if (
              confirm(
                'Remove this message for everybody? Nodes that do not follow the rules may keep a copy.',
              )
            )
              remove.run()
          }}
        >
          <TrashIcon />
        </button>
      )}
    </div>
  )
}

function Foot({ item, room, last }: Pick<MessageProps, 'item' | 'room' | 'last'>): JSX.Element | undefined {
  const retry = useAction(async () => room.retry(item.key))
  const { delivery } = item
  if (delivery.kind === 'failed') {
    return (
      <div class="foot failed">
        <ErrorLine text={retry.error ?? delivery.problem} />
        <button type="button" class="link-button" disabled={retry.busy} onClick={() => retry.run()}>
          Try again
        </button>
        <button type="button" class="link-button" onClick={() => room.discard(item.key)}>
          Drop
        </button>
      </div>
    )
  }
  const words = item.own && last && delivery.kind !== 'received' ? deliveryWords(delivery) : undefined
  const seen = item.readBy.length === 0 ? undefined : `read by ${listNames(item.readBy)}`
  if (words === undefined && seen === undefined) return undefined
  return <div class="foot">{seen ?? words}</div>
}

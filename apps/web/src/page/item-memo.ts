/** The items of a timeline, computed again only where an event shows something else. */
import { RelationType, type MatrixEvent } from './sdk.ts'
import type { TimelineItem } from '../ui/model.ts'
import { itemOf, type ItemContext } from './items.ts'

type Known = { readonly stamp: readonly unknown[]; readonly item: TimelineItem | undefined }

/**
 * Like `itemOf`, but answers the same object while nothing of the item changed, so that the screen draws only what did.
 * Each room has its own.
 */
export function createItemMemo(context: ItemContext): (event: MatrixEvent) => TimelineItem | undefined {
  const byEvent = new WeakMap<MatrixEvent, Known>()
  const byKey = new Map<string, { readonly text: string; readonly item: TimelineItem }>()

  const stable = (item: TimelineItem | undefined): TimelineItem | undefined => {
    if (item === undefined) return undefined
    const text = JSON.stringify(item)
    const known = byKey.get(item.key)
    if (known?.text === text) return known.item
    byKey.set(item.key, { text, item })
    return item
  }

  return (event) => {
    const stamp = stampOf(event, context)
    if (stamp === undefined) return stable(itemOf(event, context))
    const known = byEvent.get(event)
    if (known !== undefined && isSame(known.stamp, stamp)) return known.item
    const item = stable(itemOf(event, context))
    byEvent.set(event, { stamp, item })
    return item
  }
}

/**
 * Everything of a message on which its item depends, cheap to read and compare. `undefined` for what depends on other
 * events and people as well: state in words, answers and removed messages.
 */
function stampOf(event: MatrixEvent, context: ItemContext): readonly unknown[] | undefined {
  if (event.isState() || event.isRedacted() || event.replyEventId !== undefined) return undefined
  const sender = event.getSender() ?? ''
  const id = event.getId() ?? ''
  const seen = [
    id,
    event.getTxnId(),
    event.status,
    event.error?.message,
    event.getTs(),
    event.getType(),
    event.getContent(),
    event.getWireContent(),
    event.replacingEvent(),
    event.isRelation(RelationType.Replace),
    event.decryptionFailureReason,
    context.nameOf(sender),
    context.canRemove(event),
  ]
  return sender === context.me ? [...seen, context.delivery(id), ...context.readBy(event)] : seen
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => Object.is(value, b[index]))
}

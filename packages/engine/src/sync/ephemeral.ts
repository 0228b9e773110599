/** Receipts and typing users as the ephemeral events of `/sync`. */
import type { JsonObject, UserId } from '@plexus/core'
import type { EphemeralEvent, Receipt } from '../rooms-ephemeral/types.ts'

/** Receipts of one room in one answer; the newest ones win. */
export const MAX_RECEIPTS_IN_SYNC = 1_000

/** Whose private receipts are shown. */
type ReadsAs = (userId: UserId) => boolean

/**
 * One `m.receipt` event for each thread, since its content has one place for each event, type and user. Private
 * receipts stay with who reads as their user. spec: client-server-api/modules/receipts.md
 */
export function receiptEvents(receipts: readonly Receipt[], readsAs: ReadsAs): readonly EphemeralEvent[] {
  const byThread = Map.groupBy(shownTo(receipts, readsAs), ({ thread }) => thread)
  return [...byThread.values()].map((group) => ({ type: 'm.receipt', content: contentOf(group) }))
}

/** All threads in one content, in which a user has one receipt for each event and type. */
export function receiptContent(receipts: readonly Receipt[], readsAs: ReadsAs): JsonObject {
  return contentOf(shownTo(receipts, readsAs))
}

function shownTo(receipts: readonly Receipt[], readsAs: ReadsAs): readonly Receipt[] {
  return receipts
    .filter(({ type, userId }) => type === 'm.read' || readsAs(userId))
    .sort((a, b) => a.position - b.position)
    .slice(-MAX_RECEIPTS_IN_SYNC)
}

function contentOf(receipts: readonly Receipt[]): JsonObject {
  const byEvent = Map.groupBy(receipts, ({ eventId }) => eventId)
  return Object.fromEntries([...byEvent].map(([eventId, group]) => [eventId, byType(group)]))
}

function byType(receipts: readonly Receipt[]): JsonObject {
  const groups = Map.groupBy(receipts, ({ type }) => type)
  return Object.fromEntries([...groups].map(([type, group]) => [type, byUser(group)]))
}

function byUser(receipts: readonly Receipt[]): JsonObject {
  return Object.fromEntries(
    receipts.map(({ userId, ts, thread }) => [
      userId,
      { ts, ...(thread === '' ? {} : { thread_id: thread }) },
    ]),
  )
}

export function typingEvent(users: readonly UserId[]): EphemeralEvent {
  return { type: 'm.typing', content: { user_ids: users } }
}

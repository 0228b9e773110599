/**
 * What a user has been notified about, the newest first: found in the timelines when it is asked for, by the push rules
 * of that moment, so that nothing is kept for it. spec: client-server-api/modules/push.md "Listing notifications"
 */
import type { JsonObject } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import type { Receipts } from '../rooms-ephemeral/types.ts'
import type { EventRecord, RoomSnapshot } from '../rooms/types.ts'
import type { PushEvaluator, PushOutcome, PushRules } from '../users/types.ts'
import { withAggregations } from './aggregations.ts'
import type { Recipient } from './client-event.ts'
import { orderAtPosition, type ReaderParts } from './room-access.ts'
import { threadOf } from './threads.ts'
import { MAX_ORDER, MIN_ORDER } from './tokens.ts'
import { entryIn, marksOf, pushContextOf, pushForm } from './unread.ts'

/** Events of one room that one request looks at. */
export const MAX_NOTIFICATION_SCAN = 250
const TOKEN = /^n([0-9]{1,15})$/

export type NotificationsRequest = {
  /** Events before this position; see `parseNotificationToken`. All by default. */
  readonly before?: StreamPosition
  readonly limit: number
  /** Highlights alone. */
  readonly highlights: boolean
}

export type Notifications = { readonly list: readonly JsonObject[]; readonly next?: string }

export type NotificationParts = ReaderParts & {
  readonly receipts: Receipts
  readonly pushRules: Pick<PushRules, 'evaluator'>
}
export type Found = { readonly record: EventRecord; readonly outcome: PushOutcome; readonly read: boolean }

/** Where a page before ended: what is at this position or later was shown. `undefined` for no token of ours. */
export function parseNotificationToken(text: string): StreamPosition | undefined {
  const match = TOKEN.exec(text)
  return match === null ? undefined : Number(match[1])
}

export async function readNotifications(
  parts: NotificationParts,
  recipient: Recipient,
  { before = MAX_ORDER, limit, highlights }: NotificationsRequest,
): Promise<Notifications> {
  const evaluate = await parts.pushRules.evaluator(recipient.userId)
  const found: Found[] = []
  /** Below this position not every room was looked at. */
  let horizon = -1
  for (const snapshot of await joinedRooms(parts, recipient)) {
    const last = found[limit - 1]
    // No event of this room or a later one can come before what there is.
    if (last !== undefined && snapshot.lastPosition < last.record.position) {
      horizon = Math.max(horizon, last.record.position)
      break
    }
    const room = await notificationsIn(parts, recipient, snapshot, evaluate, before)
    found.push(...room.found.filter(({ outcome }) => outcome.highlight || !highlights))
    found.sort((a, b) => b.record.position - a.record.position)
    horizon = Math.max(horizon, room.horizon)
  }
  const sure = found.filter(({ record }) => record.position >= horizon)
  const page = sure.slice(0, limit)
  const end = page.length < sure.length ? page.at(-1)?.record.position : horizon
  return {
    list: await Promise.all(page.map((one) => notificationJson(parts, recipient, one))),
    ...(end === undefined || end < 0 ? {} : { next: `n${end}` }),
  }
}

/** The latest active first. */
async function joinedRooms(
  { rooms }: NotificationParts,
  { userId }: Recipient,
): Promise<readonly RoomSnapshot[]> {
  const rows = (await rooms.memberships(userId)).filter(({ membership }) => membership === 'join')
  const snapshots = await Promise.all(rows.map(({ roomId }) => rooms.snapshot(roomId)))
  return snapshots
    .filter((snapshot) => snapshot !== undefined)
    .sort((a, b) => b.lastPosition - a.lastPosition)
}

/** Of events after the position `after`. `horizon`: the position of the oldest event that was looked at, where older ones may notify too. */
export async function notificationsIn(
  parts: NotificationParts,
  { userId }: Recipient,
  snapshot: RoomSnapshot,
  evaluate: PushEvaluator,
  before: StreamPosition,
  after: StreamPosition = -1,
): Promise<{ readonly found: readonly Found[]; readonly horizon: StreamPosition }> {
  const { rooms, receipts, visibility } = parts
  const { roomId } = snapshot
  const to = await orderAtPosition(rooms, roomId, before - 1)
  const scan = { from: after, to, direction: 'b', limit: MAX_NOTIFICATION_SCAN } as const
  const { events, next } = await rooms.timeline(roomId, scan)
  // What happened before the user joined was no news to them.
  const joined = await entryIn(rooms, events, userId)
  const own = joined === -1 ? events : events.slice(0, joined)
  const marks = await marksOf(rooms, await receipts.ofUser(roomId, userId))
  const context = await pushContextOf(rooms, snapshot, userId)
  const viewer = await visibility.viewer(userId, await rooms.membership(userId, roomId))
  const found: Found[] = []
  for (const { record, visible } of await visibility.judge(viewer, own)) {
    if (!visible) continue
    const outcome = evaluate(pushForm(record), context.of(record.pdu.sender))
    if (!outcome.notify) continue
    const inThread = marks.byThread.get(await threadOf(rooms, record.pdu)) ?? MIN_ORDER
    const readUpTo = Math.max(marks.all, inThread)
    found.push({ record, outcome, read: (record.order ?? MAX_ORDER) <= readUpTo })
  }
  const cut = joined === -1 && next !== undefined
  return { found, horizon: cut ? (events.at(-1)?.position ?? -1) : -1 }
}

async function notificationJson(
  parts: NotificationParts,
  recipient: Recipient,
  { record, outcome, read }: Found,
): Promise<JsonObject> {
  const viewer = { userId: recipient.userId, joinedUntil: MAX_ORDER }
  const [event] = await withAggregations(parts, recipient, viewer, [{ record, visible: true }])
  const { room_id: _above, ...inner } = event ?? {}
  return {
    actions: outcome.actions,
    event: inner,
    read,
    room_id: record.roomId,
    ts: record.receivedAt,
  }
}

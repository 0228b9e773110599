/**
 * Unread notification counts of a user in a room: the events after their read receipts that their push rules notify
 * about. spec: client-server-api/modules/push.md "Receiving notifications", "Marking notifications as read"
 */
import { POWER_LEVELS_KEY, isJsonObject, memberKey, ownValue, userPowerLevel } from '@plexus/core'
import type { JsonObject, Pdu, UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import type { Receipt, Receipts } from '../rooms-ephemeral/types.ts'
import type { EventRecord, RoomSnapshot, Rooms } from '../rooms/types.ts'
import type { PushContext, PushEvaluator } from '../users/types.ts'
import { MAIN_THREAD, threadOf } from './threads.ts'
import { MAX_ORDER, MIN_ORDER } from './tokens.ts'
import { membershipIn } from './visibility.ts'

/** Newest events that are looked at for the counts of a room; what is older counts as read. */
export const MAX_UNREAD_SCAN = 250
/** Counts kept in memory, by room and user. */
export const MAX_UNREAD_ENTRIES = 2_000

export type Counts = { readonly notifications: number; readonly highlights: number }

/** By thread: `main` or the thread's root. Only threads with something unread. */
export type ThreadCounts = ReadonlyMap<string, Counts>

export interface Unread {
  counts(snapshot: RoomSnapshot, userId: UserId, evaluate: PushEvaluator): Promise<ThreadCounts>
}

/** Good for what was read then and the rules of then. */
type Entry = {
  readonly evaluate: PushEvaluator
  readonly marks: string
  /** The room's, when it was counted. */
  readonly lastPosition: number
  readonly upTo: number
  readonly counts: ThreadCounts
}
export type Marks = { readonly all: number; readonly byThread: ReadonlyMap<string, number> }

export function createUnread(deps: { readonly rooms: Rooms; readonly receipts: Receipts }): Unread {
  const { rooms, receipts } = deps
  const entries = createLru<string, Entry>(MAX_UNREAD_ENTRIES)
  return {
    async counts(snapshot, userId, evaluate) {
      const key = JSON.stringify([snapshot.roomId, userId])
      const own = await receipts.ofUser(snapshot.roomId, userId)
      const signature = JSON.stringify(own.map(({ position }) => position))
      const old = entries.get(key)
      const known = old?.marks === signature && old.evaluate === evaluate ? old : undefined
      if (known?.lastPosition === snapshot.lastPosition) return known.counts
      const records = await unreadRecords(rooms, snapshot, userId, known?.upTo, own)
      const counts = new Map(records.entered ? undefined : known?.counts)
      if (records.events.length > 0) {
        const context = await pushContextOf(rooms, snapshot, userId)
        for (const record of records.events)
          await count(rooms, counts, record, userId, evaluate, context, records.marks)
      }
      const upTo = records.events.at(-1)?.order ?? known?.upTo ?? records.marks.all
      const { lastPosition } = snapshot
      entries.set(key, { evaluate, marks: signature, lastPosition, upTo, counts })
      return counts
    },
  }
}

/** Events that may count, oldest first: those after what was counted before, or after what was read. */
async function unreadRecords(
  rooms: Rooms,
  snapshot: RoomSnapshot,
  userId: UserId,
  countedUpTo: number | undefined,
  own: readonly Receipt[],
): Promise<{ events: readonly EventRecord[]; marks: Marks; entered: boolean }> {
  const marks = await marksOf(rooms, own)
  const from = Math.max(countedUpTo ?? MIN_ORDER, marks.all)
  const { events } = await rooms.timeline(snapshot.roomId, {
    from,
    to: MAX_ORDER,
    direction: 'b',
    limit: MAX_UNREAD_SCAN,
  })
  // What happened before the user joined is not news.
  const entry = await entryIn(rooms, events, userId)
  const entered = entry !== -1
  return { events: events.slice(0, entered ? entry + 1 : undefined).toReversed(), marks, entered }
}

/** Where among events, the newest first, the user came into the room or was asked in; -1 when it is not among them. */
export async function entryIn(
  rooms: Pick<Rooms, 'event'>,
  events: readonly EventRecord[],
  userId: UserId,
): Promise<number> {
  for (const [index, { pdu, replaced }] of events.entries()) {
    if (!isMemberOf(pdu, userId)) continue
    const before = replaced === undefined ? undefined : (await rooms.event(replaced))?.pdu.content
    // Who was in the room before has changed their profile.
    if (membershipIn(pdu.content) !== 'join' || membershipIn(before) !== 'join') return index
  }
  return -1
}

const isMemberOf = ({ type, state_key: key }: Pdu, userId: UserId): boolean =>
  type === 'm.room.member' && key === userId

/** How far the user has read, by order: in all threads, and in each. */
export async function marksOf(rooms: Rooms, own: readonly Receipt[]): Promise<Marks> {
  const records = await rooms.events(own.map(({ eventId }) => eventId))
  let all = MIN_ORDER
  const byThread = new Map<string, number>()
  own.forEach(({ thread }, index) => {
    const order = records[index]?.order
    if (order === undefined) return
    if (thread === '') all = Math.max(all, order)
    else byThread.set(thread, Math.max(order, byThread.get(thread) ?? MIN_ORDER))
  })
  return { all, byThread }
}

async function count(
  rooms: Rooms,
  counts: Map<string, Counts>,
  record: EventRecord,
  userId: UserId,
  evaluate: PushEvaluator,
  context: Context,
  marks: Marks,
): Promise<void> {
  const thread = await threadOf(rooms, record.pdu)
  // Who sends an event has read what stands before it; a change of the profile goes to all rooms by itself.
  if (record.pdu.sender === userId) {
    if (!isMemberOf(record.pdu, userId)) counts.delete(thread)
    return
  }
  if ((record.order ?? 0) <= (marks.byThread.get(thread) ?? MIN_ORDER)) return
  const { notify, highlight } = evaluate(pushForm(record), context.of(record.pdu.sender))
  if (!notify && !highlight) return
  const old = counts.get(thread) ?? { notifications: 0, highlights: 0 }
  counts.set(thread, {
    notifications: old.notifications + (notify ? 1 : 0),
    highlights: old.highlights + (highlight ? 1 : 0),
  })
}

/** An event as push rules look at it. */
export function pushForm({ id, roomId, pdu }: EventRecord): JsonObject {
  return {
    event_id: id,
    room_id: roomId,
    type: pdu.type,
    sender: pdu.sender,
    content: pdu.content,
    ...(pdu.state_key === undefined ? {} : { state_key: pdu.state_key }),
  }
}

export type Context = { of(sender: UserId): PushContext }

/** The room as it is; an event is counted soon after it came. */
export async function pushContextOf(rooms: Rooms, snapshot: RoomSnapshot, userId: UserId): Promise<Context> {
  const keys = [POWER_LEVELS_KEY, memberKey(userId)]
  const records = await rooms.stateEvents(snapshot.state, keys)
  const levels = records.find(({ pdu }) => pdu.type === 'm.room.power_levels')?.pdu
  const member = records.find(({ pdu }) => pdu.type === 'm.room.member')?.pdu
  const name = member === undefined ? undefined : ownValue(member.content, 'displayname')
  const auth = {
    create: snapshot.create,
    get: (key: string) => (key === POWER_LEVELS_KEY ? levels : undefined),
  }
  // Of a room whose members are not all known yet: one of two that are must not count as a talk between two.
  const unknown = snapshot.isPartial === true ? snapshot.joinedServers.length : 0
  return {
    of: (sender) => ({
      memberCount: snapshot.joinedMembers.length + unknown,
      ...(typeof name === 'string' ? { displayName: name } : {}),
      senderPowerLevel: userPowerLevel(snapshot.version, auth, sender),
      notificationLevels: notificationLevels(levels?.content),
    }),
  }
}

function notificationLevels(content: JsonObject | undefined): Readonly<Record<string, number>> {
  const levels = content === undefined ? undefined : ownValue(content, 'notifications')
  if (!isJsonObject(levels)) return {}
  return Object.fromEntries(
    Object.entries(levels).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  )
}

/** The part of `/sync`; `byThread` when the client asked for counts of each thread. */
export function unreadJson(counts: ThreadCounts, byThread: boolean): JsonObject {
  const threads = [...counts].filter(([thread]) => thread !== MAIN_THREAD)
  const inMain = counts.get(MAIN_THREAD) ?? { notifications: 0, highlights: 0 }
  if (byThread) {
    return {
      unread_notifications: countsJson(inMain),
      ...(threads.length === 0
        ? {}
        : {
            unread_thread_notifications: Object.fromEntries(
              threads.map(([id, one]) => [id, countsJson(one)]),
            ),
          }),
    }
  }
  const all = [...counts.values()]
  return {
    unread_notifications: countsJson({
      notifications: all.reduce((sum, one) => sum + one.notifications, 0),
      highlights: all.reduce((sum, one) => sum + one.highlights, 0),
    }),
  }
}

function countsJson({ notifications, highlights }: Counts): JsonObject {
  return { notification_count: notifications, highlight_count: highlights }
}

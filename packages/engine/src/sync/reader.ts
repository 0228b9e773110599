/** What a user may read of a room outside of `/sync`: single events, pages of the timeline, states. */
import { memberKey, splitStateKey } from '@plexus/core'
import type { EventId, JsonObject, RoomId, StateKey, UserId } from '@plexus/core'
import type { Clock } from '../ports.ts'
import { relationOf } from '../rooms/relation.ts'
import type { Receipts } from '../rooms-ephemeral/types.ts'
import { eventAtTime, type AtTime } from '../rooms/at-time.ts'
import { RoomError } from '../rooms/types.ts'
import type { EventRecord, NewEvent, Rooms } from '../rooms/types.ts'
import type { SearchIndex } from '../search/search-index.ts'
import type { AccountData, PushRules } from '../users/types.ts'
import { hasAnnotated, withAggregations } from './aggregations.ts'
import type { Recipient } from './client-event.ts'
import { createClientEvents } from './client-event.ts'
import type { EventFilter } from './filter.ts'
import { allows } from './filter.ts'
import { ignoredUsers, isIgnored } from '../users/unwanted.ts'
import { readNotifications } from './notifications.ts'
import type { Notifications, NotificationsRequest } from './notifications.ts'
import type { Access, ReaderParts } from './room-access.ts'
import {
  accessTo,
  newestOrder,
  noSuchEvent,
  notAllowed,
  orderOf,
  stateAt,
  stateFor,
  visibleEvent,
} from './room-access.ts'
import { readThreads } from './thread-list.ts'
import type { ThreadsRequest } from './thread-list.ts'
import { MAIN_THREAD, leadsTo, threadOf } from './threads.ts'
import { searchEvents } from './search.ts'
import type { SearchRequest, SearchResults } from './search.ts'
import { MAX_ORDER, MIN_ORDER, formatTimelineToken } from './tokens.ts'
import type { Seen } from './visibility.ts'
import { createVisibility } from './visibility.ts'
import type { Direction } from './walk.ts'
import { walk } from './walk.ts'

export type PageRequest = {
  readonly roomId: RoomId
  readonly direction: Direction
  /** Tokens of `/sync` or of a page before. */
  readonly from?: string
  readonly to?: string
  readonly limit: number
  readonly filter: EventFilter
  readonly signal?: AbortSignal
}

export type Page = {
  readonly chunk: readonly JsonObject[]
  readonly start: string
  readonly end?: string
  readonly state: readonly JsonObject[]
}

/** How many events around one. */
export type ContextSides = { readonly before: number; readonly after: number }

export type Context = {
  readonly event: JsonObject
  readonly before: readonly JsonObject[]
  readonly after: readonly JsonObject[]
  readonly state: readonly JsonObject[]
  readonly start: string
  readonly end: string
}

export type RelationsRequest = {
  readonly roomId: RoomId
  readonly parent: EventId
  readonly relType?: string
  readonly eventType?: string
  readonly direction: Direction
  readonly from?: string
  readonly to?: string
  readonly limit: number
}

/** @throws RoomError M_FORBIDDEN where the reader may not look, M_NOT_FOUND, M_INVALID_PARAM for a bad token. */
export interface RoomReader {
  event(recipient: Recipient, roomId: RoomId, eventId: EventId): Promise<JsonObject>
  /** Goes to other servers for history that this node does not hold. */
  page(recipient: Recipient, request: PageRequest): Promise<Page>
  context(
    recipient: Recipient,
    roomId: RoomId,
    eventId: EventId,
    sides: ContextSides,
    filter: EventFilter,
  ): Promise<Context>
  relations(
    recipient: Recipient,
    request: RelationsRequest,
  ): Promise<{ chunk: readonly JsonObject[]; next?: string }>
  /** The roots of the room's threads. */
  threads(
    recipient: Recipient,
    request: ThreadsRequest,
  ): Promise<{ chunk: readonly JsonObject[]; next?: string }>
  /** The state as the reader may see it: of this moment for a member, of their leave for a former one. */
  state(recipient: Recipient, roomId: RoomId, keys?: readonly StateKey[]): Promise<readonly JsonObject[]>
  /** Member events, of the state at a token of `/sync` or a page if there is one. */
  members(recipient: Recipient, roomId: RoomId, at?: string): Promise<readonly JsonObject[]>
  /** Whether a receipt for the event may name the thread: it is its root, or relations lead there. */
  isInThread(eventId: EventId, thread: string): Promise<boolean>
  /** Whether the event is known here and has a parent: no thread can begin at it. */
  relatesToAnother(eventId: EventId): Promise<boolean>
  /**
   * Whether the sender of an event that is to be sent has one of its type with this key on `parent` already, which is
   * not redacted and not the same request.
   */
  hasAnnotated(roomId: RoomId, event: NewEvent, parent: EventId, key: string): Promise<boolean>
  /** What the user has been notified about, in all rooms. */
  notifications(recipient: Recipient, request: NotificationsRequest): Promise<Notifications>
  /** Events with words, in the rooms that the user is or was in. */
  search(recipient: Recipient, request: SearchRequest): Promise<SearchResults>
  /** The event nearest to the time. Goes to other servers for history that this node does not hold. */
  atTime(recipient: Recipient, at: AtTime & { readonly signal?: AbortSignal }): Promise<EventRecord>
}

type ReaderDeps = {
  readonly rooms: Rooms
  readonly clock: Clock
  readonly accountData: Pick<AccountData, 'get'>
  readonly pushRules: Pick<PushRules, 'evaluator'>
  readonly receipts: Receipts
  readonly searchIndex: SearchIndex
}

export function createRoomReader(deps: ReaderDeps): RoomReader {
  const { rooms, clock } = deps
  const visibility = createVisibility(rooms)
  const clientEvents = createClientEvents({ rooms, clock, visibility })
  const ignored = (userId: UserId): Promise<ReadonlySet<string>> => ignoredUsers(deps.accountData, userId)
  const inner: ReaderParts = { rooms, visibility, clientEvents, ignored }
  return {
    async event(recipient, roomId, eventId) {
      // spec: data/api/client-server/rooms.yaml: not found, too, where the reader may not look
      const access = await accessTo(inner, recipient.userId, roomId, noSuchEvent)
      const seen = await visibleEvent(inner, access, roomId, eventId)
      const [event] = await withAggregations(inner, recipient, access.viewer, [seen])
      if (event === undefined) throw noSuchEvent()
      return event
    },
    page: (recipient, request) => readPage(inner, recipient, request),
    context: (recipient, roomId, eventId, sides, filter) =>
      readContext(inner, recipient, roomId, eventId, sides, filter),
    relations: (recipient, request) => readRelations(inner, recipient, request),
    threads: (recipient, request) => readThreads(inner, recipient, request),
    async state(recipient, roomId, keys) {
      await checkMembers(inner, recipient, roomId, keys)
      const state = await stateFor(inner, recipient.userId, roomId)
      return clientEvents.state(recipient, await rooms.stateEvents(state, keys), FORMAT)
    },
    async members(recipient, roomId, at) {
      await checkMembers(inner, recipient, roomId, undefined)
      const { viewer, state: seen } = await accessTo(inner, recipient.userId, roomId)
      if (seen === undefined) throw notAllowed()
      const state = at === undefined ? seen : await stateAt(inner, viewer, roomId, at, seen)
      const keys = [...state.keys()].filter((key) => splitStateKey(key)[0] === 'm.room.member')
      return clientEvents.state(recipient, await rooms.stateEvents(state, keys), FORMAT)
    },
    async isInThread(eventId, thread) {
      const record = await rooms.event(eventId)
      if (record === undefined || thread === eventId) return thread === eventId
      if (thread === MAIN_THREAD) return (await threadOf(rooms, record.pdu)) === MAIN_THREAD
      return leadsTo(rooms, record.pdu, thread)
    },
    async relatesToAnother(eventId) {
      const record = await rooms.event(eventId)
      return record !== undefined && relationOf(record.pdu) !== undefined
    },
    hasAnnotated: (roomId, event, parent, key) => hasAnnotated(rooms, roomId, event, parent, key),
    notifications: (recipient, request) =>
      readNotifications({ ...inner, receipts: deps.receipts, pushRules: deps.pushRules }, recipient, request),
    search: (recipient, request) => searchEvents({ ...inner, index: deps.searchIndex }, recipient, request),
    atTime: (recipient, at) => readAtTime(inner, recipient, at),
  }
}

const FORMAT = { roomId: true } as const

/**
 * Waits for the members of a room that was just entered, where some of those asked for (all, without `keys`) may be
 * missing. @throws RoomError M_UNABLE_DUE_TO_PARTIAL_STATE when that takes too long.
 */
async function checkMembers(
  inner: ReaderParts,
  { userId }: Recipient,
  roomId: RoomId,
  keys: readonly StateKey[] | undefined,
): Promise<void> {
  const { rooms } = inner
  const snapshot = await rooms.snapshot(roomId)
  if (snapshot?.isPartial !== true) return
  const isMissing = (key: StateKey): boolean =>
    splitStateKey(key)[0] === 'm.room.member' && !snapshot.state.has(key)
  if (keys !== undefined && !keys.some(isMissing)) return
  await stateFor(inner, userId, roomId)
  if (!(await rooms.whole(roomId)))
    throw new RoomError('M_UNABLE_DUE_TO_PARTIAL_STATE', 'the members of the room are still being fetched')
}
async function readPage(inner: ReaderParts, recipient: Recipient, request: PageRequest): Promise<Page> {
  const { rooms } = inner
  const { roomId, direction, filter } = request
  const access = await accessTo(inner, recipient.userId, roomId)
  const { viewer } = access
  const ignored = await inner.ignored(recipient.userId)
  const backwards = direction === 'b'
  const start =
    request.from === undefined
      ? backwards
        ? await newestOrder(rooms, roomId)
        : MIN_ORDER
      : await orderOf(rooms, roomId, request.from)
  const stop =
    request.to === undefined ? (backwards ? MIN_ORDER : MAX_ORDER) : await orderOf(rooms, roomId, request.to)
  const { found, next } = await walk(inner, {
    read: (range) => rooms.timeline(roomId, range),
    viewer,
    direction,
    from: backwards ? stop : start,
    to: backwards ? start : stop,
    limit: request.limit,
    accepts: ({ pdu }) => allows(filter, pdu) && !isIgnored(ignored, pdu),
    ...(backwards && request.to === undefined && access.membership?.membership === 'join'
      ? { more: (before: number) => rooms.backfill(roomId, before, request.limit, request.signal) }
      : {}),
  })
  return {
    chunk: await withAggregations(inner, recipient, viewer, found),
    start: request.from ?? formatTimelineToken(start),
    ...(next === undefined ? {} : { end: formatTimelineToken(next) }),
    state: await memberState(inner, recipient, access, found, filter),
  }
}

/** With lazy-loading, the member events of the senders, as they are where the page ends, or of who came later. */
async function memberState(
  { rooms, clientEvents }: ReaderParts,
  recipient: Recipient,
  { state }: Access,
  found: readonly Seen[],
  filter: EventFilter,
): Promise<readonly JsonObject[]> {
  const last = found.at(-1)
  if (!filter.lazyLoadMembers || last === undefined) return []
  const at = (await rooms.stateAfter(last.record.id)) ?? state
  if (at === undefined) return []
  const senders = new Set(found.map(({ record }) => record.pdu.sender))
  const keys = [...senders].map((sender) => memberKey(sender))
  const later = keys.filter((key) => !at.has(key))
  const records = await Promise.all([
    rooms.stateEvents(at, keys),
    state === undefined ? [] : rooms.stateEvents(state, later),
  ])
  return clientEvents.state(recipient, records.flat(), FORMAT)
}

async function readContext(
  inner: ReaderParts,
  recipient: Recipient,
  roomId: RoomId,
  eventId: EventId,
  sides: ContextSides,
  filter: EventFilter,
): Promise<Context> {
  const { rooms, clientEvents } = inner
  const access = await accessTo(inner, recipient.userId, roomId)
  const { viewer } = access
  const seen = await visibleEvent(inner, access, roomId, eventId)
  const order = seen.record.order ?? MAX_ORDER
  const ignored = await inner.ignored(recipient.userId)
  const side = (direction: Direction, count: number): Promise<Awaited<ReturnType<typeof walk>>> => {
    const range = direction === 'b' ? { from: MIN_ORDER, to: order - 1 } : { from: order, to: MAX_ORDER }
    const accepts = ({ pdu }: EventRecord): boolean => allows(filter, pdu) && !isIgnored(ignored, pdu)
    if (count === 0) return Promise.resolve({ found: [], next: direction === 'b' ? order - 1 : order })
    return walk(inner, {
      read: (range) => rooms.timeline(roomId, range),
      viewer,
      direction,
      ...range,
      limit: count,
      accepts,
    })
  }
  const [before, after] = await Promise.all([side('b', sides.before), side('f', sides.after)])
  const last = after.found.at(-1) ?? seen
  const first = before.found.at(-1) ?? seen
  const state = (await rooms.stateAfter(last.record.id)) ?? access.state ?? new Map()
  const senders = new Set(
    [...before.found, seen, ...after.found].map(({ record }) => memberKey(record.pdu.sender)),
  )
  const keys = [...state.keys()].filter(
    (key) => !filter.lazyLoadMembers || splitStateKey(key)[0] !== 'm.room.member' || senders.has(key),
  )
  const records = (await rooms.stateEvents(state, keys)).filter(({ pdu }) => allows(filter, pdu))
  const [event] = await withAggregations(inner, recipient, viewer, [seen])
  if (event === undefined) throw noSuchEvent()
  return {
    event,
    before: await withAggregations(inner, recipient, viewer, before.found),
    after: await withAggregations(inner, recipient, viewer, after.found),
    state: await clientEvents.state(recipient, records, FORMAT),
    start: formatTimelineToken(before.next ?? (first.record.order ?? order) - 1),
    end: formatTimelineToken(after.next ?? last.record.order ?? order),
  }
}

async function readRelations(
  inner: ReaderParts,
  recipient: Recipient,
  { roomId, parent, relType, eventType, direction, from, to, limit }: RelationsRequest,
): Promise<{ chunk: readonly JsonObject[]; next?: string }> {
  const { rooms } = inner
  const access = await accessTo(inner, recipient.userId, roomId)
  await visibleEvent(inner, access, roomId, parent)
  const ignored = await inner.ignored(recipient.userId)
  const start = from === undefined ? undefined : await orderOf(rooms, roomId, from)
  const stop = to === undefined ? undefined : await orderOf(rooms, roomId, to)
  const low = direction === 'b' ? stop : start
  const high = direction === 'b' ? start : stop
  const { found, next } = await walk(inner, {
    read: (range) => rooms.relations(roomId, parent, range),
    viewer: access.viewer,
    direction,
    from: low ?? MIN_ORDER,
    to: high ?? MAX_ORDER,
    limit,
    accepts: ({ pdu }) => {
      const relation = relationOf(pdu)
      if (relation?.eventId !== parent || (relType !== undefined && relation.type !== relType)) return false
      return (eventType === undefined || pdu.type === eventType) && !isIgnored(ignored, pdu)
    },
  })
  const chunk = await withAggregations(inner, recipient, access.viewer, found)
  return { chunk, ...(next === undefined ? {} : { next: formatTimelineToken(next) }) }
}

/**
 * Where what this node holds ends before the time is reached, other members are asked, and history is fetched down to
 * what they find. spec: server-server-api.md GET /timestamp_to_event
 */
async function readAtTime(
  inner: ReaderParts,
  recipient: Recipient,
  { signal, ...at }: AtTime & { readonly signal?: AbortSignal },
): Promise<EventRecord> {
  const { rooms } = inner
  const { roomId, ts, direction } = at
  const { viewer } = await accessTo(inner, recipient.userId, roomId)
  const search = (): Promise<EventRecord | undefined> =>
    eventAtTime(rooms, at, async (events) =>
      (await inner.visibility.judge(viewer, events))
        .filter(({ visible }) => visible)
        .map(({ record }) => record),
    )
  const found = await search()
  const to = (found?.order ?? MIN_ORDER) - 1
  const below = await rooms.timeline(roomId, { from: MIN_ORDER, to, direction: 'b', limit: 1 })
  const isOldest = below.events.length === 0
  const best = isOldest && (await rooms.backfillTo(roomId, ts, direction, signal)) ? await search() : found
  if (best === undefined) throw noSuchEvent()
  return best
}

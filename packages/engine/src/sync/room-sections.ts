/** One room of an answer to `/sync`. spec: data/api/client-server/sync.yaml */
import { splitStateKey } from '@plexus/core'
import type { JsonObject, UserId } from '@plexus/core'
import type { Receipt } from '../rooms-ephemeral/types.ts'
import type { MembershipRecord, StateDelta } from '../rooms/types.ts'
import type { AccountDataEntry, PushEvaluator } from '../users/types.ts'
import type { ClientEvents } from './client-event.ts'
import { receiptEvents, typingEvent } from './ephemeral.ts'
import type { EventFilter } from './filter.ts'
import { DEFAULT_TIMELINE_LIMIT, allows } from './filter.ts'
import type { LazyAnswer } from './lazy-members.ts'
import type { RoomMembers } from './room-members.ts'
import { arrivals, summaryJson } from './room-members.ts'
import type { JoinedPart, RoomPart, Span } from './room-parts.ts'
import { loadState } from './room-state.ts'
import type { RoomTimeline } from './room-timeline.ts'
import { loadTimeline } from './room-timeline.ts'
import { formatTimelineToken } from './tokens.ts'
import type { SyncDeps, SyncRequest } from './types.ts'
import type { Unread } from './unread.ts'
import { unreadJson } from './unread.ts'
import type { Viewer, Visibility } from './visibility.ts'

export type SectionDeps = SyncDeps & {
  readonly visibility: Visibility
  readonly clientEvents: ClientEvents
  readonly members: RoomMembers
  readonly unread: Unread
}

/** What all rooms of one answer share. */
export type Round = {
  readonly request: SyncRequest
  readonly span: Span
  readonly lazy: LazyAnswer
  readonly ignored: () => Promise<ReadonlySet<string>>
  readonly showsInvite: () => Promise<(sender: UserId) => boolean>
  readonly evaluator: () => Promise<PushEvaluator>
  /** Filled while the rooms are assembled: who joined one of them within the span. */
  readonly arrived: Set<UserId>
}

/** What is new about one room beside its events. */
export type RoomNews = {
  readonly receipts: readonly Receipt[]
  readonly typingChanged: boolean
  readonly accountData: readonly AccountDataEntry[]
}

const FORMAT = { roomId: false } as const

/** `undefined` when there is nothing to say. */
export async function joinedSection(
  deps: SectionDeps,
  round: Round,
  part: JoinedPart,
  news: RoomNews,
): Promise<JsonObject | undefined> {
  const { request, span } = round
  const { snapshot, row, fresh } = part
  const whole = fresh || request.fullState
  const quiet = news.receipts.length === 0 && !news.typingChanged && news.accountData.length === 0
  if (!whole && snapshot.lastPosition <= span.from && quiet) return undefined
  const { roomId } = snapshot
  const { userId } = request.recipient
  const viewer = await deps.visibility.viewer(userId, row)
  const timeline = await loadTimeline(deps, {
    roomId,
    viewer,
    after: fresh ? 0 : span.from,
    upTo: span.to,
    limit: timelineLimit(request),
    filter: request.filter.timeline,
    ignored: await round.ignored(),
  })
  const deltas = whole ? undefined : await deps.rooms.stateDeltas(roomId, span.from, span.to)
  if (deltas !== undefined && changesMembers(deltas))
    for (const one of await arrivals(deps.rooms, snapshot, deltas)) round.arrived.add(one)
  const summary = whole || changesMembers(deltas) ? await deps.members.summary(snapshot, userId) : undefined
  const state = await loadState(deps.rooms, {
    roomId,
    end: snapshot.state,
    timeline,
    deltas,
    useStateAfter: request.stateKind !== 'state',
    filter: request.filter.state,
    lazy: round.lazy,
    alwaysMembers: [userId, ...(summary?.heroes ?? [])],
  })
  const bare = timeline.seen.length === 0 && !timeline.limited && state.length === 0
  if (!whole && quiet && bare && summary === undefined) return undefined
  const counts = await deps.unread.counts(snapshot, userId, await round.evaluator())
  return {
    summary: summary === undefined ? {} : summaryJson(summary),
    ...stateJson(request, await deps.clientEvents.state(request.recipient, state, FORMAT)),
    timeline: await timelineJson(deps, request, viewer, timeline, fresh && span.from > 0),
    ephemeral: { events: ephemeralEvents(deps, request, part, news) },
    account_data: { events: accountDataEvents(news.accountData, request.filter.roomAccountData) },
    ...unreadJson(counts, request.filter.timeline.unreadThreadNotifications),
  }
}

/** A room that the user left, refused to join, or was banned from. */
export async function leftSection(
  deps: SectionDeps,
  round: Round,
  { row }: RoomPart,
  accountData: readonly AccountDataEntry[],
): Promise<JsonObject> {
  const { request, span } = round
  const { recipient } = request
  const left = await deps.rooms.event(row.eventId)
  const viewer = await deps.visibility.viewer(recipient.userId, row)
  if (left?.order === undefined) {
    const events =
      left === undefined
        ? [refusal(deps, round, row)]
        : await deps.clientEvents.state(recipient, [left], FORMAT)
    return { ...stateJson(request, []), timeline: { events, limited: false }, account_data: { events: [] } }
  }
  const whole = span.from === 0 || row.previous !== 'join'
  const timeline = await loadTimeline(deps, {
    roomId: row.roomId,
    viewer,
    after: whole ? 0 : span.from,
    upTo: span.to,
    maxOrder: left.order,
    limit: timelineLimit(request),
    filter: request.filter.timeline,
    ignored: await round.ignored(),
  })
  const end = (await deps.rooms.stateAfter(left.id)) ?? new Map()
  const state = await loadState(deps.rooms, {
    roomId: row.roomId,
    end,
    timeline,
    deltas: whole ? undefined : await deps.rooms.stateDeltas(row.roomId, span.from, row.position),
    useStateAfter: request.stateKind !== 'state',
    filter: request.filter.state,
    lazy: round.lazy,
    alwaysMembers: [recipient.userId],
  })
  // Who was never joined sees no state of the room, only what concerns them.
  const shown = viewer.joinedUntil < left.order ? [] : state
  const ends =
    timeline.seen.some(({ record }) => record.id === left.id) ||
    timelineLimit(request) === 0 ||
    !allows(request.filter.timeline, left.pdu)
  const own = { record: left, visible: true, membership: row.membership }
  return {
    ...stateJson(request, await deps.clientEvents.state(recipient, shown, FORMAT)),
    timeline: await timelineJson(
      deps,
      request,
      viewer,
      ends ? timeline : { ...timeline, seen: [...timeline.seen, own] },
      false,
    ),
    account_data: { events: accountDataEvents(accountData, request.filter.roomAccountData) },
  }
}

/**
 * The end of an invite or knock without its room: there is no event of it here, or none that could be checked, but clients
 * need to hear.
 */
function refusal({ clock }: SectionDeps, { request }: Round, row: MembershipRecord): JsonObject {
  const { userId } = request.recipient
  const at = { origin_server_ts: clock.now() }
  const told = row.strippedState?.at(-1)
  if (told !== undefined) return { ...told, ...at, event_id: row.eventId }
  const own = { type: 'm.room.member', sender: userId, state_key: userId }
  return {
    ...own,
    ...at,
    event_id: `$refused-${row.eventId.slice(1)}`,
    content: { membership: row.membership },
  }
}

function timelineLimit({ filter }: SyncRequest): number {
  return Math.max(0, filter.timeline.limit ?? DEFAULT_TIMELINE_LIMIT)
}

function stateJson({ stateKind }: SyncRequest, events: readonly JsonObject[]): JsonObject {
  return { [stateKind]: { events } }
}

/** `gap`: the client may hold an older part of the timeline, which this one does not continue. */
async function timelineJson(
  deps: SectionDeps,
  request: SyncRequest,
  viewer: Viewer,
  timeline: RoomTimeline,
  gap: boolean,
): Promise<JsonObject> {
  const events = await deps.clientEvents.timeline(request.recipient, viewer, timeline.seen, FORMAT)
  return {
    events,
    limited: timeline.limited || gap,
    ...(timeline.before === undefined ? {} : { prev_batch: formatTimelineToken(timeline.before) }),
  }
}

function ephemeralEvents(
  deps: SectionDeps,
  { recipient, filter }: SyncRequest,
  { snapshot, fresh }: JoinedPart,
  news: RoomNews,
): readonly JsonObject[] {
  const users = deps.typing.users(snapshot.roomId)
  const typing = news.typingChanged || (fresh && users.length > 0) ? [typingEvent(users)] : []
  return [...receiptEvents(news.receipts, (userId) => userId === recipient.userId), ...typing].filter(
    (event) => allows(filter.ephemeral, event),
  )
}

export function accountDataEvents(
  entries: readonly AccountDataEntry[],
  filter: EventFilter,
): readonly JsonObject[] {
  return entries.filter((entry) => allows(filter, entry)).map(({ type, content }) => ({ type, content }))
}

function changesMembers(deltas: readonly StateDelta[] | undefined): boolean {
  return (
    deltas?.some(({ changes }) => changes.some(({ key }) => splitStateKey(key)[0] === 'm.room.member')) ??
    false
  )
}

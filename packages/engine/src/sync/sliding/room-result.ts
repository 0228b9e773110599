/** What an answer says of one room. spec: proposals/4186 "RoomResult" */
import { memberKey, ownValue, splitStateKey, stateKey } from '@plexus/core'
import type { JsonObject, StateKey, StateMap, UserId } from '@plexus/core'
import type { StateDelta } from '../../rooms/types.ts'
import type { PushEvaluator } from '../../users/types.ts'
import { withAggregations } from '../aggregations.ts'
import type { Recipient } from '../client-event.ts'
import { NO_FILTER } from '../filter.ts'
import { strippedState } from '../invites.ts'
import type { SectionDeps } from '../room-sections.ts'
import { loadTimeline, type RoomTimeline } from '../room-timeline.ts'
import { formatTimelineToken, MAX_ORDER } from '../tokens.ts'
import type { Viewer } from '../visibility.ts'
import type { BumpStamps } from './bump-stamps.ts'
import { isSame, type CombinedConfig } from './config.ts'
import type { ListedRoom } from './lists.ts'
import { requiredState } from './required-state.ts'
import type { ToldRoom } from './types.ts'

export type SlidingDeps = SectionDeps & { readonly bumpStamps: BumpStamps }

/** What all rooms of one answer share. */
export type SlidingRound = {
  readonly recipient: Recipient
  /** The client knows what came up to here; 0 for a new connection. */
  readonly from: number
  readonly to: number
  readonly ignored: ReadonlySet<string>
  readonly evaluator: PushEvaluator
}

export type MatchedRoom = {
  readonly room: ListedRoom
  readonly config: CombinedConfig
  readonly lists: readonly string[]
  readonly isDm: boolean
  readonly told: ToldRoom | undefined
}

export type RoomAnswer = {
  /** `undefined` when there is nothing to say. */
  readonly result: JsonObject | undefined
  readonly told: ToldRoom
}

export async function roomAnswer(
  deps: SlidingDeps,
  round: SlidingRound,
  matched: MatchedRoom,
): Promise<RoomAnswer> {
  const { row, snapshot } = matched.room
  if (matched.told !== undefined && isUnchanged(matched))
    return { result: undefined, told: { ...matched.told, upTo: round.to } }
  if (row.membership === 'join' && snapshot !== undefined) {
    const stamp = await deps.bumpStamps.of(snapshot, row.position)
    return memberAnswer(deps, round, matched, snapshot.state, MAX_ORDER, stamp)
  }
  const left = row.previous === 'join' ? await deps.rooms.event(row.eventId) : undefined
  if ((row.membership === 'leave' || row.membership === 'ban') && left?.order !== undefined) {
    const state = (await deps.rooms.stateAfter(left.id)) ?? new Map()
    return memberAnswer(deps, round, matched, state, left.order, row.position)
  }
  return outsideAnswer(deps, round, matched)
}

/** A room that the user never saw from inside: an invite, a knock, or what became of them. */
async function outsideAnswer(
  deps: SlidingDeps,
  { recipient, to }: SlidingRound,
  { room: { row }, config, lists, isDm, told }: MatchedRoom,
): Promise<RoomAnswer> {
  const next: ToldRoom = {
    upTo: to,
    membership: row.membership,
    config,
    known: 0,
    isDm,
    members: new Map(),
    extensions: told?.extensions ?? new Set(),
  }
  if (told !== undefined && told.upTo >= row.position) return { result: undefined, told: next }
  // Whose invite or knock came to an end learns no more of the room.
  const isAsked = row.membership === 'invite' || row.membership === 'knock'
  const stripped = isAsked ? await strippedState(deps.rooms, recipient.userId, row) : []
  const result: JsonObject = {
    ...(isAsked || told === undefined ? { initial: true } : {}),
    membership: row.membership,
    bump_stamp: row.position,
    ...(isDm ? { is_dm: true } : {}),
    ...(lists.length === 0 ? {} : { lists }),
    // The second name is the one before, which deployed clients know.
    ...(isAsked ? { stripped_state: stripped, invite_state: stripped } : {}),
  }
  return { result, told: next }
}

async function memberAnswer(
  deps: SlidingDeps,
  round: SlidingRound,
  matched: MatchedRoom,
  state: StateMap,
  maxOrder: number,
  bumpStamp: number,
): Promise<RoomAnswer> {
  const { recipient, to } = round
  const { room, config, lists, isDm } = matched
  const { row } = room
  // Who comes in anew knows nothing of what was between.
  const told =
    wasMember(matched.told) && (row.membership !== 'join' || matched.told?.membership === 'join')
      ? matched.told
      : undefined
  const viewer = await deps.visibility.viewer(recipient.userId, row)
  // What happened after the user left is not theirs to know.
  const end = row.membership === 'join' ? to : Math.min(to, row.position)
  const { timeline, expanded } = await timelineOf(deps, round, matched, told, viewer, maxOrder)
  const deltas = told === undefined ? [] : await deps.rooms.stateDeltas(row.roomId, told.upTo, end)
  const shown = await requiredState(deps, { recipient, state, config, timeline, told, deltas })
  const facts = await roomFacts(deps, recipient.userId, matched, state, told, deltas)
  const next: ToldRoom = {
    upTo: to,
    membership: row.membership,
    config,
    known: knownNow(config, timeline, told),
    isDm,
    members: shown.members,
    extensions: told?.extensions ?? new Set(),
  }
  const quiet =
    told !== undefined &&
    told.membership === row.membership &&
    told.isDm === isDm &&
    timeline.seen.length === 0 &&
    shown.events.length === 0 &&
    Object.keys(facts).length === 0
  if (quiet) return { result: undefined, told: next }
  const live = timeline.seen.filter(({ record }) => (record.order ?? 0) > Math.max(0, round.from)).length
  const result: JsonObject = {
    ...(told === undefined ? { initial: true } : {}),
    membership: row.membership,
    bump_stamp: bumpStamp,
    ...(lists.length === 0 ? {} : { lists }),
    ...(told === undefined ? (isDm ? { is_dm: true } : {}) : told.isDm === isDm ? {} : { is_dm: isDm }),
    ...facts,
    ...(await countsOf(deps, round, matched)),
    required_state: shown.events,
    timeline: await timelineEvents(deps, round, viewer, timeline),
    num_live: round.from === 0 ? 0 : live,
    ...(timeline.limited ? { limited: true } : {}),
    ...(timeline.before === undefined ? {} : { prev_batch: formatTimelineToken(timeline.before) }),
    // The second name is the one before, which deployed clients know.
    ...(expanded ? { expanded_timeline: true, unstable_expanded_timeline: true } : {}),
  }
  return { result, told: next }
}

/** Without a timeline the client does not hear of the newest events. */
function knownNow({ timelineLimit }: CombinedConfig, timeline: RoomTimeline, told?: ToldRoom): number {
  if (timelineLimit === 0) return 0
  return timeline.limited ? timeline.seen.length : Math.max(timelineLimit, told?.known ?? 0)
}

/** A wait looks at every room after each commit: where nothing happened it stops here. */
function isUnchanged({ room: { row, snapshot }, config, isDm, told }: MatchedRoom): boolean {
  if (told === undefined || told.membership !== row.membership || told.isDm !== isDm) return false
  return (
    (snapshot?.lastPosition ?? 0) <= told.upTo && row.position <= told.upTo && isSame(config, told.config)
  )
}

const wasMember = (told: ToldRoom | undefined): boolean =>
  told?.membership === 'join' || told?.membership === 'leave' || told?.membership === 'ban'

async function timelineOf(
  deps: SlidingDeps,
  { ignored, to }: SlidingRound,
  { room: { row }, config }: MatchedRoom,
  told: ToldRoom | undefined,
  viewer: Viewer,
  maxOrder: number,
): Promise<{ timeline: RoomTimeline; expanded: boolean }> {
  const query = {
    roomId: row.roomId,
    viewer,
    upTo: to,
    maxOrder,
    limit: config.timelineLimit,
    filter: NO_FILTER,
    ignored,
  }
  if (config.timelineLimit === 0)
    return { timeline: { seen: [], limited: told === undefined, before: undefined }, expanded: false }
  const grown = told !== undefined && config.timelineLimit > told.config.timelineLimit
  const expanded = grown && config.timelineLimit > told.known
  const after = told === undefined || expanded ? 0 : told.upTo
  return { timeline: await loadTimeline(deps, { ...query, after }), expanded }
}

async function timelineEvents(
  deps: SlidingDeps,
  { recipient, ignored }: SlidingRound,
  viewer: Viewer,
  timeline: RoomTimeline,
): Promise<readonly JsonObject[]> {
  if (!timeline.limited)
    return deps.clientEvents.timeline(recipient, viewer, timeline.seen, { roomId: false })
  const { rooms, visibility, clientEvents } = deps
  const parts = { rooms, visibility, clientEvents, ignored: () => Promise.resolve(ignored) }
  return withAggregations(parts, recipient, viewer, timeline.seen)
}

const NAME_KEY = stateKey('m.room.name', '')
const AVATAR_KEY = stateKey('m.room.avatar', '')

/** Name, avatar, members: all of them at first, later what changed. */
async function roomFacts(
  deps: SlidingDeps,
  userId: UserId,
  { room: { snapshot, row } }: MatchedRoom,
  state: StateMap,
  told: ToldRoom | undefined,
  deltas: readonly StateDelta[],
): Promise<JsonObject> {
  const changed = new Set(deltas.flatMap(({ changes }) => changes.map(({ key }) => key)))
  const members = [...changed].some((key) => splitStateKey(key)[0] === 'm.room.member')
  const textOf = async (key: StateKey, field: string): Promise<string | null | undefined> => {
    if (told !== undefined && !changed.has(key)) return undefined
    const id = state.get(key)
    const content = id === undefined ? undefined : (await deps.rooms.event(id))?.pdu.content
    const value = content === undefined ? undefined : ownValue(content, field)
    if (typeof value === 'string' && value !== '') return value
    return told === undefined ? undefined : null
  }
  const name = await textOf(NAME_KEY, 'name')
  const avatar = await textOf(AVATAR_KEY, 'url')
  const facts: JsonObject = {
    ...(name === undefined ? {} : { name }),
    ...(avatar === undefined ? {} : { avatar }),
  }
  if (
    snapshot === undefined ||
    row.membership !== 'join' ||
    (told !== undefined && !members && name !== null)
  )
    return facts
  const summary = await deps.members.summary(snapshot, userId)
  const unnamed = told === undefined ? name === undefined : !(await hasName(deps, state))
  return {
    ...facts,
    ...(told === undefined || members
      ? { joined_count: summary.joined, invited_count: summary.invited }
      : {}),
    ...(unnamed ? { heroes: await heroesOf(deps, state, summary.heroes) } : {}),
  }
}

async function hasName({ rooms }: SlidingDeps, state: StateMap): Promise<boolean> {
  const id = state.get(NAME_KEY)
  const name = id === undefined ? undefined : ownValue((await rooms.event(id))?.pdu.content ?? {}, 'name')
  return typeof name === 'string' && name !== ''
}

async function heroesOf(
  { rooms }: SlidingDeps,
  state: StateMap,
  heroes: readonly UserId[],
): Promise<readonly JsonObject[]> {
  return Promise.all(
    heroes.map(async (userId) => {
      const id = state.get(memberKey(userId))
      const content = id === undefined ? {} : ((await rooms.event(id))?.pdu.content ?? {})
      const displayname = ownValue(content, 'displayname')
      const avatar = ownValue(content, 'avatar_url')
      return {
        user_id: userId,
        ...(typeof displayname === 'string' ? { displayname } : {}),
        ...(typeof avatar === 'string' ? { avatar_url: avatar } : {}),
      }
    }),
  )
}

/** Not in the proposal any more; deployed clients show them. */
async function countsOf(
  { unread }: SlidingDeps,
  { recipient, evaluator }: SlidingRound,
  { room: { snapshot, row } }: MatchedRoom,
): Promise<JsonObject> {
  if (snapshot === undefined || row.membership !== 'join') return {}
  const counts = [...(await unread.counts(snapshot, recipient.userId, evaluator)).values()]
  return {
    notification_count: counts.reduce((sum, one) => sum + one.notifications, 0),
    highlight_count: counts.reduce((sum, one) => sum + one.highlights, 0),
  }
}

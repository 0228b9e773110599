/** One answer to `/sync`, from a token to a committed position. */
import type { JsonObject, RoomId, UserId } from '@plexus/core'
import type { Receipt } from '../rooms-ephemeral/types.ts'
import type { MembershipRecord } from '../rooms/types.ts'
import type { AccountDataEntry, KeyCounts } from '../users/types.ts'
import { ignoredUsers, inviteFilter } from '../users/unwanted.ts'
import { strippedState } from './invites.ts'
import type { LazyAnswer } from './lazy-members.ts'
import { presenceEvents } from './presence.ts'
import type { RoomPart } from './room-parts.ts'
import { membershipsNow, partOf } from './room-parts.ts'
import type { Round, RoomNews, SectionDeps } from './room-sections.ts'
import { accountDataEvents, joinedSection, leftSection } from './room-sections.ts'
import type { SyncToken } from './tokens.ts'
import { formatSyncToken } from './tokens.ts'
import type { SyncRequest } from './types.ts'

/** To-device messages of one answer; the rest follows in the next. */
export const MAX_TO_DEVICE_EVENTS = 100
/** Rooms that are assembled at a time. */
const ROOMS_AT_A_TIME = 8

export const START: SyncToken = { position: 0, serial: 0, toDevice: 0 }

const NO_LISTS: { readonly changed: readonly UserId[]; readonly left: readonly UserId[] } = {
  changed: [],
  left: [],
}
const NO_RECEIPTS: readonly Receipt[] = []

export type Assembled = { readonly body: JsonObject; readonly token: SyncToken; readonly empty: boolean }

/** `from` is `START` for an initial sync. */
export async function assemble(
  deps: SectionDeps,
  request: SyncRequest,
  from: SyncToken,
  lazy: LazyAnswer,
): Promise<Assembled> {
  const { recipient, filter } = request
  const { users } = deps
  const serial = deps.serial.current
  if (isNow(deps, request, from)) {
    const keys = await users.keys.counts(recipient)
    const body = { ...bodyOf(from, NO_SECTIONS, NO_NEWS), device_lists: NO_LISTS, ...keysJson(keys) }
    return { body, token: from, empty: keys.position <= from.position }
  }
  const { rows, to } = await membershipsNow(deps, recipient.userId)
  const span = { from: from.position, to }
  const initial = from.position === 0
  const [toDevice, accountData, keys, lists, receipts] = await Promise.all([
    users.toDevice.inbox(recipient, from.toDevice, to, MAX_TO_DEVICE_EVENTS),
    users.accountData.since(recipient.userId, span.from, to),
    users.keys.counts(recipient),
    initial ? NO_LISTS : users.deviceLists.changes(recipient.userId, span.from, to),
    initial ? NO_RECEIPTS : deps.receipts.since(span.from, to),
  ])
  const round: Round = {
    request,
    span,
    lazy,
    ignored: once(() => ignoredUsers(users.accountData, recipient.userId)),
    showsInvite: once(() => inviteFilter(users.accountData, recipient.userId)),
    evaluator: once(() => users.pushRules.evaluator(recipient.userId)),
    arrived: new Set(),
  }
  const news = { receipts, accountData, typing: new Set(deps.typing.changedSince(from.serial)) }
  const sections = await roomSections(deps, round, rows, news)
  const token = { position: to, serial, toDevice: Math.min(toDevice.position, to) }
  const global = accountDataEvents(
    accountData.filter(({ roomId }) => roomId === undefined),
    filter.accountData,
  )
  const present = await presenceEvents(
    deps,
    request,
    { from: span.from, serial: from.serial },
    rows,
    round.arrived,
  )
  const empty =
    Object.values(sections).every((section) => Object.keys(section).length === 0) &&
    toDevice.events.length === 0 &&
    global.length === 0 &&
    present.length === 0 &&
    lists.changed.length + lists.left.length === 0 &&
    keys.position <= span.from
  const body: JsonObject = {
    ...bodyOf(token, sections, { global, toDevice: toDevice.events, present }),
    ...(initial ? {} : { device_lists: lists }),
    ...keysJson(keys),
  }
  return { body, token, empty }
}

/** Nothing at all happened since: a client that asks again at once costs nothing, however many rooms it has. */
function isNow({ committer, serial }: SectionDeps, { fullState }: SyncRequest, from: SyncToken): boolean {
  const { committed } = committer
  const isSame = from.position === committed && from.toDevice === committed && from.serial === serial.current
  return isSame && committed > 0 && !fullState
}

type Global = {
  readonly global: readonly JsonObject[]
  readonly toDevice: readonly JsonObject[]
  readonly present: readonly JsonObject[]
}
const NO_NEWS: Global = { global: [], toDevice: [], present: [] }
const NO_SECTIONS: Sections = { join: {}, invite: {}, knock: {}, leave: {} }

function bodyOf(token: SyncToken, rooms: Sections, { global, toDevice, present }: Global): JsonObject {
  return {
    next_batch: formatSyncToken(token),
    rooms,
    account_data: { events: global },
    ...(toDevice.length === 0 ? {} : { to_device: { events: toDevice } }),
    presence: { events: present },
  }
}

function keysJson({ oneTimeKeys, unusedFallbackTypes }: KeyCounts): JsonObject {
  return {
    device_one_time_keys_count: oneTimeKeys,
    device_unused_fallback_key_types: unusedFallbackTypes,
  }
}

/** What is new beside the events, of all rooms. */
type News = {
  readonly receipts: readonly Receipt[]
  readonly accountData: readonly AccountDataEntry[]
  readonly typing: ReadonlySet<RoomId>
}

async function roomSections(
  deps: SectionDeps,
  round: Round,
  rows: readonly MembershipRecord[],
  news: News,
): Promise<Sections> {
  const { recipient, filter } = round.request
  const sections: Sections = { join: {}, invite: {}, knock: {}, leave: {} }
  for (let start = 0; start < rows.length; start += ROOMS_AT_A_TIME) {
    await Promise.all(
      rows.slice(start, start + ROOMS_AT_A_TIME).map(async (row) => {
        const part = await partOf(deps.rooms, recipient.userId, row, round.span, filter)
        if (part === undefined) return
        await addRoom(deps, round, part, await newsOf(deps, round, part, news), sections)
      }),
    )
  }
  return sections
}

async function newsOf(deps: SectionDeps, round: Round, part: RoomPart, news: News): Promise<RoomNews> {
  const { roomId } = part.row
  if (part.kind === 'join' && part.fresh) {
    return {
      receipts: await deps.receipts.ofRoom(roomId),
      typingChanged: false,
      accountData: await deps.users.accountData.ofRoom(round.request.recipient.userId, roomId),
    }
  }
  return {
    receipts: news.receipts.filter((one) => one.roomId === roomId),
    typingChanged: news.typing.has(roomId),
    accountData: news.accountData.filter((one) => one.roomId === roomId),
  }
}

/** The same promise at each call. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

type Sections = Readonly<Record<RoomPart['kind'], Record<RoomId, JsonObject>>>

async function addRoom(
  deps: SectionDeps,
  round: Round,
  part: RoomPart,
  news: RoomNews,
  sections: Sections,
): Promise<void> {
  const { userId } = round.request.recipient
  const { row } = part
  if (part.kind === 'join') {
    const section = await joinedSection(deps, round, part, news)
    if (section !== undefined) sections.join[row.roomId] = section
  } else if (part.kind === 'leave') {
    sections.leave[row.roomId] = await leftSection(deps, round, part, news.accountData)
  } else if (part.kind === 'knock' || (await round.showsInvite())(row.sender)) {
    const name = part.kind === 'knock' ? 'knock_state' : 'invite_state'
    sections[part.kind][row.roomId] = { [name]: { events: await strippedState(deps.rooms, userId, row) } }
  }
}

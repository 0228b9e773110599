/** What a search finds for a user. spec: client-server-api/modules/search.md, data/api/client-server/search.yaml */
import { isJsonObject, ownValue, parseRoomId, stateKey } from '@plexus/core'
import type { EventId, JsonObject, JsonValue, RoomId, UserId } from '@plexus/core'
import type { MembershipRecord } from '../rooms/types.ts'
import { RoomError } from '../rooms/types.ts'
import type { Match, SearchIndex } from '../search/search-index.ts'
import { searchableText, termsOf, type SearchKey } from '../search/terms.ts'
import { withAggregations } from './aggregations.ts'
import type { Recipient } from './client-event.ts'
import { allows, allowsRoom, type EventFilter } from './filter.ts'
import type { ReaderParts } from './room-access.ts'
import type { Seen, Viewer } from './visibility.ts'

/** Words of one search; the rest is not looked for. */
export const MAX_SEARCH_TERMS = 20
/** Newest events with the words that one search looks at. */
export const MAX_SEARCHED_EVENTS = 1_000
/** Rooms that one was upgraded from, which are searched with it. */
export const MAX_PREDECESSORS = 10

export type SearchGroup = 'room_id' | 'sender'

export type SearchRequest = {
  readonly term: string
  readonly keys: readonly SearchKey[]
  readonly filter: EventFilter
  readonly order: 'rank' | 'recent'
  readonly groupBy: readonly SearchGroup[]
  readonly limit: number
  /** Of an answer to the same request. */
  readonly next?: string
}

export type SearchResult = {
  readonly rank: number
  readonly roomId: RoomId
  readonly eventId: EventId
  readonly event: JsonObject
}

export type SearchResults = {
  /** What was found on all pages, within `MAX_SEARCHED_EVENTS`. */
  readonly count: number
  readonly highlights: readonly string[]
  readonly results: readonly SearchResult[]
  readonly groups: ReadonlyMap<SearchGroup, ReadonlyMap<string, GroupResults>>
  /** Absent when the page was not filled; the next page may be empty. */
  readonly next?: string
}

export type GroupResults = {
  readonly order: number
  readonly ids: readonly EventId[]
  readonly next?: string
}

type Hit = Match & { readonly seen: Seen; readonly viewer: Viewer }
/** After which result a page begins, and the group that it is of. */
type Token = {
  readonly rank: number
  readonly ts: number
  readonly position: number
  readonly id: string
  readonly group?: { readonly key: SearchGroup; readonly value: string }
}

export type SearchParts = ReaderParts & { readonly index: SearchIndex }

/** @throws RoomError M_INVALID_PARAM for a token that is none. */
export async function searchEvents(
  parts: SearchParts,
  recipient: Recipient,
  request: SearchRequest,
): Promise<SearchResults> {
  const { groupBy, limit, next } = request
  const after = next === undefined ? undefined : tokenOf(next)
  const terms = [...termsOf(request.term).keys()].slice(0, MAX_SEARCH_TERMS)
  const hits = terms.length === 0 ? [] : await hitsFor(parts, recipient.userId, request, terms)
  const before = request.order === 'rank' ? byRank : byTime
  const wanted = hits
    .filter((hit) => after?.group === undefined || groupOf(hit, after.group.key) === after.group.value)
    .sort(before)
  const rest = after === undefined ? wanted : wanted.filter((hit) => before(hit, after) > 0)
  const page = rest.slice(0, limit)
  const last = page.length === limit ? page.at(-1) : undefined
  return {
    count: hits.length,
    highlights: terms,
    results: await Promise.all(page.map((hit) => resultOf(parts, recipient, hit))),
    groups: new Map(groupBy.map((key) => [key, groupsOf(page, rest, key)])),
    ...(last === undefined ? {} : { next: formatToken(last, after?.group) }),
  }
}

/** All that the user may see, in no order. */
async function hitsFor(
  parts: SearchParts,
  userId: UserId,
  { keys, filter }: SearchRequest,
  terms: readonly string[],
): Promise<Hit[]> {
  const scope = await searchedRooms(parts, userId, filter)
  const roomIds = [...scope.keys()]
  await parts.index.follow(roomIds)
  const matches = (await parts.index.find(roomIds, terms))
    .filter(({ key }) => keys.includes(key))
    .sort(byTime)
    .slice(0, MAX_SEARCHED_EVENTS)
  const records = await parts.rooms.events(matches.map(({ id }) => id))
  const byId = new Map(matches.map((match) => [match.id, match] as const))
  const ignored = await parts.ignored(userId)
  const hits: Hit[] = []
  for (const [roomId, membership] of scope) {
    const found = records.filter(
      (record) =>
        record?.roomId === roomId &&
        allows(filter, record.pdu) &&
        !ignored.has(record.pdu.sender) &&
        // The index may still have words of an event that was redacted while it was read.
        searchableText(record.pdu) !== undefined,
    )
    if (found.length === 0) continue
    const viewer = await parts.visibility.viewer(userId, membership)
    const judged = await parts.visibility.judge(
      viewer,
      found.filter((record) => record !== undefined),
    )
    for (const seen of judged) {
      const match = byId.get(seen.record.id)
      if (seen.visible && match !== undefined) hits.push({ ...match, seen, viewer })
    }
  }
  return hits
}

/** The rooms that the user is or was in, and that are not encrypted; with those that they were upgraded from. */
async function searchedRooms(
  { rooms }: SearchParts,
  userId: UserId,
  filter: EventFilter,
): Promise<ReadonlyMap<RoomId, MembershipRecord>> {
  const been = new Map(
    (await rooms.memberships(userId))
      .filter(({ membership, previous, forgotten }) =>
        forgotten === true ? false : membership === 'join' || previous === 'join',
      )
      .map((row) => [row.roomId, row] as const),
  )
  const chosen = new Map<RoomId, MembershipRecord>()
  for (const start of been.keys()) {
    if (!allowsRoom(filter, start)) continue
    let roomId: RoomId | undefined = start
    for (let steps = 0; roomId !== undefined && steps <= MAX_PREDECESSORS; steps += 1) {
      const row = been.get(roomId)
      if (row === undefined || chosen.has(roomId) || filter.notRooms?.has(roomId) === true) break
      const state = (await rooms.snapshot(roomId))?.state
      if (state?.has(ENCRYPTION_KEY) !== true) chosen.set(roomId, row)
      const createId = state?.get(CREATE_KEY)
      const create = createId === undefined ? undefined : await rooms.event(createId)
      roomId = predecessorOf(create?.pdu.content)
    }
  }
  return chosen
}

const ENCRYPTION_KEY = stateKey('m.room.encryption', '')
const CREATE_KEY = stateKey('m.room.create', '')

function predecessorOf(content: JsonObject | undefined): RoomId | undefined {
  const predecessor = content === undefined ? undefined : ownValue(content, 'predecessor')
  const id = isJsonObject(predecessor) ? ownValue(predecessor, 'room_id') : undefined
  return typeof id === 'string' ? parseRoomId(id) : undefined
}

async function resultOf(
  parts: SearchParts,
  recipient: Recipient,
  { rank, roomId, id, seen, viewer }: Hit,
): Promise<SearchResult> {
  const [event = {}] = await withAggregations(parts, recipient, viewer, [seen])
  return { rank, roomId, eventId: id, event }
}

function groupsOf(page: readonly Hit[], rest: readonly Hit[], key: SearchGroup): Map<string, GroupResults> {
  const groups = new Map<string, GroupResults>()
  for (const value of new Set(page.map((hit) => groupOf(hit, key)))) {
    const own = page.filter((hit) => groupOf(hit, key) === value)
    const all = rest.filter((hit) => groupOf(hit, key) === value)
    const last = own.at(-1)
    groups.set(value, {
      order: groups.size,
      ids: own.map(({ id }) => id),
      ...(last === undefined || all.length === own.length ? {} : { next: formatToken(last, { key, value }) }),
    })
  }
  return groups
}

const groupOf = ({ roomId, seen }: Hit, key: SearchGroup): string =>
  key === 'room_id' ? roomId : seen.record.pdu.sender

type Place = Omit<Token, 'group'>
const byTime = (a: Place, b: Place): number =>
  b.ts - a.ts || b.position - a.position || (a.id < b.id ? -1 : Number(a.id > b.id))
/** What has the same rank comes as it was said. */
const byRank = (a: Place, b: Place): number => b.rank - a.rank || byTime(b, a)

const formatToken = ({ rank, ts, position, id }: Hit, group: Token['group']): string =>
  JSON.stringify([rank, ts, position, id, ...(group === undefined ? [] : [group.key, group.value])])

function tokenOf(text: string): Token {
  const [rank, ts, position, id, key, value] = partsOf(text)
  const isGroup = (key === 'room_id' || key === 'sender') && typeof value === 'string'
  if (typeof rank !== 'number' || typeof ts !== 'number' || typeof position !== 'number') throw notAToken()
  if (typeof id !== 'string' || (key !== undefined && !isGroup)) throw notAToken()
  return { rank, ts, position, id, ...(isGroup ? { group: { key, value } } : {}) }
}

function partsOf(text: string): readonly (JsonValue | undefined)[] {
  try {
    const value = JSON.parse(text) as JsonValue
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}

const notAToken = (): RoomError => new RoomError('M_INVALID_PARAM', 'next_batch is no token of a search')

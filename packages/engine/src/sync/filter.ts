/**
 * Filters as clients give them, parsed to a shape of their own: what is malformed refuses the whole filter.
 * spec: client-server-api/_index.md "Filtering", data/api/client-server/definitions/sync_filter.yaml
 */
import { isJsonObject, ownValue, parseRoomId, parseUserId } from '@plexus/core'
import type { JsonObject, JsonValue } from '@plexus/core'

/** Entries of one list of a filter. */
export const MAX_FILTER_LIST = 1_000
/** Most events of one timeline or page. */
export const MAX_FILTER_LIMIT = 500
export const DEFAULT_TIMELINE_LIMIT = 10

type Names = ReadonlySet<string> | undefined

export type EventFilter = {
  /** Undefined when the client does not say. */
  readonly limit: number | undefined
  readonly types: Patterns | undefined
  readonly notTypes: Patterns | undefined
  readonly senders: Names
  readonly notSenders: Names
  readonly rooms: Names
  readonly notRooms: Names
  readonly containsUrl: boolean | undefined
  readonly lazyLoadMembers: boolean
  readonly includeRedundantMembers: boolean
  readonly unreadThreadNotifications: boolean
}

export type SyncFilter = {
  readonly accountData: EventFilter
  readonly presence: EventFilter
  readonly rooms: Names
  readonly notRooms: Names
  readonly includeLeave: boolean
  readonly ephemeral: EventFilter
  readonly state: EventFilter
  readonly timeline: EventFilter
  readonly roomAccountData: EventFilter
}

/** Event types with `*` for any run of characters. */
export type Patterns = { readonly exact: ReadonlySet<string>; readonly globs: readonly (readonly string[])[] }

class Malformed extends Error {}

/** `undefined` for what is not a filter. */
export function parseSyncFilter(value: JsonValue | undefined): SyncFilter | undefined {
  return guarded(() => {
    const filter = objectOf(value)
    const room = objectOf(ownValue(filter, 'room'))
    return {
      accountData: eventFilter(ownValue(filter, 'account_data')),
      presence: eventFilter(ownValue(filter, 'presence')),
      rooms: idsOf(room, 'rooms', parseRoomId),
      notRooms: idsOf(room, 'not_rooms', parseRoomId),
      includeLeave: booleanOf(room, 'include_leave') ?? false,
      ephemeral: eventFilter(ownValue(room, 'ephemeral')),
      state: eventFilter(ownValue(room, 'state')),
      timeline: eventFilter(ownValue(room, 'timeline')),
      roomAccountData: eventFilter(ownValue(room, 'account_data')),
    }
  })
}

/** `undefined` for what is not a filter. */
export function parseEventFilter(value: JsonValue | undefined): EventFilter | undefined {
  return guarded(() => eventFilter(value))
}

export const NO_FILTER: EventFilter = eventFilter(undefined)
export const NO_SYNC_FILTER: SyncFilter = {
  accountData: NO_FILTER,
  presence: NO_FILTER,
  rooms: undefined,
  notRooms: undefined,
  includeLeave: false,
  ephemeral: NO_FILTER,
  state: NO_FILTER,
  timeline: NO_FILTER,
  roomAccountData: NO_FILTER,
}

export type Filterable = { readonly type: string; readonly sender?: string; readonly content: JsonObject }

/** Whether an event passes; rooms are asked about with `allowsRoom`. */
export function allows(filter: EventFilter, event: Filterable): boolean {
  const { types, notTypes, senders, notSenders, containsUrl } = filter
  if (notTypes !== undefined && matches(notTypes, event.type)) return false
  if (types !== undefined && !matches(types, event.type)) return false
  const sender = event.sender ?? ''
  if (notSenders?.has(sender) === true || senders?.has(sender) === false) return false
  return containsUrl === undefined || Object.hasOwn(event.content, 'url') === containsUrl
}

export function allowsRoom(
  filter: { readonly rooms: Names; readonly notRooms: Names },
  roomId: string,
): boolean {
  return filter.notRooms?.has(roomId) !== true && filter.rooms?.has(roomId) !== false
}

/** In time linear in the text for each pattern: the pieces between the stars are looked for one after the other. */
export function matches({ exact, globs }: Patterns, type: string): boolean {
  return exact.has(type) || globs.some((pieces) => matchesGlob(pieces, type))
}

function matchesGlob(pieces: readonly string[], text: string): boolean {
  const first = pieces[0] ?? ''
  const last = pieces.at(-1) ?? ''
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last))
    return false
  let at = first.length
  const end = text.length - last.length
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at)
    if (found === -1 || found + piece.length > end) return false
    at = found + piece.length
  }
  return true
}

function eventFilter(value: JsonValue | undefined): EventFilter {
  const filter = objectOf(value)
  const limit = ownValue(filter, 'limit')
  if (limit !== undefined && (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 0))
    throw new Malformed()
  return {
    limit: limit === undefined ? undefined : Math.min(limit, MAX_FILTER_LIMIT),
    types: patternsOf(filter, 'types'),
    notTypes: patternsOf(filter, 'not_types'),
    senders: idsOf(filter, 'senders', parseUserId),
    notSenders: idsOf(filter, 'not_senders', parseUserId),
    rooms: idsOf(filter, 'rooms', parseRoomId),
    notRooms: idsOf(filter, 'not_rooms', parseRoomId),
    containsUrl: booleanOf(filter, 'contains_url'),
    lazyLoadMembers: booleanOf(filter, 'lazy_load_members') ?? false,
    includeRedundantMembers: booleanOf(filter, 'include_redundant_members') ?? false,
    unreadThreadNotifications: booleanOf(filter, 'unread_thread_notifications') ?? false,
  }
}

function guarded<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
}

function objectOf(value: JsonValue | undefined): JsonObject {
  if (value === undefined) return {}
  if (!isJsonObject(value)) throw new Malformed()
  return value
}

function booleanOf(object: JsonObject, key: string): boolean | undefined {
  const value = ownValue(object, key)
  if (value !== undefined && typeof value !== 'boolean') throw new Malformed()
  return value
}

function listOf(object: JsonObject, key: string): readonly string[] | undefined {
  const value = ownValue(object, key)
  if (value === undefined) return undefined
  if (!Array.isArray(value) || value.length > MAX_FILTER_LIST) throw new Malformed()
  return value.map((item: JsonValue) => {
    if (typeof item !== 'string') throw new Malformed()
    return item
  })
}

function idsOf(object: JsonObject, key: string, parse: (text: string) => string | undefined): Names {
  const list = listOf(object, key)
  if (list?.every((text) => parse(text) !== undefined) === false) throw new Malformed()
  return list === undefined ? undefined : new Set(list)
}

function patternsOf(object: JsonObject, key: string): Patterns | undefined {
  const list = listOf(object, key)
  if (list === undefined) return undefined
  return {
    exact: new Set(list.filter((type) => !type.includes('*'))),
    globs: list.filter((type) => type.includes('*')).map((type) => type.split('*')),
  }
}

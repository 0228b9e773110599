import { parseRoomAlias, parseRoomId, type RoomAlias, type RoomId, type ServerName } from '../ids.ts'
import { isJsonObject, type JsonValue } from '../json.ts'
import { isCount } from './domain.ts'
import { parseList, parseText, recordKind, type RecordHead, type RecordKind } from './record.ts'

/** Longest validity of a listing, in milliseconds. DESIGN section 7 */
export const MAX_LISTING_RECORD_MS: number = 24 * 3_600_000
/** Rooms of one listing, and characters of their names and topics. */
export const MAX_LISTED_ROOMS = 16
export const MAX_LISTED_NAME_CHARS = 100
export const MAX_LISTED_TOPIC_CHARS = 300

/** A room as its server's public list has it: a hint, which only the room itself confirms. */
export type ListedRoom = {
  readonly roomId: RoomId
  readonly joinedMembers: number
  readonly name?: string
  readonly topic?: string
  readonly canonicalAlias?: RoomAlias
}

/** The rooms that a server publishes, for who asks while it is away. */
export type ListingRecord = RecordHead & { readonly rooms: readonly ListedRoom[] }

export const listingRecords: RecordKind<ListingRecord> = recordKind<ListingRecord>({
  domain: 'listingRecord',
  maxValidityMs: MAX_LISTING_RECORD_MS,
  fields: ({ rooms }) => ({
    rooms: rooms.map(({ roomId, joinedMembers, name, topic, canonicalAlias }) => ({
      roomId,
      joinedMembers,
      ...(name === undefined ? {} : { name }),
      ...(topic === undefined ? {} : { topic }),
      ...(canonicalAlias === undefined ? {} : { canonicalAlias }),
    })),
  }),
  parseFields(value) {
    const rooms = parseList(value['rooms'], MAX_LISTED_ROOMS, parseRoom)
    return rooms === undefined ? undefined : { rooms }
  },
  key: ({ name }) => listingKey(name),
})

/** What the listing of a server is found by. */
export function listingKey(name: ServerName): string {
  return `rooms/${name}`
}

function parseRoom(value: JsonValue): ListedRoom | undefined {
  if (!isJsonObject(value)) return undefined
  const { joinedMembers } = value
  const roomId = typeof value['roomId'] === 'string' ? parseRoomId(value['roomId']) : undefined
  if (roomId === undefined || !isCount(joinedMembers)) return undefined
  const name = parseText(value['name'], MAX_LISTED_NAME_CHARS)
  const topic = parseText(value['topic'], MAX_LISTED_TOPIC_CHARS)
  const alias =
    typeof value['canonicalAlias'] === 'string' ? parseRoomAlias(value['canonicalAlias']) : undefined
  if (name === undefined && value['name'] !== undefined) return undefined
  if (topic === undefined && value['topic'] !== undefined) return undefined
  if (alias === undefined && value['canonicalAlias'] !== undefined) return undefined
  return {
    roomId,
    joinedMembers,
    ...(name === undefined ? {} : { name }),
    ...(topic === undefined ? {} : { topic }),
    ...(alias === undefined ? {} : { canonicalAlias: alias }),
  }
}

import {
  parseRoomAlias,
  parseRoomId,
  parseServerName,
  serverOf,
  type RoomAlias,
  type RoomId,
  type ServerName,
} from '../ids.ts'
import { hashedPart, parseList, recordKind, type RecordHead, type RecordKind } from './record.ts'

/** Longest validity of an alias record, in milliseconds. DESIGN section 7 */
export const MAX_ALIAS_RECORD_MS: number = 7 * 24 * 3_600_000
/** Servers that an alias record names. */
export const MAX_ALIAS_VIAS = 8

/** What room an alias of a server stands for, while that server is away. */
export type AliasRecord = RecordHead & {
  /** One of `name`. */
  readonly alias: RoomAlias
  readonly roomId: RoomId
  /** Servers that can let somebody into the room, best first. */
  readonly vias: readonly ServerName[]
}

export const aliasRecords: RecordKind<AliasRecord> = recordKind<AliasRecord>({
  domain: 'aliasRecord',
  maxValidityMs: MAX_ALIAS_RECORD_MS,
  fields: ({ alias, roomId, vias }) => ({ alias, roomId, vias }),
  parseFields(value, { name }) {
    const alias = typeof value['alias'] === 'string' ? parseRoomAlias(value['alias']) : undefined
    const roomId = typeof value['roomId'] === 'string' ? parseRoomId(value['roomId']) : undefined
    const vias = parseList(value['vias'], MAX_ALIAS_VIAS, (item) =>
      typeof item === 'string' ? parseServerName(item) : undefined,
    )
    if (alias === undefined || roomId === undefined || vias === undefined) return undefined
    return serverOf(alias) === name ? { alias, roomId, vias } : undefined
  },
  key: ({ alias }) => aliasKey(alias),
})

/** What the record of an alias is found by. */
export function aliasKey(alias: RoomAlias): string {
  return `alias/${serverOf(alias)}/${hashedPart(alias)}`
}

import { canonicalJson, checkCanonical } from '../canonical-json.ts'
import { parseRoomId, parseServerName, type RoomId, type ServerName } from '../ids.ts'
import { isJsonObject, type JsonObject } from '../json.ts'
import { isCount, separatedBytes } from './domain.ts'

/** Longest content of the EDU in a gossip, in UTF-16 code units of canonical JSON. */
export const MAX_GOSSIP_LENGTH = 4_096
/** Longest life of a gossip, in milliseconds. */
export const MAX_GOSSIP_MS = 60_000
const MAX_TYPE_LENGTH = 255
/** 64 bytes in the one way to write them: who passes it on must not make others of it. */
const SIGNATURE = /^[A-Za-z0-9+/]{85}[AQgw]$/

/** An EDU about one room that other members of it than its origin pass on. EDUs have no signature of their own. */
export type Gossip = {
  /** A key name. */
  readonly origin: ServerName
  readonly roomId: RoomId
  /** Milliseconds since 1970, at most `MAX_GOSSIP_MS` after it was made. No two of an origin are alike. */
  readonly expires: number
  readonly type: string
  readonly content: JsonObject
}

/** The signature is unpadded base64 of 64 bytes. */
export type SignedGossip = { readonly gossip: Gossip; readonly signature: string }

/** The bytes that the name key signs. */
export function gossipBytes({ origin, roomId, expires, type, content }: Gossip): Uint8Array {
  return separatedBytes('gossip', { origin, room_id: roomId, expires, type, content })
}

/** The content of the EDU that carries it. */
export function gossipContent({ gossip, signature }: SignedGossip): JsonObject {
  const { origin, roomId, expires, type, content } = gossip
  return { origin, room_id: roomId, expires, type, content, signature }
}

/** Shape and bounds only. Unknown keys are dropped. */
export function parseGossip(value: JsonObject): SignedGossip | undefined {
  const { origin, room_id: room, expires, type, content, signature } = value
  const server = typeof origin === 'string' ? parseServerName(origin) : undefined
  const roomId = typeof room === 'string' ? parseRoomId(room) : undefined
  if (server === undefined || roomId === undefined || !isCount(expires)) return undefined
  if (typeof type !== 'string' || type.length > MAX_TYPE_LENGTH || !type.isWellFormed()) return undefined
  if (typeof signature !== 'string' || !SIGNATURE.test(signature)) return undefined
  if (!isJsonObject(content) || checkCanonical(content) !== undefined) return undefined
  if (canonicalJson(content).length > MAX_GOSSIP_LENGTH) return undefined
  return { gossip: { origin: server, roomId, expires, type, content }, signature }
}

/** Parts that endpoints about rooms share. */
import { isJsonObject } from '@plexus/core'
import type { EventId, JsonObject, JsonValue, RoomId } from '@plexus/core'
import { NO_FILTER, parseEventFilter } from '@plexus/engine'
import type { EventFilter } from '@plexus/engine'
import * as v from 'valibot'
import { forbidden, invalidParam } from '../../matrix-error.ts'
import { eventId, queryInteger, roomId, shortText } from '../../schemas.ts'
import type { ApiEngine, Requester } from '../../services.ts'

/** Most events of one page. */
export const MAX_PAGE = 1_000
const DEFAULT_PAGE = '10'

/** `/{roomId}/` */
export const inRoom: v.GenericSchema<unknown, { roomId: RoomId }> = v.object({ roomId })
/** `/{roomId}/…/{eventId}` */
export const atEvent: v.GenericSchema<unknown, { roomId: RoomId; eventId: EventId }> = v.object({
  roomId,
  eventId,
})
/** `/{roomId}/…/{eventType}/{stateKey}`; the state key may be left out. */
export const atStateKey: v.GenericSchema<unknown, { roomId: RoomId; eventType: string; stateKey: string }> =
  v.object({ roomId, eventType: shortText, stateKey: v.optional(v.string(), '') })
/** The `limit` of a page. */
export const pageLimit: v.GenericSchema<unknown, number> = v.optional(queryInteger(0, MAX_PAGE), DEFAULT_PAGE)
export const direction: v.GenericSchema<unknown, 'f' | 'b'> = v.picklist(['f', 'b'])
/** The `reason` of a membership change or redaction. */
export const withReason: v.GenericSchema<unknown, { reason?: string | undefined }> = v.object({
  reason: v.optional(v.string()),
})

/** A `RoomEventFilter` as JSON in the query. @throws MatrixError M_INVALID_PARAM */
export function eventFilterOf(text: string | undefined): EventFilter {
  if (text === undefined) return NO_FILTER
  const filter = parseEventFilter(jsonOf(text))
  if (filter === undefined) throw invalidParam('filter is not a filter')
  return filter
}

/** @throws MatrixError M_INVALID_PARAM */
export function jsonOf(text: string): JsonObject {
  try {
    const value = JSON.parse(text) as JsonValue
    if (isJsonObject(value)) return value
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw invalidParam('filter is not a JSON object')
}

/** The content of a member event with the reason, if there is one. */
export function reasonOf(reason: string | undefined): JsonObject {
  return reason === undefined ? {} : { reason }
}

/** @throws MatrixError M_FORBIDDEN */
export async function requireMember(engine: ApiEngine, { userId }: Requester, roomId: RoomId): Promise<void> {
  const row = await engine.rooms.membership(userId, roomId)
  if (row?.membership !== 'join') throw forbidden('you are not a member of this room')
}

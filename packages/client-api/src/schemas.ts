/** Schemas that many endpoints share. */
import {
  checkCanonical,
  isJsonObject,
  parseEventId,
  parseRoomAlias,
  parseRoomId,
  parseServerName,
  parseUserId,
} from '@plexus/core'
import type { EventId, JsonObject, JsonValue, RoomAlias, RoomId, ServerName, UserId } from '@plexus/core'
import * as v from 'valibot'

type Schema<Output> = v.GenericSchema<unknown, Output>

function id<Id extends string>(parse: (text: string) => Id | undefined, what: string): Schema<Id> {
  return v.pipe(
    v.string(),
    v.check((text) => parse(text) !== undefined, `not a ${what}`),
    v.transform((text) => text as Id),
  )
}

export const userId: Schema<UserId> = id(parseUserId, 'user id')
export const roomId: Schema<RoomId> = id(parseRoomId, 'room id')
export const roomAlias: Schema<RoomAlias> = id(parseRoomAlias, 'room alias')
export const eventId: Schema<EventId> = id(parseEventId, 'event id')
export const serverName: Schema<ServerName> = id(parseServerName, 'server name')

/** Any JSON object, kept whole. */
export const jsonObject: Schema<JsonObject> = v.custom<JsonObject>(
  (value) => isJsonObject(value as JsonValue),
  'must be an object',
)

/** What can be signed as the content of an event. spec: appendices.md "Canonical JSON" */
export const eventContent: Schema<JsonObject> = v.custom<JsonObject>(
  (value) => isJsonObject(value as JsonValue) && checkCanonical(value as JsonValue) === undefined,
  'must be an object with whole numbers and valid Unicode only',
)

/** Longest string of a name, such as an event type or a transaction id, in UTF-16 code units. */
export const MAX_NAME_LENGTH = 255

/** A non-empty string of at most 255 code units. */
export const shortText: v.GenericSchema<string, string> = v.pipe(
  v.string(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(MAX_NAME_LENGTH, `must be at most ${MAX_NAME_LENGTH} characters`),
)

/** A query parameter that is a whole number between the bounds; one above `max` counts as `max`. */
export function queryInteger(min: number, max: number): v.GenericSchema<string, number> {
  return v.pipe(
    v.string(),
    v.regex(/^-?[0-9]{1,16}$/, 'must be a whole number'),
    v.transform(Number),
    v.minValue(min, `must be at least ${min}`),
    v.transform((value) => Math.min(value, max)),
  )
}

/** A query parameter that is `true` or `false`. */
export const queryBoolean: v.GenericSchema<string, boolean> = v.pipe(
  v.string(),
  v.regex(/^(?:true|false)$/, 'must be true or false'),
  v.transform((text) => text === 'true'),
)

/** Values of a query parameter that may be repeated. */
export const MAX_REPEATED = 50

/** A query parameter that may be repeated; answers with an array. */
export function queryList<Output>(item: v.GenericSchema<unknown, Output>): Schema<readonly Output[]> {
  return v.pipe(
    v.unknown(),
    v.transform((value) => (Array.isArray(value) ? value : [value])),
    v.array(item),
    v.maxLength(MAX_REPEATED, `at most ${MAX_REPEATED} values`),
  )
}

/** `ts`: milliseconds since the epoch, as an event may carry. spec: application-service-api.md "Timestamp massaging" */
export const timestampQuery: v.GenericSchema<unknown, { ts?: number | undefined }> = v.object({
  ts: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[0-9]{1,16}$/, 'must be milliseconds since the epoch'),
      v.transform(Number),
      v.maxValue(Number.MAX_SAFE_INTEGER, 'must be milliseconds since the epoch'),
    ),
  ),
})

/** The pieces that request and answer schemas are made of. */
import type { EventId, JsonObject, JsonValue, RoomId, ServerName, UserId } from '@plexus/core'
import { isJsonObject, parseEventId, parseRoomId, parseServerName, parseUserId } from '@plexus/core'
import * as v from 'valibot'
import { MAX_STATE_EVENTS } from './bounds.ts'

/** Turns a value from outside into a `T`, or says what is wrong with it. */
export type Schema<T> = v.GenericSchema<unknown, T>

function branded<T extends string>(what: string, parse: (text: string) => T | undefined): Schema<T> {
  return v.pipe(
    v.string(),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value)
      if (value !== undefined) return value
      addIssue({ message: `not a ${what}` })
      return NEVER
    }),
  )
}

export const serverName: Schema<ServerName> = branded('server name', parseServerName)
export const userId: Schema<UserId> = branded('user id', parseUserId)
export const roomId: Schema<RoomId> = branded('room id', parseRoomId)
export const eventId: Schema<EventId> = branded('event id', parseEventId)

export const jsonObject: Schema<JsonObject> = v.custom<JsonObject>(
  (value) => isJsonObject(value as JsonValue | undefined),
  'not an object',
)

/** Parameters of a query are text. */
export const countText: Schema<string> = v.pipe(v.string(), v.regex(/^[0-9]{1,16}$/, 'not a number'))

export const emptyAnswer: Schema<void> = v.pipe(
  jsonObject,
  v.transform(() => undefined),
)

/** A list of at most `max`, whose length is looked at before its entries. */
export function listOf<T>(entry: Schema<T>, max: number): Schema<readonly T[]> {
  const tooLong = `more than ${max} entries`
  const bounded = v.pipe(
    v.custom<readonly unknown[]>(Array.isArray, 'not a list'),
    v.check((value) => value.length <= max, tooLong),
  )
  return v.pipe(bounded, v.array(entry))
}

/** A map of at most `max` entries, which are counted before they are looked at. */
export function mapOf<T>(
  key: Schema<string>,
  value: Schema<T>,
  max: number,
): Schema<Readonly<Record<string, T>>> {
  const bounded = v.pipe(
    v.custom<Record<string, unknown>>(
      (value) => isJsonObject(value as JsonValue | undefined),
      'not an object',
    ),
    v.check((object) => Object.keys(object).length <= max, `more than ${max} entries`),
  )
  return v.pipe(bounded, v.record(key as v.GenericSchema<string, string>, value))
}

/** Events of room state or of an auth chain, not yet looked into. */
export const stateEvents: Schema<readonly JsonObject[]> = listOf(jsonObject, MAX_STATE_EVENTS)

export type SchemaResult<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'wrong'; readonly why: string }

export function applySchema<T>(schema: Schema<T>, value: unknown): SchemaResult<T> {
  const result = v.safeParse(schema, value, { abortEarly: true, abortPipeEarly: true })
  if (result.success) return { kind: 'ok', value: result.output }
  const [issue] = result.issues
  const path = v.getDotPath(issue)
  return { kind: 'wrong', why: path === null ? issue.message : `${path}: ${issue.message}` }
}

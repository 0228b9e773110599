/** Reading JSON from outside: a wrong type reads as absent. */
import { isJsonObject, ownValue } from '@plexus/core'
import type { JsonObject, JsonValue } from '@plexus/core'

export function stringAt(object: JsonObject, key: string): string | undefined {
  const value = ownValue(object, key)
  return typeof value === 'string' ? value : undefined
}

export function objectAt(object: JsonObject, key: string): JsonObject | undefined {
  const value = ownValue(object, key)
  return isJsonObject(value) ? value : undefined
}

export function arrayAt(object: JsonObject, key: string): readonly JsonValue[] | undefined {
  const value = ownValue(object, key)
  return Array.isArray(value) ? (value as readonly JsonValue[]) : undefined
}

/** An integer that is exact in every implementation. */
export function integerAt(object: JsonObject, key: string): number | undefined {
  const value = ownValue(object, key)
  return Number.isSafeInteger(value) ? (value as number) : undefined
}

/** Length of the value as JSON text, in UTF-16 code units. */
export function jsonSize(value: JsonValue): number {
  return JSON.stringify(value).length
}

/** Own entries whose value is an object. */
export function objectEntries(object: JsonObject): readonly (readonly [string, JsonObject])[] {
  return Object.entries(object).flatMap(([key, value]) =>
    isJsonObject(value) ? [[key, value] as const] : [],
  )
}

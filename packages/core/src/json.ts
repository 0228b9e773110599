/** Any JSON value. Objects are read-only: an event is never changed in place. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject

/** A JSON object as it came from a parser; a missing key reads as `undefined`. */
export type JsonObject = { readonly [key: string]: JsonValue | undefined }

/** True for a JSON object, false for null, arrays and scalars. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

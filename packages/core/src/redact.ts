import { isJsonObject, ownValue, type JsonObject, type JsonValue } from './json.ts'
import type { Pdu } from './pdu.ts'
import type { KeptContent, RoomVersion } from './room-version.ts'

/** The event with everything removed that the protocol does not need. spec: rooms/v11.md "Redactions" */
export function redact(version: RoomVersion, pdu: Pdu): Pdu {
  const kept = pick(pdu, version.redaction.topLevel)
  const content = redactContent(version.redaction.content.get(pdu.type) ?? [], pdu.content)
  return { ...kept, content } as Pdu
}

function redactContent(rule: KeptContent, content: JsonObject): JsonObject {
  if (rule === 'all') return content
  const entries: [string, JsonValue][] = []
  for (const key of rule) {
    const [outer, inner] = typeof key === 'string' ? [key] : key
    const value = ownValue(content, outer)
    if (value === undefined) continue
    if (inner === undefined) entries.push([outer, value])
    else if (isJsonObject(value)) entries.push([outer, pick(value, [inner])])
  }
  return Object.fromEntries(entries)
}

function pick(object: JsonObject, keys: readonly string[]): JsonObject {
  const entries: [string, JsonValue][] = []
  for (const key of keys) {
    const value = ownValue(object, key)
    if (value !== undefined) entries.push([key, value])
  }
  return Object.fromEntries(entries)
}

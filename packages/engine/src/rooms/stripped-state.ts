/** What is kept of a room that a user is outside of. spec: client-server-api/_index.md "Stripped state" */
import type { JsonObject } from '@plexus/core'
import { isJsonObject } from '@plexus/core'

/** Stripped state events kept of an invite or a knock. */
export const MAX_STRIPPED_STATE = 50
/** JSON text of them, in UTF-16 code units. */
export const MAX_STRIPPED_STATE_LENGTH = 131_072
/** The last ones, which hold the membership itself, as far as there is room for them. */
export function stripAll(shown: readonly JsonObject[]): readonly JsonObject[] {
  const kept: JsonObject[] = []
  let length = 0
  for (const event of shown.slice(-MAX_STRIPPED_STATE).toReversed()) {
    const stripped = strip(event)
    length += JSON.stringify(stripped ?? '').length
    if (length > MAX_STRIPPED_STATE_LENGTH) break
    if (stripped !== undefined) kept.push(stripped)
  }
  return kept.toReversed()
}

/** A stripped event holds what a client may show: type, sender, state key, content. */
function strip(event: JsonObject): JsonObject | undefined {
  const { type, sender, state_key: key, content } = event
  const valid =
    typeof type === 'string' && typeof sender === 'string' && typeof key === 'string' && isJsonObject(content)
  return valid ? { type, sender, state_key: key, content } : undefined
}

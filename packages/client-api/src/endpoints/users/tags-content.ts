import { isJsonObject } from '@plexus/core'
import type { JsonObject } from '@plexus/core'

/** The tags of an `m.tag` event. spec: client-server-api/modules/tags.md */
export function tagsOf(content: JsonObject | undefined): JsonObject {
  const tags = content?.['tags']
  return isJsonObject(tags) ? tags : {}
}

/** Restricted rooms: whose members may join. spec: client-server-api/_index.md "Restricted rooms" */
import { isJsonObject, ownValue, parseRoomId } from '@plexus/core'
import type { JsonObject, JsonValue, RoomId } from '@plexus/core'

/** The rooms whose members may join, by the content of the join rules; conditions of unknown types are none. */
export function allowedRooms(joinRules: JsonObject | undefined): readonly RoomId[] {
  const allow: JsonValue | undefined = joinRules === undefined ? undefined : ownValue(joinRules, 'allow')
  if (!Array.isArray(allow)) return []
  return allow.flatMap((condition: JsonValue) => {
    if (!isJsonObject(condition) || ownValue(condition, 'type') !== 'm.room_membership') return []
    const roomId = ownValue(condition, 'room_id')
    return (typeof roomId === 'string' ? parseRoomId(roomId) : undefined) ?? []
  })
}

/**
 * Drops what a server says about rooms whose ACL denies it, or that this node does not know. Events are judged where
 * they are staged. spec: server-server-api.md "Server Access Control Lists (ACLs)"
 */
import type { JsonObject, ServerName } from '@plexus/core'
import { isJsonObject, ownValue, parseRoomId } from '@plexus/core'
import { MAX_EDU_ROOMS } from './bounds.ts'
import { isAllowed, type Services } from './services.ts'

/** The EDUs without what the origin may not say; durable ones are all kept, for they are counted. */
export async function permittedEdus(
  services: Services,
  origin: ServerName,
  edus: readonly JsonObject[],
): Promise<readonly JsonObject[]> {
  const verdicts = new Map<string, boolean>()
  const isOpen = async (room: string): Promise<boolean> => {
    const known = verdicts.get(room)
    if (known !== undefined) return known
    if (verdicts.size >= MAX_EDU_ROOMS) return false
    const verdict = await mayTellOf(services, origin, room)
    verdicts.set(room, verdict)
    return verdict
  }
  const permitted: JsonObject[] = []
  for (const edu of edus) {
    const kept = await permittedPart(edu, isOpen)
    if (kept !== undefined) permitted.push(kept)
  }
  return permitted
}

async function mayTellOf(services: Services, origin: ServerName, room: string): Promise<boolean> {
  const roomId = parseRoomId(room)
  const snapshot = roomId === undefined ? undefined : await services.rooms.snapshot(roomId)
  return snapshot !== undefined && isAllowed(services, snapshot, origin)
}

async function permittedPart(
  edu: JsonObject,
  isOpen: (room: string) => Promise<boolean>,
): Promise<JsonObject | undefined> {
  const content = ownValue(edu, 'content')
  if (!isJsonObject(content)) return edu
  if (edu['edu_type'] === 'm.typing' || edu['edu_type'] === 'plexus.gossip') {
    const room = ownValue(content, 'room_id')
    return typeof room === 'string' && (await isOpen(room)) ? edu : undefined
  }
  if (edu['edu_type'] !== 'm.receipt') return edu
  const open: [string, JsonObject[string]][] = []
  for (const [room, receipts] of Object.entries(content)) if (await isOpen(room)) open.push([room, receipts])
  return open.length === 0 ? undefined : { ...edu, content: Object.fromEntries(open) }
}

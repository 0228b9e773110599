/** The threads of a room. spec: data/api/client-server/threads_list.yaml */
import type { EventId, JsonObject, RoomId } from '@plexus/core'
import { relationOf } from '../rooms/relation.ts'
import { childrenOf, participates, withAggregations } from './aggregations.ts'
import type { Recipient } from './client-event.ts'
import type { ReaderParts } from './room-access.ts'
import { accessTo, orderOf } from './room-access.ts'
import { MAX_ORDER, MIN_ORDER, formatTimelineToken } from './tokens.ts'
import type { Seen, Viewer } from './visibility.ts'
import { walk } from './walk.ts'

/** Threads that one request looks at in search of those that it may show. */
export const MAX_THREADS_LOOKED_AT = 200

export type ThreadsRequest = {
  readonly roomId: RoomId
  /** Only threads in which the reader takes part. */
  readonly participated: boolean
  readonly from?: string
  readonly limit: number
}

/** Thread roots, the one with the latest event first. */
export async function readThreads(
  parts: ReaderParts,
  recipient: Recipient,
  { roomId, participated, from, limit }: ThreadsRequest,
): Promise<{ chunk: readonly JsonObject[]; next?: string }> {
  const { viewer } = await accessTo(parts, recipient.userId, roomId)
  const start = from === undefined ? MAX_ORDER : await orderOf(parts.rooms, roomId, from)
  const ignored = await parts.ignored(recipient.userId)
  const roots: Seen[] = []
  const done = new Set<EventId>()
  let next: number | undefined = start
  while (next !== undefined && roots.length < limit && done.size < MAX_THREADS_LOOKED_AT) {
    const page: Awaited<ReturnType<typeof walk>> = await walk(parts, {
      read: (range) => parts.rooms.timeline(roomId, range),
      viewer,
      direction: 'b',
      from: MIN_ORDER,
      to: next,
      limit: 1,
      accepts: ({ pdu }) => {
        const relation = relationOf(pdu)
        return relation?.type === 'm.thread' && !done.has(relation.eventId) && !ignored.has(pdu.sender)
      },
    })
    next = page.next
    const reply = page.found[0]
    const relation = reply === undefined ? undefined : relationOf(reply.record.pdu)
    // A walk that found nothing has looked at all that one request may look at.
    if (reply === undefined || relation === undefined) break
    done.add(relation.eventId)
    const root = await rootOf(parts, viewer, roomId, relation.eventId)
    if (root === undefined) continue
    const thread = (await childrenOf(parts, viewer, root.record, ignored)).filter(
      ({ record }) => relationOf(record.pdu)?.type === 'm.thread',
    )
    // A later event of the thread: it was on an earlier page.
    if ((thread[0]?.record.order ?? 0) > start) continue
    if (!participated || participates(recipient, root.record, thread)) roots.push(root)
  }
  return {
    chunk: await withAggregations(parts, recipient, viewer, roots),
    ...(next === undefined ? {} : { next: formatTimelineToken(next) }),
  }
}

async function rootOf(
  parts: ReaderParts,
  viewer: Viewer,
  roomId: RoomId,
  id: EventId,
): Promise<Seen | undefined> {
  const record = await parts.rooms.event(id)
  if (record?.roomId !== roomId) return undefined
  const [seen] = await parts.visibility.judge(viewer, [record])
  return seen?.visible === true ? seen : undefined
}

/**
 * Events with what relates to them bundled. `/sync` needs none: what relates to an event of its timeline stands
 * later in the same timeline. spec: client-server-api/_index.md "Aggregations of child events"
 */
import { isJsonObject, ownValue } from '@plexus/core'
import type { EventId, JsonObject, RoomId } from '@plexus/core'
import { relationOf } from '../rooms/relation.ts'
import type { EventRecord, NewEvent, Rooms } from '../rooms/types.ts'
import type { Recipient } from './client-event.ts'
import type { ReaderParts } from './room-access.ts'
import { MAX_ORDER, MIN_ORDER } from './tokens.ts'
import type { Seen, Viewer } from './visibility.ts'

/** Events relating to one event that are looked at, the newest ones. */
export const MAX_AGGREGATED = 500

const FORMAT = { roomId: true } as const

/** The events as a reader gets them, in the order of `seen`. */
export async function withAggregations(
  parts: ReaderParts,
  recipient: Recipient,
  viewer: Viewer,
  seen: readonly Seen[],
): Promise<readonly JsonObject[]> {
  const events = await parts.clientEvents.timeline(recipient, viewer, seen, FORMAT)
  const ignored = await parts.ignored(recipient.userId)
  return Promise.all(
    events.map(async (event, index) => {
      const record = seen[index]?.record
      if (record === undefined || record.pdu.state_key !== undefined || record.redactedBy !== undefined)
        return event
      const children = await childrenOf(parts, viewer, record, ignored)
      const bundle = children.length === 0 ? {} : await bundleOf(parts, recipient, viewer, record, children)
      return Object.keys(bundle).length === 0 ? event : withRelations(event, bundle)
    }),
  )
}

/** The visible events that relate to one, newest first. */
export async function childrenOf(
  { rooms, visibility }: ReaderParts,
  viewer: Viewer,
  parent: EventRecord,
  ignored: ReadonlySet<string>,
): Promise<readonly Seen[]> {
  const range = { from: MIN_ORDER, to: MAX_ORDER, direction: 'b', limit: MAX_AGGREGATED } as const
  const { events } = await rooms.relations(parent.roomId, parent.id, range)
  const related = events.filter(
    ({ pdu }) => relationOf(pdu)?.eventId === parent.id && !ignored.has(pdu.sender),
  )
  return (await visibility.judge(viewer, related)).filter(({ visible }) => visible)
}

async function bundleOf(
  parts: ReaderParts,
  recipient: Recipient,
  viewer: Viewer,
  parent: EventRecord,
  children: readonly Seen[],
): Promise<JsonObject> {
  const ofType = (type: string): readonly Seen[] =>
    children.filter(({ record }) => relationOf(record.pdu)?.type === type)
  const edit = newestEdit(parent, ofType('m.replace'))
  const references = ofType('m.reference')
  const thread = ofType('m.thread')
  const latest = thread[0]
  const shown = [edit, latest].filter((one) => one !== undefined)
  const served = await parts.clientEvents.timeline(recipient, viewer, shown, FORMAT)
  const [replace, latestEvent] = edit === undefined ? [undefined, served[0]] : served
  return {
    ...(replace === undefined ? {} : { 'm.replace': replace }),
    ...(references.length === 0
      ? {}
      : { 'm.reference': { chunk: references.toReversed().map(({ record }) => ({ event_id: record.id })) } }),
    ...(latest === undefined || latestEvent === undefined
      ? {}
      : {
          'm.thread': {
            latest_event: latestEvent,
            count: thread.length,
            current_user_participated: participates(recipient, parent, thread),
          },
        }),
  }
}

/** spec: client-server-api/modules/threading.md: who sent the root or an event of the thread takes part in it */
export function participates(recipient: Recipient, root: EventRecord, thread: readonly Seen[]): boolean {
  return [root, ...thread.map(({ record }) => record)].some(({ pdu }) => pdu.sender === recipient.userId)
}

/** spec: client-server-api/modules/event_replacements.md "Validity of replacement events" */
function newestEdit(original: EventRecord, edits: readonly Seen[]): Seen | undefined {
  if (relationOf(original.pdu)?.type === 'm.replace') return undefined
  const { sender, type } = original.pdu
  const valid = edits.filter(({ record: { pdu } }) => {
    if (pdu.sender !== sender || pdu.type !== type) return false
    return type === 'm.room.encrypted' || isJsonObject(ownValue(pdu.content, 'm.new_content'))
  })
  return valid.toSorted((a, b) => compareEdits(b.record, a.record))[0]
}

/** By time, then by event id. */
function compareEdits(a: EventRecord, b: EventRecord): number {
  const byTime = a.pdu.origin_server_ts - b.pdu.origin_server_ts
  return byTime !== 0 ? byTime : compareIds(a.id, b.id)
}

function compareIds(a: EventId, b: EventId): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function withRelations(event: JsonObject, bundle: JsonObject): JsonObject {
  const unsigned = ownValue(event, 'unsigned')
  return { ...event, unsigned: { ...(isJsonObject(unsigned) ? unsigned : {}), 'm.relations': bundle } }
}

/** spec: client-server-api/modules/event_annotations.md "Avoiding duplicate annotations" */
export async function hasAnnotated(
  rooms: Rooms,
  roomId: RoomId,
  { sender, type, transaction }: NewEvent,
  parent: EventId,
  key: string,
): Promise<boolean> {
  const range = { from: MIN_ORDER, to: MAX_ORDER, direction: 'b', limit: MAX_AGGREGATED } as const
  const { events } = await rooms.relations(roomId, parent, range)
  return events.some(({ pdu, sentBy }) => {
    if (pdu.sender !== sender || pdu.type !== type || relationOf(pdu)?.type !== 'm.annotation') return false
    if (sentBy?.deviceId === transaction?.deviceId && sentBy?.transactionId === transaction?.id) return false
    const relation = ownValue(pdu.content, 'm.relates_to')
    return isJsonObject(relation) && ownValue(relation, 'key') === key
  })
}

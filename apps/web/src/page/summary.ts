import type { MatrixEvent, Room } from './sdk.ts'
import { spokenText } from '../ui/message-text.ts'
import type { RoomSummary } from '../ui/model.ts'
import { nameIn } from './names.ts'
import { itemOf, type ItemContext } from './items.ts'
import { readableEvents } from './shown-events.ts'

/** Longest last message in the list, in characters. */
const MAX_PREVIEW = 120
/** Events looked at for the last message and the unread count. */
const MAX_LOOKED_AT = 200

export function summaryOf(room: Room, me: string): RoomSummary {
  const events = readableEvents(room)
  const context = previewContext(room, me)
  return {
    roomId: room.roomId,
    name: room.name,
    encrypted: room.hasEncryptionStateEvent(),
    memberCount: room.getJoinedMemberCount(),
    last: lastOf([...events, ...room.getPendingEvents()], context),
    unread: unreadOf(room, events, me),
  }
}

function lastOf(events: readonly MatrixEvent[], context: ItemContext): RoomSummary['last'] {
  for (const event of events.slice(-MAX_LOOKED_AT).toReversed()) {
    const item = itemOf(event, context)
    if (item === undefined) continue
    if (item.kind === 'notice') return { text: item.text.slice(0, MAX_PREVIEW), time: item.time }
    const words = spokenText(item.content).slice(0, MAX_PREVIEW)
    return { text: `${item.own ? 'You' : item.senderName}: ${words}`, time: item.time }
  }
  return undefined
}

/** Messages of others after what was read last. The node's count is for what lies before the loaded events. */
function unreadOf(room: Room, events: readonly MatrixEvent[], me: string): number {
  const readUpTo = room.getEventReadUpTo(me)
  let unread = 0
  for (const event of events.slice(-MAX_LOOKED_AT).toReversed()) {
    // What one writes after, one has read before.
    if (event.getId() === readUpTo || event.getSender() === me) return unread
    if (isMessage(event)) unread += 1
  }
  return Math.max(unread, room.getUnreadNotificationCount())
}

function isMessage(event: MatrixEvent): boolean {
  const type = event.getType()
  return (
    (type === 'm.room.message' || type === 'm.room.encrypted') &&
    !event.isRedacted() &&
    !event.isRelation('m.replace')
  )
}

function previewContext(room: Room, me: string): ItemContext {
  return {
    me,
    nameOf: (userId) => nameIn(room, userId),
    delivery: () => undefined,
    readBy: () => [],
    canRemove: () => false,
    find: () => undefined,
  }
}

/** Notifications of the browser about messages that nobody is looking at. */
import type { MatrixEvent, Room } from './sdk.ts'
import { spokenText } from '../ui/message-text.ts'
import { go } from '../ui/router.ts'
import { nameIn } from './names.ts'
import { itemOf } from './items.ts'

const MAX_TEXT = 160

export function notificationState(): NotificationPermission | 'unsupported' {
  return 'Notification' in globalThis ? Notification.permission : 'unsupported'
}

export async function askNotifications(): Promise<NotificationPermission | 'unsupported'> {
  return 'Notification' in globalThis ? Notification.requestPermission() : 'unsupported'
}

export function notifyAbout(event: MatrixEvent, room: Room, me: string): void {
  // In this order: the browser answers for the permission from another process, while the message waits to be drawn.
  if (document.visibilityState === 'visible' || notificationState() !== 'granted') return
  const item = itemOf(event, {
    me,
    nameOf: (userId) => nameIn(room, userId),
    delivery: () => undefined,
    readBy: () => [],
    canRemove: () => false,
    find: () => undefined,
  })
  if (item?.kind !== 'message' || item.own || item.content.kind === 'removed') return
  const body = `${item.senderName}: ${spokenText(item.content).slice(0, MAX_TEXT)}`
  try {
    // One per room, so that a busy room does not bury the rest.
    const notification = new Notification(room.name, { body, tag: room.roomId, icon: '/icon.svg' })
    notification.addEventListener('click', () => {
      window.focus()
      go({ page: 'room', roomId: room.roomId })
      notification.close()
    })
  } catch (error) {
    // Browsers on phones take them from a service worker only.
    console.info('plexus: no notification', error)
  }
}

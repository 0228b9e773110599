import { computed, effect } from '@preact/signals'
import type { SessionModel } from './model.ts'

const NAME = 'Plexus'

export function titleFor(unread: number): string {
  return unread === 0 ? NAME : `(${unread}) ${NAME}`
}

/** Keeps the number of unread messages and invites in the page's title until the answer is called. */
export function followTitle(session: Pick<SessionModel, 'rooms' | 'invites'>): () => void {
  // The rooms change with every message, and to set a title costs milliseconds even when it stays the same.
  const title = computed(() =>
    titleFor(session.rooms.value.reduce((sum, room) => sum + room.unread, 0) + session.invites.value.length),
  )
  const stop = effect(() => {
    document.title = title.value
  })
  return () => {
    stop()
    document.title = NAME
  }
}

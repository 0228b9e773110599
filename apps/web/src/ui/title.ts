import { effect } from '@preact/signals'
import type { SessionModel } from './model.ts'

const NAME = 'Plexus'

export function titleFor(unread: number): string {
  return unread === 0 ? NAME : `(${unread}) ${NAME}`
}

/** Keeps the number of unread messages and invites in the page's title until the answer is called. */
export function followTitle(session: SessionModel): () => void {
  const stop = effect(() => {
    const unread =
      session.rooms.value.reduce((sum, room) => sum + room.unread, 0) + session.invites.value.length
    document.title = titleFor(unread)
  })
  return () => {
    stop()
    document.title = NAME
  }
}

import { computed, effect } from '@preact/signals'
import type { SessionModel } from './model.ts'

const NAME = 'Plexus'
/** To set a title costs milliseconds, which the message that changes it needs; one that is read at once changes nothing. */
const TITLE_AFTER_MS = 300

export function titleFor(unread: number): string {
  return unread === 0 ? NAME : `(${unread}) ${NAME}`
}

/** Keeps the number of unread messages and invites in the page's title until the answer is called. */
export function followTitle(session: Pick<SessionModel, 'rooms' | 'invites'>): () => void {
  const title = computed(() =>
    titleFor(session.rooms.value.reduce((sum, room) => sum + room.unread, 0) + session.invites.value.length),
  )
  let shown: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const show = (): void => {
    timer = undefined
    if (shown !== title.peek()) document.title = shown = title.peek()
  }
  const stop = effect(() => {
    void title.value
    timer ??= setTimeout(show, TITLE_AFTER_MS)
  })
  return () => {
    stop()
    clearTimeout(timer)
    document.title = NAME
  }
}

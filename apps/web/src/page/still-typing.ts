/** Hides the notice that somebody types once their message is there; that they stopped is told a little later. */

/** How long somebody is taken to have stopped after a message; a bit more than it takes to be told. */
export const SPOKE_MS = 1_500

export interface StillTyping {
  /** The newest event of the room; a new one quiets the notice of its sender. */
  newest(eventId: string | undefined, sender: string | undefined): void
  isQuiet(userId: string): boolean
}

/** `changed` is called when a notice may stand again. */
export function createStillTyping(changed: () => void): StillTyping {
  let last: { readonly eventId: string | undefined } | undefined
  let quiet: string | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  return {
    newest(eventId, sender) {
      const isNew = last !== undefined && last.eventId !== eventId
      last = { eventId }
      if (!isNew || sender === undefined) return
      quiet = sender
      clearTimeout(timer)
      timer = setTimeout(() => {
        quiet = undefined
        changed()
      }, SPOKE_MS)
    },
    isQuiet: (userId) => userId === quiet,
  }
}

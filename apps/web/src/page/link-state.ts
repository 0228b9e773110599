/** The invite link that the page was opened with or that was pasted, until it is accepted or refused. */
import type { InviteLink } from '@plexus/engine/ports'
import { signal, type ReadonlySignal } from '@preact/signals'
import type { LinkState, LinkView } from '../ui/model.ts'
import { decodeInvite, encodeInvite, readInvite, type LinkReading } from './invite-link.ts'
import { linkProblem } from './problems.ts'

/** Outlives a reload, not the tab: the link is a secret. */
const KEY = 'plexus.link'

export interface Links {
  readonly state: ReadonlySignal<LinkState | undefined>
  /** Takes the link out of the address bar, so that it is neither in the history nor on the screen. */
  readAddress(): void
  readText(text: string): void
  dismiss(): void
  /**
   * Runs `join` for the shown link and shows how it goes. Answers with the room, `undefined` when there is none yet.
   */
  accept(
    join: (link: InviteLink, step: (words: string) => void) => Promise<string | undefined>,
  ): Promise<string | undefined>
}

export function createLinks(): Links {
  const state = signal<LinkState | undefined>(undefined)
  let link: InviteLink | undefined

  const show = (reading: LinkReading): void => {
    if (reading.kind === 'none') return
    link = reading.kind === 'link' ? reading.link : undefined
    if (reading.kind === 'link') sessionStorage.setItem(KEY, encodeInvite(reading.link))
    state.value =
      reading.kind === 'link'
        ? { kind: 'shown', link: viewOf(reading.link) }
        : { kind: 'broken', problem: broken(reading.why) }
  }

  const dismiss = (): void => {
    link = undefined
    state.value = undefined
    sessionStorage.removeItem(KEY)
  }

  return {
    state,
    readAddress() {
      const reading = decodeInvite(location.hash)
      if (reading.kind !== 'none') history.replaceState(history.state, '', location.pathname)
      show(reading.kind === 'none' ? decodeInvite(sessionStorage.getItem(KEY) ?? '') : reading)
    },
    readText: (text) => show(readInvite(text)),
    dismiss,
    async accept(join) {
      if (link === undefined) return undefined
      const accepted = link
      const view = viewOf(accepted)
      const step = (words: string): void => {
        state.value = { kind: 'joining', link: view, step: words }
      }
      step('Starting')
      try {
        const roomId = await join(accepted, step)
        dismiss()
        return roomId
      } catch (error) {
        state.value = { kind: 'failed', link: view, problem: linkProblem(error) }
        return undefined
      }
    },
  }
}

export function viewOf(link: InviteLink): LinkView {
  return {
    key: link.roomId,
    inviter: link.inviter,
    roomName: link.roomName,
    url: `${location.origin}${location.pathname}${encodeInvite(link)}`,
  }
}

function broken(why: string): { readonly title: string; readonly advice: string } {
  return {
    title: 'This link does not work',
    advice: `As it is here, ${why}. Copy it again, from the first character to the last, or ask for a new one.`,
  }
}

/** The links whose inviters were away, as the node keeps them. */
import type { RoomId, UserId } from '@plexus/core'
import { signal, type ReadonlySignal } from '@preact/signals'
import type { NodeApi } from '../bridge/api.ts'
import type { Bridge } from '../bridge/bridge.ts'
import type { OpenedLinkView } from '../ui/model.ts'
import { viewOf } from './link-state.ts'
import { setIfChanged } from './set-signal.ts'

export interface OpenedLinks {
  readonly links: ReadonlySignal<readonly OpenedLinkView[]>
  /** Reads them anew. */
  readonly changed: () => void
  readonly forget: (roomId: string) => Promise<void>
}

export function createOpenedLinks(node: Pick<Bridge<NodeApi>, 'call'>, as: UserId): OpenedLinks {
  const links = signal<readonly OpenedLinkView[]>([])
  const changed = (): void => {
    node.call('openedLinks', as).then(
      (opened) => {
        const now = Date.now()
        setIfChanged(
          links,
          opened.map(({ link, expires, refused }) => ({
            ...viewOf(link),
            state: refused ? 'refused' : expires <= now ? 'unanswered' : 'waiting',
          })),
        )
      },
      (error: unknown) => console.debug('plexus: the opened links were not read', error),
    )
  }
  changed()
  return {
    links,
    changed,
    forget: (roomId) => node.call('forgetOpenedLink', { roomId: roomId as RoomId, as }),
  }
}

/** The servers to keep connected: all that share a room with a user of this node. */
import type { ServerName } from '@plexus/core'
import type { Engine } from './engine.ts'
import { cursors } from './rooms/records.ts'

/** Commits closer together than this are looked at once. */
const SETTLE_MS = 200

/** Tells `changed` the names, first as they are and then after every change, until the answer is called. */
export function watchPeers(
  { clock, committer, outbox }: Pick<Engine, 'clock' | 'committer' | 'outbox'>,
  changed: (names: readonly ServerName[]) => void,
): () => void {
  let told: string | undefined
  let cancel: (() => void) | undefined

  const look = (): void => {
    cancel = undefined
    const names = outbox.peers()
    const text = names.join(' ')
    if (text === told) return
    told = text
    changed(names)
  }

  const stop = committer.onCommit((_position, maps) => {
    if (maps.has(cursors.map)) cancel ??= clock.after(SETTLE_MS, look)
  })
  look()
  return () => {
    stop()
    cancel?.()
  }
}

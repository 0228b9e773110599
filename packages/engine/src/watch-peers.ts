/** The servers to keep connected: all that share a room with a user of this node. */
import type { ServerName } from '@plexus/core'
import type { Engine } from './engine.ts'
import { cursors, memberships } from './rooms/records.ts'

/** Commits closer together than this are looked at once. */
const SETTLE_MS = 200

type PeerEngine = Pick<Engine, 'clock' | 'committer' | 'log' | 'outbox' | 'rooms'>

/** Tells `changed` the names, first as they are and then after every change, until the answer is called. */
export function watchPeers(engine: PeerEngine, changed: (names: readonly ServerName[]) => void): () => void {
  let told: string | undefined
  let cancel: (() => void) | undefined
  let stopped = false

  const look = async (): Promise<void> => {
    const names = await peersOf(engine)
    const text = names.join(' ')
    if (text === told || stopped) return
    told = text
    changed(names)
  }

  const lookSoon = (): void => {
    cancel ??= engine.clock.after(SETTLE_MS, () => {
      cancel = undefined
      look().catch((error: unknown) =>
        engine.log.log('error', 'the peers could not be read', { error: String(error) }),
      )
    })
  }

  const stop = engine.committer.onCommit((_position, maps) => {
    if (maps.has(cursors.map) || maps.has(memberships.map)) lookSoon()
  })
  lookSoon()
  return () => {
    stopped = true
    stop()
    cancel?.()
  }
}

async function peersOf({ outbox, rooms }: PeerEngine): Promise<readonly ServerName[]> {
  const names = new Set<ServerName>()
  for (const [roomId, servers] of outbox.peers()) {
    const snapshot = await rooms.snapshot(roomId)
    if (snapshot === undefined || rooms.localMembers(snapshot).length === 0) continue
    for (const name of servers) names.add(name)
  }
  return [...names].toSorted()
}

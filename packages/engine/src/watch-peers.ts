/** The servers to keep connected: all that share a room with a user of this node, those of the liveliest rooms first. */
import type { ServerName } from '@plexus/core'
import type { Engine } from './engine-types.ts'
import { cursors, memberships } from './rooms/records.ts'

/** Commits closer together than this are looked at once. */
const SETTLE_MS = 200
/** So many can all be kept connected anywhere: their order is no news. */
export const MAX_UNORDERED = 64

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

/** As `watchPeers` tells them. */
export async function peersOf({
  outbox,
  rooms,
}: Pick<PeerEngine, 'outbox' | 'rooms'>): Promise<readonly ServerName[]> {
  /** The newest position of a room that is shared with the server. */
  const newest = new Map<ServerName, number>()
  for (const [roomId, servers] of outbox.peers()) {
    const snapshot = await rooms.snapshot(roomId)
    if (snapshot === undefined || rooms.localMembers(snapshot).length === 0) continue
    for (const name of servers) newest.set(name, Math.max(newest.get(name) ?? 0, snapshot.lastPosition))
  }
  const names = [...newest.keys()].toSorted()
  if (names.length <= MAX_UNORDERED) return names
  return names.toSorted((a, b) => (newest.get(b) ?? 0) - (newest.get(a) ?? 0))
}

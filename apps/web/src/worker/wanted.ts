/** The servers to keep connected: all that share a room with this user. */
import type { ServerName, UserId } from '@plexus/core'
import type { Engine } from '@plexus/engine'

/** Commits closer together than this are looked at once. */
const SETTLE_MS = 200

/** Tells `changed` the names, first as they are and then after every change, until the answer is called. */
export function watchWanted(
  engine: Engine,
  userId: UserId,
  changed: (names: readonly ServerName[]) => void,
): () => void {
  let told = ''
  let waiting = false
  let stopped = false

  const look = async (): Promise<void> => {
    const names = new Set<ServerName>()
    for (const { roomId, membership } of await engine.rooms.memberships(userId)) {
      if (membership !== 'join') continue
      const snapshot = await engine.rooms.snapshot(roomId)
      for (const name of snapshot?.joinedServers ?? []) if (name !== engine.serverName) names.add(name)
    }
    const list = [...names].toSorted()
    const text = list.join(' ')
    if (text === told || stopped) return
    told = text
    changed(list)
  }

  const lookSoon = (): void => {
    if (waiting || stopped) return
    waiting = true
    engine.clock.after(SETTLE_MS, () => {
      waiting = false
      look().catch((error: unknown) =>
        engine.log.log('error', 'rooms could not be read', { error: String(error) }),
      )
    })
  }

  const stop = engine.committer.onCommit(lookSoon)
  lookSoon()
  return () => {
    stopped = true
    stop()
  }
}

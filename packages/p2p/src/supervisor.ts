import type { ServerName } from '@plexus/core'
import type { Clock, Log, Random } from '@plexus/engine/ports'
import type { ConnectResult } from './dialer.ts'
import type { LinkTable, PeerInfo } from './link-table.ts'
import { createPeerKeeper, type PeerKeeper } from './peer-keeper.ts'
import type { Platform } from './platform.ts'
import type { RelayKeeper, RelayStatus } from './relay-keeper.ts'
import { MAX_WATCHED_NAMES } from './wire/limits.ts'

/** Names whose appearing is noticed; of them the platform's number is kept connected. */
export const MAX_WANTED_NAMES: number = MAX_WATCHED_NAMES
/** Milliseconds between looks at the clock. */
export const WATCHDOG_MS = 10_000
/** A look that comes so much too late or too early: the machine slept, the page was frozen, or the clock was set. */
const JUMP_MS = 5_000

/**
 * `online`: a relay is connected. `relayed`: so it is, but to some peer there is no direct connection.
 * `noRelay`: peers are connected, no relay is. `connecting`: nobody is, and some relay has not been tried. `offline`: nobody is.
 */
export type NetworkState = 'online' | 'relayed' | 'noRelay' | 'connecting' | 'offline'

export type NetworkStatus = {
  readonly state: NetworkState
  readonly relays: readonly RelayStatus[]
  readonly peers: readonly PeerInfo[]
}

export type SupervisorDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly random: Random
  readonly platform: Platform
  readonly table: LinkTable
  readonly relays: readonly RelayKeeper[]
  readonly ownPeerId: string
  connect(name: ServerName): Promise<ConnectResult>
  /** Peer ids that a name is known by. */
  peerIds(name: ServerName): readonly string[]
  changed(status: NetworkStatus): void
  /** A wanted name that is not kept connected is at a relay: what waits for it may be sent. */
  appeared(name: ServerName): void
}

/** Keeps what is wanted connected and says how things stand. */
export interface Supervisor extends Disposable {
  readonly status: NetworkStatus
  /** Sets the names that matter, most important first: `MAX_WANTED_NAMES` count, the platform's number is kept connected. */
  want(names: Iterable<ServerName>): void
  wants(name: ServerName): boolean
  keeps(name: ServerName): boolean
  /** There is news of a name. */
  news(name: ServerName): void
  /** The network or the page came back: everything is tried at once. */
  kick(): void
  /** Something may have changed: tells it once this turn is over. */
  touch(): void
}

export function createSupervisor(deps: SupervisorDeps): Supervisor {
  const { table, relays, platform } = deps
  const keepers = new Map<ServerName, PeerKeeper>()
  let wanted: ReadonlySet<ServerName> = new Set()
  let touched = false
  let disposed = false
  let told = ''
  let relaysUp = 0
  /** Every relay was reached or not: from then on nobody is there while they are tried again. */
  let isTried = false

  function yieldsTo(name: ServerName): boolean {
    const others = deps.peerIds(name)
    return others.length > 0 && others.every((peerId) => deps.ownPeerId > peerId)
  }

  function state(peers: readonly PeerInfo[]): NetworkState {
    const relay = relays.some(({ status }) => status.state === 'connected')
    isTried ||= relays.every(({ status }) => status.state !== 'connecting')
    if (!platform.online()) return 'offline'
    if (!relay && peers.length === 0) return isTried ? 'offline' : 'connecting'
    if (!relay) return 'noRelay'
    return peers.some(({ path }) => path === 'relayed') ? 'relayed' : 'online'
  }

  function status(): NetworkStatus {
    const peers = table.peers()
    return { state: state(peers), relays: relays.map((relay) => relay.status), peers }
  }

  function kickPeers(): void {
    for (const keeper of keepers.values()) keeper.kick()
  }

  function tell(): void {
    touched = false
    if (disposed) return
    const current = status()
    const up = current.relays.filter((relay) => relay.state === 'connected').length
    // A relay that came back may be the way to anyone.
    if (up > relaysUp) kickPeers()
    relaysUp = up
    const text = JSON.stringify(current)
    if (text === told) return
    told = text
    deps.changed(current)
  }

  function touch(): void {
    if (touched) return
    touched = true
    queueMicrotask(tell)
  }

  function kick(): void {
    table.probe()
    for (const relay of relays) relay.kick()
    kickPeers()
    touch()
  }

  /** Nobody tells of a sleep or a freeze everywhere, but timers come late after it. */
  function watchClock(): () => void {
    const expected = deps.clock.now() + WATCHDOG_MS
    return deps.clock.after(WATCHDOG_MS, () => {
      if (Math.abs(deps.clock.now() - expected) > JUMP_MS) kick()
      stopWatching = watchClock()
    })
  }

  const stopWaking = platform.onWake(kick)
  let stopWatching = watchClock()

  return {
    get status() {
      return status()
    },
    want(names) {
      wanted = new Set([...names].slice(0, MAX_WANTED_NAMES))
      const kept = new Set([...wanted].slice(0, platform.maxKeptPeers))
      for (const [name, keeper] of keepers) {
        if (kept.has(name)) continue
        keeper.stop()
        keepers.delete(name)
      }
      for (const name of kept) {
        if (!keepers.has(name))
          keepers.set(
            name,
            createPeerKeeper(deps, name, () => yieldsTo(name)),
          )
      }
      for (const relay of relays) relay.watch(wanted)
    },
    wants: (name) => wanted.has(name),
    keeps: (name) => keepers.has(name),
    news(name) {
      const keeper = keepers.get(name)
      if (keeper !== undefined) keeper.kick()
      else if (wanted.has(name)) deps.appeared(name)
    },
    kick,
    touch,
    [Symbol.dispose]() {
      disposed = true
      stopWaking()
      stopWatching()
      for (const keeper of keepers.values()) keeper.stop()
      keepers.clear()
    },
  }
}

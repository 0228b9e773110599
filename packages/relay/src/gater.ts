import type { ConnectionGater } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '@plexus/engine/ports'
import { createTokenBucket, isPublicAddress, type TokenBucket } from '@plexus/p2p/wire'
import { CIRCUIT_BURST, CIRCUITS_PER_SECOND } from './limits.ts'

/** Who may do what at the relay: it dials other relays only, and each node opens circuits at a bounded rate. */
export interface RelayGater {
  readonly connectionGater: ConnectionGater
  /** True for an address that may be dialled, for the DHT: nobody can make the relay probe its own network. */
  allows(address: Multiaddr): boolean
  /** The node is gone: its budget goes too. */
  forget(peerId: string): void
  /** Circuits asked for, and those of them that were refused. */
  readonly counts: { asked: number; refused: number }
}

export type RelayGaterInit = {
  /** Addresses of other relays that the operator named: always allowed. */
  readonly peers: readonly string[]
  /** Private, loopback and link-local addresses are allowed: a local network, or a test. */
  readonly lan: boolean
}

export function createRelayGater(clock: Clock, { peers, lan }: RelayGaterInit): RelayGater {
  const budgets = new Map<string, TokenBucket>()
  const counts = { asked: 0, refused: 0 }

  function mayConnect(source: string): boolean {
    let budget = budgets.get(source)
    if (budget === undefined) {
      budget = createTokenBucket(() => clock.now(), CIRCUITS_PER_SECOND, CIRCUIT_BURST)
      budgets.set(source, budget)
    }
    counts.asked += 1
    if (budget.take()) return true
    counts.refused += 1
    return false
  }

  // Told with the peer id at the end, or without.
  const isNamed = (address: string): boolean =>
    peers.some((peer) => peer === address || peer.startsWith(`${address}/p2p/`))
  // Never through another relay, and to no node behind one.
  const allows = (address: Multiaddr): boolean =>
    isNamed(address.toString()) ||
    (!address.toString().includes('/p2p-circuit') && (lan || isPublicAddress(address)))

  return {
    allows,
    connectionGater: {
      denyDialMultiaddr: (address) => !allows(address),
      denyOutboundRelayedConnection: (source) => !mayConnect(source.toString()),
    },
    forget: (peerId) => budgets.delete(peerId),
    counts,
  }
}

import type { ConnectionGater } from '@libp2p/interface'
import { parseMultiaddr, peerIdOf, relayOf, withPeer } from './addresses.ts'
import { isPublicAddress } from './wire/public-address.ts'

export type GaterInit = {
  /** Configured relay addresses, peer id included: always allowed, wherever they lie. */
  readonly relays: readonly string[]
  /** Private, loopback and link-local addresses are allowed: a local network, or a test. */
  readonly lan: boolean
}

/** Decides what is dialled, so that a link or a peer cannot make this node probe its own network. */
export interface Gater {
  /** True for an address that may be dialled. */
  allows(address: string): boolean
  /** True for the peer id of a configured relay. */
  isRelay(peerId: string): boolean
  readonly connectionGater: ConnectionGater
}

export function createGater({ relays, lan }: GaterInit): Gater {
  const addresses = new Set(relays)
  const peerIds = new Set(relays.map(peerIdOf).filter((peerId) => peerId !== undefined))

  function allowsHop(address: string): boolean {
    if (addresses.has(address) || lan) return true
    const parsed = parseMultiaddr(address)
    return parsed !== undefined && isPublicAddress(parsed)
  }

  function allows(address: string): boolean {
    const relay = relayOf(address)
    if (relay === undefined) return allowsHop(address)
    if (address.indexOf('/p2p-circuit', relay.length + 1) !== -1) return false
    const peerId = peerIdOf(relay)
    // The connection to a configured relay is used as it is, whatever address this one gives for it.
    return peerId !== undefined && (peerIds.has(peerId) || allowsHop(relay))
  }

  const denies = (address: { toString(): string }): boolean => !allows(address.toString())
  return {
    allows,
    isRelay: (peerId) => peerIds.has(peerId),
    connectionGater: {
      denyDialMultiaddr: denies,
      // Despite its name it says what is kept.
      filterMultiaddrForPeer: (peer, address) => {
        return allows(withPeer(address.toString(), peer.toString()))
      },
      denyInboundRelayedConnection: (relay) => !peerIds.has(relay.toString()),
    },
  }
}

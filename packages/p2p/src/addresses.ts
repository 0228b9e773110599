import { CODE_P2P, CODE_P2P_CIRCUIT, multiaddr, type Multiaddr } from '@multiformats/multiaddr'

/** `undefined` for text that is no multiaddr. Never throws. */
export function parseMultiaddr(text: string): Multiaddr | undefined {
  try {
    return multiaddr(text)
  } catch {
    return undefined
  }
}

/** The peer that an address leads to; `undefined` when it names none. */
export function peerIdOf(text: string): string | undefined {
  const last = parseMultiaddr(text)?.getComponents().at(-1)
  return last?.code === CODE_P2P ? last.value : undefined
}

/** The relay's own address, peer id included, of a relayed address; `undefined` for any other. */
export function relayOf(text: string): string | undefined {
  const at = text.indexOf('/p2p-circuit')
  return at === -1 ? undefined : text.slice(0, at)
}

/** The address of `peerId` through the relay, for a relayed connection. */
export function circuitAddress(relay: string, peerId: string): string {
  return `${relay}/p2p-circuit/p2p/${peerId}`
}

/** The address of `peerId` for a WebRTC connection that is arranged through the relay. */
export function webrtcAddress(relay: string, peerId: string): string {
  return `${relay}/p2p-circuit/webrtc/p2p/${peerId}`
}

/** True for an address that one connection of its own reaches: no relay stands in it. */
export function isDirectAddress(text: string): boolean {
  return (
    parseMultiaddr(text)
      ?.getComponents()
      .every(({ code }) => code !== CODE_P2P_CIRCUIT) ?? false
  )
}

/** The address with the peer at its end, as configured addresses are. */
export function withPeer(address: string, peerId: string): string {
  return peerIdOf(address) === undefined ? `${address}/p2p/${peerId}` : address
}

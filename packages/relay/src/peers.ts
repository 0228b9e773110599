import { CODE_P2P, multiaddr } from '@multiformats/multiaddr'
import type { Clock, Log } from '@plexus/engine/ports'
import type { Libp2p } from 'libp2p'
import { PEER_CHECK_MS, PEER_DIAL_MS } from './limits.ts'

/** True for a multiaddr that ends in a peer id. */
export function isRelayAddress(text: string): boolean {
  try {
    return multiaddr(text).getComponents().at(-1)?.code === CODE_P2P
  } catch {
    return false
  }
}

type PeersDeps = { readonly clock: Clock; readonly log: Log; readonly libp2p: Pick<Libp2p, 'dial'> }

/** Dials the relays that the operator named, and again whenever one is away. The answer ends it. */
export function keepPeers({ clock, log, libp2p }: PeersDeps, peers: readonly string[]): () => void {
  const stop = new AbortController()
  let cancel: () => void = () => undefined

  function look(): void {
    cancel = clock.after(PEER_CHECK_MS, look)
    for (const address of peers) {
      // A connection that is there is the answer at once.
      libp2p
        .dial(multiaddr(address), {
          signal: AbortSignal.any([stop.signal, AbortSignal.timeout(PEER_DIAL_MS)]),
        })
        .catch((error: unknown) => {
          if (!stop.signal.aborted)
            log.log('debug', 'another relay was not reached', { error: String(error) })
        })
    }
  }

  if (peers.length > 0) look()
  return () => {
    cancel()
    stop.abort()
  }
}

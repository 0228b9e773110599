/** Nodes that tell of themselves on the local network: each is met, after which its name and addresses are known. */
import { withPeer } from './addresses.ts'
import type { Dialer } from './dialer.ts'
import type { P2pLibp2p } from './start-libp2p.ts'

/** Neighbours that are being met at once; those that appear meanwhile are left. */
export const MAX_NEIGHBOURS_AT_ONCE = 32

/** The library tells of each peer when it first appears, of those that come by themselves too. */
export function meetNeighbours(
  libp2p: Pick<P2pLibp2p, 'addEventListener' | 'getConnections' | 'peerId'>,
  dialer: Pick<Dialer, 'meet'>,
): void {
  let underWay = 0
  libp2p.addEventListener('peer:discovery', ({ detail: { id, multiaddrs } }) => {
    if (underWay >= MAX_NEIGHBOURS_AT_ONCE || id.equals(libp2p.peerId)) return
    if (libp2p.getConnections(id).length > 0) return
    underWay += 1
    const addresses = multiaddrs.map((address) => withPeer(address.toString(), id.toString()))
    void dialer.meet(addresses).finally(() => (underWay -= 1))
  })
}

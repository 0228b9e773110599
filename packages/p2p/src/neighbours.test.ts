import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, it } from 'vitest'
import { MAX_NEIGHBOURS_AT_ONCE, meetNeighbours } from './neighbours.ts'

const OWN = peerIdFromString('12D3KooWJsPyoEHJYkUDaFRYBBRHcLbmvFo9mtfQYHBNXjgvUPeC')
const PEER = peerIdFromString('12D3KooWLUZUuPYNTYZ3xqCiYzMwqfMG4mRmpNhGwVjVxBCfJoBk')
const FRIEND = peerIdFromString('12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu')

function start() {
  const met: (readonly string[])[] = []
  const ends: (() => void)[] = []
  const events = new EventTarget()
  const libp2p = {
    peerId: OWN,
    getConnections: (id: PeerId) => (id.equals(FRIEND) ? [{}] : []),
    addEventListener: (type: string, run: (event: Event) => void) => events.addEventListener(type, run),
  } as unknown as Parameters<typeof meetNeighbours>[0]
  meetNeighbours(libp2p, {
    meet(addresses) {
      met.push(addresses)
      return new Promise((resolve) => ends.push(resolve))
    },
  })
  const appear = (id: PeerId): boolean =>
    events.dispatchEvent(
      new CustomEvent('peer:discovery', {
        detail: { id, multiaddrs: [multiaddr('/ip4/192.168.1.7/tcp/1')] },
      }),
    )
  return { met, ends, appear }
}

it('meets who appears on the local network, and neither itself nor who is connected', () => {
  const { met, appear } = start()
  for (const id of [PEER, OWN, FRIEND]) appear(id)
  expect(met).toEqual([[`/ip4/192.168.1.7/tcp/1/p2p/${PEER.toString()}`]])
})

it('meets so many at once', async () => {
  const { met, ends, appear } = start()
  for (let n = 0; n < MAX_NEIGHBOURS_AT_ONCE + 5; n += 1) appear(PEER)
  expect(met).toHaveLength(MAX_NEIGHBOURS_AT_ONCE)
  ends[0]?.()
  await new Promise((resolve) => setImmediate(resolve))
  appear(PEER)
  expect(met).toHaveLength(MAX_NEIGHBOURS_AT_ONCE + 1)
})

import { expect, it } from 'vitest'
import { createGater } from './gater.ts'
import { nodePlatform } from './node.ts'
import { createReservations } from './reservations.ts'
import { startLibp2p } from './start-libp2p.ts'
import { generateTransportKey } from './transport-key.ts'

it.each([
  ['nobody', false, 0],
  ['everybody on a local network', true, 1],
])('tells %s, by identify, where it listens', async (_who, lan, count) => {
  const libp2p = await startLibp2p(
    nodePlatform({ listen: ['/ip4/127.0.0.1/tcp/0'], webrtc: false }),
    createGater({ relays: [], lan }),
    createReservations(() => false),
    { transportKey: await generateTransportKey(), relayCount: 0, lan },
  )
  // These are what identify and its signed peer record hold.
  const addresses = libp2p.getMultiaddrs()
  await libp2p.stop()
  expect(addresses).toHaveLength(count)
})

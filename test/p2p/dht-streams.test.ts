import { DHT_PROTOCOL } from '@plexus/p2p/wire'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { noise } from '@libp2p/noise'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { expect, it } from 'vitest'
import { eventually, startRelayHere, temporaryFolder } from '../kit/p2p.ts'

/** Of the DHT that a relay takes on one connection. */
const MAX_DHT_STREAMS = 32

it('a relay takes so many streams of the DHT on one connection', { timeout: 60_000 }, async () => {
  await using ends = new AsyncDisposableStack()
  const folder = await temporaryFolder()
  ends.defer(() => folder.remove())
  const relay = await startRelayHere(folder.path)
  ends.defer(() => relay.stop())
  const node = await createLibp2p({
    privateKey: await generateKeyPair('Ed25519'),
    transports: [webSockets()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyDialMultiaddr: () => false },
    connectionMonitor: { enabled: false },
  })
  ends.defer(() => node.stop())
  const connection = await node.dial(multiaddr(relay.addresses[0] ?? ''))
  const open = async (): Promise<ReturnType<typeof connection.newStream> | undefined> =>
    connection.newStream(DHT_PROTOCOL, { maxOutboundStreams: 1_000 }).catch(() => undefined)
  const streams: Awaited<ReturnType<typeof open>>[] = []
  for (let n = 0; n < MAX_DHT_STREAMS + 8; n += 1) streams.push(await open())
  const left = (): number => streams.filter((stream) => stream?.status === 'open').length
  await eventually(() => left() <= MAX_DHT_STREAMS, 'those beyond are refused')
  expect(left()).toBe(MAX_DHT_STREAMS)
})

import { identify, type Identify } from '@libp2p/identify'
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { FaultTolerance } from '@libp2p/interface'
import { createLibp2p, type Libp2p, type Libp2pOptions } from 'libp2p'
import type { Gater } from './gater.ts'
import type { Platform } from './platform.ts'
import type { Reservations } from './reservations.ts'

type Components = Parameters<NonNullable<Libp2pOptions['transports']>[number]>[0]

/** `parts`: what the DHT's client, which starts later, is made of. */
export type P2pLibp2p = Libp2p<{ identify: Identify; parts: { readonly components: Components } }>

/** Milliseconds that a dial may take. */
export const DIAL_TIMEOUT_MS = 10_000
/** Connections a second from one address. */
const INBOUND_PER_SECOND = 50

export type StartInit = {
  readonly transportKey: Uint8Array
  readonly relayCount: number
  /** All addresses are told to everybody. */
  readonly lan: boolean
}

export function startLibp2p(
  platform: Platform,
  gater: Gater,
  reservations: Reservations,
  init: StartInit,
): Promise<P2pLibp2p> {
  // One listener per relay: each takes the addresses of one reservation.
  const circuits = Array.from({ length: init.relayCount }, () => '/p2p-circuit')
  return createLibp2p({
    privateKey: privateKeyFromProtobuf(init.transportKey),
    addresses: {
      listen: [...platform.listen, ...circuits],
      // What identify tells relays and strangers: only peers hear where this node itself is.
      announceFilter: (all) =>
        init.lan ? all : all.filter((each) => each.toString().includes('/p2p-circuit')),
    },
    transports: [...platform.transports, reservations.transport],
    peerDiscovery: init.lan ? (platform.discovery ?? []) : [],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: gater.connectionGater,
    connectionManager: {
      maxConnections: platform.maxConnections,
      inboundConnectionThreshold: INBOUND_PER_SECOND,
      dialTimeout: DIAL_TIMEOUT_MS,
      addressDialTimeout: DIAL_TIMEOUT_MS,
      // The supervisor reconnects; /dnsaddr of a stranger is not resolved.
      reconnectRetries: 0,
      resolvers: {},
    },
    // It aborts the connection of a tab that is merely busy; federation streams have a heartbeat of their own.
    connectionMonitor: { enabled: false },
    transportManager: { faultTolerance: FaultTolerance.NO_FATAL },
    nodeInfo: { userAgent: 'plexus' },
    services: {
      identify: identify({ runOnConnectionOpen: true }),
      parts: (components: Components) => ({ components }),
    },
  })
}

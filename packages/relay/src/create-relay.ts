import type { Server } from 'node:http'
import { circuitRelayServer, type CircuitRelayService } from '@libp2p/circuit-relay-v2'
import { identify, type Identify } from '@libp2p/identify'
import type { KadDHT } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { ping, type Ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { webRTCDirect } from '@libp2p/webrtc'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { accountKey } from '@plexus/core/names'
import type { Clock, Log, Store } from '@plexus/engine/ports'
import { tableOf } from '@plexus/p2p/kad-parts'
import { MAILBOX_PROTOCOL, RELAY_PROTOCOL } from '@plexus/p2p/wire'
import { createLibp2p, type AddressManagerInit, type Libp2p } from 'libp2p'
import {
  ATTACHED_ADDRESS,
  ATTACHED_LISTEN,
  attachedWebSockets,
  type ClientOf,
} from './attached-websockets.ts'
import { createRelayDirectory, type DirectoryStats } from './directory.ts'
import { dhtServer } from './dht.ts'
import { createRelayGater } from './gater.ts'
import type { RelayIdentity } from './identity.ts'
import * as limits from './limits.ts'
import { createMailService, type MailCounts } from './mail/mail-service.ts'
import type { MailStore, MailTotals } from './mail/mail-store.ts'
import { DEFAULT_MAIL_POLICY, type MailPolicy } from './mail/policy.ts'
import { createSources } from './mail/sources.ts'
import { keepPeers } from './peers.ts'
import { webrtcMultiaddrs, websocketMultiaddr } from './public-addresses.ts'
import { createPublisher } from './publisher.ts'
import { putRecord } from './put-record.ts'
import { createRecords } from './records.ts'

export type RelayDeps = {
  readonly clock: Clock
  readonly log: Log
  /** Where published records outlive a restart. */
  readonly records?: Store
}

export type RelayInit = {
  readonly identity: RelayIdentity
  /** The HTTP or HTTPS server that also serves the page: requests to upgrade `/` become libp2p connections. */
  readonly server?: Server
  /** Who comes to it through a proxy. */
  readonly clientOf?: ClientOf
  /** Further multiaddrs to listen on: `/ip4/0.0.0.0/udp/8008/webrtc-direct`, `/ip4/0.0.0.0/tcp/4001`, `…/tcp/4002/ws`. */
  readonly listen?: readonly string[]
  /** Without it the relay keeps no mailboxes. The store stays its owner's to close, after the relay. */
  readonly mail?: { readonly store: MailStore; readonly policy: MailPolicy }
  /** Where others reach the server, for other relays to tell their nodes. */
  readonly publicUrl?: string
  /** Multiaddrs of other relays, peer id included: the DHT begins with them. */
  readonly peers?: readonly string[]
  /** Other relays at private addresses may be dialled. */
  readonly lan?: boolean
  /** For tests; the named bounds count otherwise. */
  readonly circuitBytes?: bigint
}

export type RelayStats = DirectoryStats & {
  readonly connections: number
  readonly reservations: number
  readonly circuitsAsked: number
  readonly circuitsRefused: number
  readonly records: number
  /** Other relays that the DHT knows. */
  readonly dhtServers: number
}

/** A relay: circuits between nodes, the directory of who is here, and mailboxes. It can read nothing of what it relays. */
export interface Relay extends AsyncDisposable {
  readonly peerId: string
  /** Addresses for the configuration of nodes, peer id included, best first: those at the public URL, then the rest. */
  multiaddrs(publicUrl?: string): readonly string[]
  stats(): RelayStats
  /** `undefined` where it keeps no mailboxes. @throws StoreError */
  mailStats(): Promise<(MailCounts & MailTotals) | undefined>
}

type RelayLibp2p = Libp2p<{ identify: Identify; ping: Ping; relay: CircuitRelayService; dht: KadDHT }>

/** The address of the server instead of that of the library's own listener, at which nobody is to come. */
function announced(publicUrl: string | undefined): AddressManagerInit {
  if (publicUrl === undefined) return {}
  const address = websocketMultiaddr(publicUrl)
  return {
    appendAnnounce: [address],
    announceFilter: (all) =>
      all.filter((each) => {
        const text = each.toString().replace(/\/p2p\/\w+$/, '')
        return text === address || !ATTACHED_ADDRESS.test(text)
      }),
  }
}

/** @throws when an address cannot be listened on */
export async function createRelay(deps: RelayDeps, init: RelayInit): Promise<Relay> {
  const { clock, log } = deps
  const { identity, server } = init
  const { peers = [], lan = false } = init
  const gater = createRelayGater(clock, { peers, lan })
  const records = await createRecords({ clock, log, ...(deps.records && { store: deps.records }) })
  const publisher = createPublisher({
    clock,
    log,
    records,
    servers: () => tableOf(libp2p.services.dht).size,
    put: (published, signal) => {
      const named = libp2p
        .getPeers()
        .filter((peer) => peers.some((each) => each.endsWith(`/${peer.toString()}`)))
      return putRecord(
        libp2p.services.dht,
        {
          published,
          named,
          addressOf: (peer) => libp2p.getConnections(peer)[0]?.remoteAddr.toString(),
        },
        signal,
      )
    },
  })
  const sources = createSources(clock, init.mail?.policy ?? DEFAULT_MAIL_POLICY)
  const directory = createRelayDirectory({
    clock,
    log,
    records,
    sources,
    published: (published) => publisher.publish(published),
  })
  const attached = server === undefined ? undefined : attachedWebSockets(server, init.clientOf)
  const libp2p: RelayLibp2p = await createLibp2p({
    privateKey: identity.privateKey,
    addresses: {
      listen: [...(attached === undefined ? [] : [ATTACHED_LISTEN]), ...(init.listen ?? [])],
      ...announced(attached === undefined ? undefined : init.publicUrl),
    },
    transports: [
      attached?.transport ?? webSockets(),
      webRTCDirect({ certificate: identity.webrtcCertificate, rtcConfiguration: { iceServers: [] } }),
      tcp(),
    ],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: gater.connectionGater,
    connectionManager: {
      maxConnections: limits.MAX_CONNECTIONS,
      inboundConnectionThreshold: limits.CONNECTIONS_PER_SECOND,
      maxIncomingPendingConnections: limits.MAX_PENDING_CONNECTIONS,
      reconnectRetries: 0,
      resolvers: {},
    },
    // Nodes are found dead by the heartbeat of their relay stream; a busy tab is not dead.
    connectionMonitor: { enabled: false },
    nodeInfo: { userAgent: 'plexus-relay' },
    services: {
      identify: identify(),
      // The DHT names it as a dependency.
      ping: ping(),
      dht: dhtServer({ records, clock, allows: (address) => gater.allows(address) }),
      relay: circuitRelayServer({
        maxInboundHopStreams: limits.MAX_CIRCUITS_PER_NODE,
        maxOutboundStopStreams: limits.MAX_CIRCUITS_PER_NODE,
        reservations: {
          maxReservations: limits.MAX_RESERVATIONS,
          reservationTtl: limits.RESERVATION_MS,
          defaultDurationLimit: limits.CIRCUIT_MS,
          defaultDataLimit: init.circuitBytes ?? limits.CIRCUIT_BYTES,
        },
      }),
    },
  })
  await libp2p.handle(
    RELAY_PROTOCOL,
    (stream, connection) => {
      // The library would lead circuits over the oldest connection, though its node may have started anew since.
      const { remotePeer, remoteAddr } = connection
      for (const other of libp2p.getConnections(remotePeer)) {
        if (other.id !== connection.id) other.abort(new Error('replaced by a newer connection'))
      }
      directory.accept(stream, { peerId: remotePeer.toString(), address: remoteAddr.toString() })
    },
    { maxInboundStreams: 2 },
  )
  const mail =
    init.mail === undefined
      ? undefined
      : createMailService(
          {
            clock,
            log,
            store: init.mail.store,
            sources,
            registered(signed, { tag: source }) {
              const published = { key: accountKey(signed.record.name), signed }
              if (records.put(published, { by: 'mailbox', source }) === 'kept') publisher.publish(published)
            },
          },
          { relay: libp2p.peerId.toString(), policy: init.mail.policy },
        )
  if (mail !== undefined) {
    await libp2p.handle(
      MAILBOX_PROTOCOL,
      (stream, { remotePeer, remoteAddr }) =>
        mail.accept(stream, { peerId: remotePeer.toString(), address: remoteAddr.toString() }),
      { maxInboundStreams: 2 },
    )
  }
  libp2p.addEventListener('peer:disconnect', ({ detail }) => {
    gater.forget(detail.toString())
    // The library keeps the places of those who left until they expire.
    libp2p.services.relay.reservations.delete(detail)
  })
  const stopKeeping = keepPeers({ clock, log, libp2p }, peers)
  const peerId = libp2p.peerId.toString()
  const withPeer = (address: string): string =>
    address.endsWith(`/p2p/${peerId}`) ? address : `${address}/p2p/${peerId}`

  return {
    peerId,
    multiaddrs(publicUrl) {
      const listening = libp2p.getMultiaddrs().map((address) => address.toString())
      if (publicUrl === undefined) return listening
      return [websocketMultiaddr(publicUrl), ...webrtcMultiaddrs(publicUrl, listening)].map(withPeer)
    },
    stats: () => ({
      ...directory.stats(),
      connections: libp2p.getConnections().length,
      reservations: libp2p.services.relay.reservations.size,
      circuitsAsked: gater.counts.asked,
      circuitsRefused: gater.counts.refused,
      records: records.size,
      dhtServers: tableOf(libp2p.services.dht).size,
    }),
    mailStats: async () => mail && { ...mail.counts(), ...(await mail.totals()) },
    async [Symbol.asyncDispose]() {
      attached?.detach()
      await mail?.close()
      directory.close()
      stopKeeping()
      await publisher[Symbol.asyncDispose]()
      await libp2p.stop()
      await records[Symbol.asyncDispose]()
    },
  }
}

import type { PeerId, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import type { ServerName } from '@plexus/core'
import {
  accountKey,
  aliasKey,
  kindOfRecord,
  listingKey,
  type AliasRecord,
  type ListingRecord,
  type PublishedRecord,
  type SignedAccountRecord,
  type SignedRecord,
} from '@plexus/core/names'
import { CarrierError } from '@plexus/engine/ports'
import type {
  Carrier,
  Clock,
  Directory,
  EnvelopedRequest,
  InboundHandler,
  Log,
  Mailboxes,
  Random,
} from '@plexus/engine/ports'
import { circuitAddress, peerIdOf, withPeer } from './addresses.ts'
import { createCarrier } from './carrier.ts'
import { createCertificates } from './certificates.ts'
import { createDepositors } from './depositors.ts'
import { createDialer, MAX_STREAMS_PER_CONNECTION, type ConnectResult } from './dialer.ts'
import { createDiscovery } from './discovery.ts'
import { errorText } from './error-text.ts'
import { createGater, type Gater } from './gater.ts'
import type { Kad } from './kad.ts'
import type { Link } from './link.ts'
import { createLinkTable } from './link-table.ts'
import { createMailboxes } from './mailboxes.ts'
import { meetNeighbours } from './neighbours.ts'
import { createPeerBook, type PeerMemory } from './peer-book.ts'
import type { Platform } from './platform.ts'
import { createRelayKeeper, type RelayKeeper, type RelayNetwork } from './relay-keeper.ts'
import { createReservations } from './reservations.ts'
import { guardSignaling } from './signaling.ts'
import { startLibp2p, type P2pLibp2p } from './start-libp2p.ts'
import { createSupervisor, type NetworkStatus } from './supervisor.ts'
import { createUpgrader } from './upgrader.ts'
import { FEDERATION_PROTOCOL } from './wire/federation.ts'
import type { Hello, SignedCertificate } from './wire/hello.ts'
import { MAX_HELLO_ADDRESSES } from './wire/limits.ts'
import { MAILBOX_PROTOCOL } from './wire/mailbox.ts'
import { RELAY_PROTOCOL } from './wire/relay.ts'

/** Relays that a node keeps at most, and addresses of one relay that it tries. */
const MAX_RELAYS = 8
const MAX_ADDRESSES_PER_RELAY = 4

export type P2pNodeDeps = {
  readonly platform: Platform
  readonly clock: Clock
  readonly log: Log
  readonly random: Random
  readonly memory: PeerMemory
  /** Binds this node's peer id to its name, see `NodeControl.certify`. */
  certify(peerId: string): Promise<SignedCertificate>
}

export type P2pNodeInit = {
  /** From `generateTransportKey`. */
  readonly transportKey: Uint8Array
  /** Multiaddrs of the relays, peer ids included. Those of one relay are ways to the same one, best first. */
  readonly relays: readonly string[]
  /** Tokens for registering at relays that ask for one, by the relay's peer id. Secret. */
  readonly mailTokens?: Readonly<Record<string, string>>
  /** Private, loopback and link-local addresses may be dialled. */
  readonly lan?: boolean
}

export type P2pEvent =
  | { readonly kind: 'status'; readonly status: NetworkStatus }
  /** A peer can be reached that could not: what waits for it may be sent. */
  | { readonly kind: 'appeared'; readonly name: ServerName }
  /** There may be mail at a relay, by its peer id: it says so, or its mailboxes were just connected. */
  | { readonly kind: 'mail'; readonly relay: string }

/** A libp2p node with the direct carrier, relays and a supervisor that keeps peers connected. */
export interface P2pNode extends AsyncDisposable {
  readonly peerId: string
  readonly carrier: Carrier
  readonly directory: Directory
  readonly mailboxes: Mailboxes
  readonly status: NetworkStatus
  /** Sets what answers requests. Until then they are refused as if the node were busy. */
  onRequest(handler: InboundHandler<EnvelopedRequest>): void
  /** Sets the names to keep connected, most important first. */
  want(names: Iterable<ServerName>): void
  /** Calls `listener` for each event until the answer is called. */
  watch(listener: (event: P2pEvent) => void): () => void
  /** Tries everything at once that waits for another attempt. */
  kick(): void
}

/** How long it may take until it is known who wants a direct connection. */
const GREETING_MS = 5_000

/** @throws Error for a transport key or relay address that is none */
export async function createP2pNode(deps: P2pNodeDeps, init: P2pNodeInit): Promise<P2pNode> {
  const { clock, log, random, platform } = deps
  const configured = byRelay(init.relays)
  const gater = createGater({ relays: configured.flat(), lan: init.lan === true })
  const reservations = createReservations((peerId) => gater.isRelay(peerId))
  const wanted = (name: ServerName): boolean => supervisor.wants(name)
  const book = await createPeerBook({ clock, log, memory: deps.memory, wanted })
  const libp2p = await startLibp2p(platform, gater, reservations, {
    transportKey: init.transportKey,
    relayCount: configured.length,
    lan: init.lan === true,
  })
  const ownPeerId = libp2p.peerId.toString()
  const session = hex(random.bytes(16))
  const listeners = new Set<(event: P2pEvent) => void>()
  let handler: InboundHandler<EnvelopedRequest> | undefined

  const emit = (event: P2pEvent): void => {
    for (const listener of listeners) listener(event)
  }
  const certificates = createCertificates(
    {
      clock,
      log,
      certify: (peerId) => deps.certify(peerId),
      renewed() {
        table.renew()
        for (const relay of relays) relay.renew()
        mailboxes.renew()
      },
    },
    ownPeerId,
  )
  const circuits = (): string[] => {
    const reserved = relays.filter(({ status }) => status.reserved).map(({ status }) => status.address)
    return reserved.map((relay) => circuitAddress(relay, ownPeerId))
  }
  /** Where this node itself is: for who shares a room with it or got an invite, and for no stranger. */
  const direct = (): readonly string[] => {
    const local = init.lan === true ? libp2p.getMultiaddrs().map(String).filter(isListening) : []
    return [...platform.announce, ...local]
  }
  const ownAddresses = (): string[] => [...circuits(), ...direct()].slice(0, MAX_HELLO_ADDRESSES)
  const toldDirect = new WeakSet<Link>()
  /** Addresses of streams over a relay. */
  const relayed = new WeakMap<Link, string>()
  /** Once it is known who is at the other side. Whoever is dialled directly, too, learns where this node is. */
  const befriend = (link: Link): void => {
    if (link.name === undefined || !wanted(link.name)) return
    const address = relayed.get(link)
    if (address !== undefined) upgrader.relayed(link, address)
    if (toldDirect.has(link)) return
    toldDirect.add(link)
    if (direct().length > 0) link.renew()
  }
  const table = createLinkTable({
    clock,
    log,
    ownPeerId,
    hello: async (serial, name): Promise<Hello> => {
      const isFriend = name !== undefined && wanted(name)
      const addresses = isFriend ? ownAddresses() : circuits().slice(0, MAX_HELLO_ADDRESSES)
      return { ...(await certificates.current()), session, serial, addresses }
    },
    handle: (request) =>
      handler === undefined
        ? Promise.reject(new CarrierError('unreachable', 'not started'))
        : handler(request),
    wanted,
    kept: (name) => supervisor.keeps(name),
    greeted(link, { certificate, addresses: told }, connection) {
      book.met(
        certificate.name,
        link.peerId,
        told.filter((address) => gater.allows(address)),
      )
      if (!link.direct) relayed.set(link, connection.address)
      befriend(link)
    },
    appeared: (name) => emit({ kind: 'appeared', name }),
    changed: () => supervisor.touch(),
  })
  await guardSignaling(libp2p.services.parts.components.registrar, async (peer) => {
    const isFriend = (): boolean => {
      const name = table.bestOf(peer.toString())?.name
      return name !== undefined && wanted(name)
    }
    // Its hello may not have been read yet.
    await table.until(isFriend, AbortSignal.timeout(GREETING_MS)).catch(() => undefined)
    return isFriend()
  })
  const mailboxes = createMailboxes({
    clock,
    log,
    random,
    depositors: createDepositors({ clock, log, platform, gater }),
    certificate: () => certificates.current(),
    open: (relay, signal) => openStream(libp2p, relay, MAILBOX_PROTOCOL, signal),
    registered: (signed) => {
      publish(signed).catch((error: unknown) => {
        log.log('info', 'the account record was not published', { error: errorText(error) })
      })
    },
    token: (relay) => init.mailTokens?.[relay],
    mail: (relay) => emit({ kind: 'mail', relay }),
  })
  const publish = (signed: SignedRecord<PublishedRecord>): Promise<void> =>
    discovery.publish({ key: kindOfRecord(signed.record).key(signed.record), signed })
  let kad: Promise<Kad> | undefined
  const discovery = createDiscovery({
    clock,
    log,
    book,
    relays: () => relays,
    kad: () => (kad ??= startDht(libp2p, clock, gater)),
  })
  const relays: readonly RelayKeeper[] = configured.map((addresses) => {
    const keeper = createRelayKeeper(
      {
        clock,
        log,
        random,
        network: relayNetwork(libp2p, reservations),
        certificate: () => certificates.current(),
        connected: (relay) => mailboxes.connected(relay, addresses),
        registered: () => discovery.connected(keeper),
        appeared: (name) => supervisor.news(name),
        changed: () => supervisor.touch(),
      },
      addresses,
    )
    return keeper
  })
  const dialer = createDialer({
    clock,
    log,
    libp2p,
    gater,
    table,
    book,
    ownPeerId,
    webrtc: platform.webrtc,
    find: async (name) => (await Promise.all(relays.map((relay) => relay.find(name)))).flat(),
    discover: (name) => discovery.addresses(name),
  })
  const connect = (name: ServerName): Promise<ConnectResult> => dialer.connect(name)
  const upgrader = createUpgrader({
    clock,
    random,
    table,
    ownPeerId,
    upgrade: (link, address) => dialer.upgrade(link, address),
  })
  const supervisor = createSupervisor({
    clock,
    log,
    random,
    platform,
    table,
    relays,
    ownPeerId,
    connect,
    peerIds: (name) => book.get(name)?.peerIds ?? [],
    changed: (status) => emit({ kind: 'status', status }),
    appeared: (name) => emit({ kind: 'appeared', name }),
  })
  if (init.lan === true && platform.discovery !== undefined) meetNeighbours(libp2p, dialer)
  await libp2p.handle(FEDERATION_PROTOCOL, (stream, connection) => dialer.accept(stream, connection), {
    maxInboundStreams: MAX_STREAMS_PER_CONNECTION,
    maxOutboundStreams: MAX_STREAMS_PER_CONNECTION,
    runOnLimitedConnection: true,
  })

  return {
    peerId: ownPeerId,
    carrier: createCarrier({ clock, table, connect }),
    directory: {
      learn(hints) {
        book.learn(hints)
        supervisor.news(hints.name)
        return Promise.resolve()
      },
      own: () => Promise.resolve(ownAddresses()),
      async find(name) {
        const found = await discovery.find(accountKey(name))
        supervisor.news(name)
        return found?.signed as SignedAccountRecord | undefined
      },
      async findAlias(alias) {
        const found = await discovery.find(aliasKey(alias))
        return found?.signed as SignedRecord<AliasRecord> | undefined
      },
      async findListing(name) {
        const found = await discovery.find(listingKey(name))
        return found?.signed as SignedRecord<ListingRecord> | undefined
      },
      publish,
    },
    mailboxes,
    get status() {
      return supervisor.status
    },
    onRequest(next) {
      handler = next
    },
    want(names) {
      const all = [...names]
      supervisor.want(all)
      table.recheck()
      for (const name of all) {
        const link = table.best(name)
        if (link !== undefined && !toldDirect.has(link)) befriend(link)
      }
    },
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    kick: () => supervisor.kick(),
    async [Symbol.asyncDispose]() {
      supervisor[Symbol.dispose]()
      upgrader[Symbol.dispose]()
      certificates[Symbol.dispose]()
      dialer.close()
      table.closeAll('the node stops')
      await Promise.all([...relays, mailboxes].map((part) => part[Symbol.asyncDispose]()))
      await (await kad)?.[Symbol.asyncDispose]()
      await libp2p.stop()
      await book[Symbol.asyncDispose]()
      listeners.clear()
    },
  }
}

/** The addresses of each relay, in the order given. @throws Error for one that names no peer */
function byRelay(relays: readonly string[]): (readonly [string, ...string[]])[] {
  const byPeer = new Map<string, [string, ...string[]]>()
  for (const address of new Set(relays)) {
    const peerId = peerIdOf(address)
    if (peerId === undefined) throw new Error(`Not the address of a relay: ${address}`)
    const others = byPeer.get(peerId)
    if (others === undefined) byPeer.set(peerId, [address])
    else if (others.length < MAX_ADDRESSES_PER_RELAY) others.push(address)
  }
  return [...byPeer.values()].slice(0, MAX_RELAYS)
}

/** The library is loaded when something is first looked for in the DHT. */
async function startDht(libp2p: P2pLibp2p, clock: Clock, gater: Gater): Promise<Kad> {
  const { startKad } = await import('./kad.ts')
  return startKad(libp2p.services.parts.components, {
    clock,
    allows: (address, peer) => gater.allows(withPeer(address.toString(), peer.toString())),
    servers: () => libp2p.getPeers().filter((peer) => gater.isRelay(peer.toString())),
  })
}

function isListening(address: string): boolean {
  return !address.includes('/p2p-circuit') && !address.startsWith('/webrtc')
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

async function openStream(
  libp2p: P2pLibp2p,
  relay: PeerId,
  protocol: string,
  signal: AbortSignal,
): Promise<Stream> {
  const connection = libp2p.getConnections(relay).find(({ status }) => status === 'open')
  if (connection === undefined) throw new Error('the connection to the relay is gone')
  return connection.newStream(protocol, { signal })
}

function relayNetwork(libp2p: P2pLibp2p, reservations: { reserve: RelayNetwork['reserve'] }): RelayNetwork {
  return {
    async dial(address, signal) {
      const peerId = peerIdFromString(peerIdOf(address) ?? '')
      await libp2p.dial(multiaddr(address), { signal })
      await libp2p.peerStore.merge(peerId, { tags: { 'keep-alive-plexus': { value: 100 } } })
      return peerId
    },
    reserve: reservations.reserve,
    open: (relay, signal) => openStream(libp2p, relay, RELAY_PROTOCOL, signal),
    hangUp(relay) {
      // Closing politely waits for seconds for a relay that is gone.
      for (const connection of libp2p.getConnections(relay)) connection.abort(new Error('the relay is left'))
    },
  }
}

/** The DHT's client. Its library is large and most starts do without: this file is imported when something is to be found. */
import { start, stop, type PeerId, type PeerInfo, type Topology } from '@libp2p/interface'
import { kadDHT, type KadDHTComponents } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '@plexus/engine/ports'
import { createKadReach, type KadReach } from './kad-reach.ts'
import { eventsOf, networkOf, placeByChance, tableOf, type KadEvent } from './kad-parts.ts'
import {
  createDhtRules,
  decodePublished,
  DHT_PROTOCOL,
  encodeDhtKey,
  type Published,
} from './wire/published.ts'

/** Milliseconds that one message to a server may take, from dialling it on: the library adapts between these. */
const MESSAGE_TIMEOUT = { minTimeout: 1_500, maxTimeout: 4_000, initialTimeout: 3_000 } as const
/** Servers asked at once on each path, and paths that share no server. */
const SERVERS_AT_ONCE = 4
const DISJOINT_PATHS = 3
/** Milliseconds to wait for the first server, and then for the others that are connected: one alone could hide the rest. */
const FIRST_SERVER_MS = 3_000
const OTHER_SERVERS_MS = 500
/** Servers that are asked elsewhere, and connected ones that are asked who there is; peers that one of them tells. */
export const MAX_ELSEWHERE = 16
const MAX_TELLERS = 3
const MAX_TOLD = 20

/** Of a libp2p node. */
type KadComponents = Omit<KadDHTComponents, 'ping'>

export type KadInit = {
  readonly clock: Clock
  /** Addresses that may be dialled. */
  readonly allows: (address: Multiaddr, peer: PeerId) => boolean
  /** Peers that are connected and may be servers. */
  readonly servers: () => readonly PeerId[]
}

/** What a server has, and the path that led to it: what one path meets cannot lead the others astray. */
export type KadAnswer = { readonly published: Published; readonly path: number }

/** Look-ups in the DHT. What it answers is sound; that it is the newest is for the caller to doubt. */
export interface Kad extends AsyncDisposable {
  /** One answer for each server that has a record, as they come; ends when there are no more, or with the signal. */
  get(key: string, signal: AbortSignal): AsyncIterable<KadAnswer>
  /**
   * Asks servers that stand anywhere: those nearest to the key may be somebody's who keeps it from all others. Calls back for each
   * that has a record.
   */
  askElsewhere(key: string, found: (published: Published) => void, signal: AbortSignal): Promise<void>
}

export async function startKad(components: KadComponents, init: KadInit): Promise<Kad> {
  const { validators, selectors } = createDhtRules(() => init.clock.now())
  const topologies: Topology[] = []
  const reach = createKadReach(components.connectionManager, init)
  const dht = kadDHT({
    protocol: DHT_PROTOCOL,
    clientMode: true,
    validators: { ...validators },
    selectors: { ...selectors },
    alpha: SERVERS_AT_ONCE,
    disjointPaths: DISJOINT_PATHS,
    allowQueryWithZeroPeers: true,
    networkDialTimeout: MESSAGE_TIMEOUT,
    peerInfoMapper: (peer: PeerInfo) => ({
      ...peer,
      multiaddrs: peer.multiaddrs.filter((address) => init.allows(address, peer.id)),
    }),
  })(watched(components, topologies, reach))
  eventsOf(dht).addEventListener('peer', ({ detail }) => reach.hear(detail))
  await start(dht)

  /** The library hears of peers that connect from here on: those that are here are told. */
  async function ready(signal: AbortSignal): Promise<void> {
    const table = tableOf(dht)
    const servers = init.servers()
    if (table.size > 0 || servers.length === 0) return
    const added = Promise.withResolvers<void>()
    const done = (): void => added.resolve()
    const onAdd = (): void => {
      if (table.size >= servers.length) done()
      else AbortSignal.timeout(OTHER_SERVERS_MS).addEventListener('abort', done, { once: true })
    }
    table.addEventListener('peer:add', onAdd)
    const limit = AbortSignal.any([signal, AbortSignal.timeout(FIRST_SERVER_MS)])
    limit.addEventListener('abort', done, { once: true })
    for (const peer of servers) for (const topology of topologies) tell(topology, peer)
    await added.promise
    table.removeEventListener('peer:add', onAdd)
    signal.throwIfAborted()
  }

  const read = (key: string, record: { readonly value: Uint8Array } | undefined): Published | undefined =>
    record && decodePublished(key, record.value, init.clock.now())

  async function ask(peer: PeerId, message: object, signal: AbortSignal): Promise<KadEvent | undefined> {
    let answer: KadEvent | undefined
    for await (const event of networkOf(dht).sendRequest(peer, message, { signal }))
      if (event.name === 'PEER_RESPONSE') answer = event
    return answer
  }

  /** Servers at places by chance, of each teller at another one. */
  async function serversElsewhere(signal: AbortSignal): Promise<readonly PeerId[]> {
    const tellers = init.servers().slice(0, MAX_TELLERS)
    const told = await Promise.all(
      tellers.map(async (teller) => {
        const answer = await ask(teller, { type: 'FIND_NODE', key: placeByChance() }, signal)
        return (answer?.closer ?? []).slice(0, MAX_TOLD).map(({ id }) => id)
      }),
    )
    const others = new Map<string, PeerId>()
    // In turn, so that no teller has all of the places.
    for (let n = 0; n < MAX_TOLD; n += 1)
      for (const { [n]: peer } of told) if (peer !== undefined) others.set(peer.toString(), peer)
    for (const teller of tellers) others.delete(teller.toString())
    return [...others.values()].slice(0, MAX_ELSEWHERE)
  }

  return {
    async *get(key, signal) {
      await ready(signal)
      const end = reach.begin()
      try {
        for await (const event of dht.get(encodeDhtKey(key), { signal })) {
          if (event.name !== 'PEER_RESPONSE') continue
          const published = read(key, event.record)
          if (published !== undefined) yield { published, path: event.path.index }
        }
      } finally {
        end()
      }
    },
    async askElsewhere(key, found, signal) {
      const end = reach.begin()
      const message = { type: 'GET_VALUE', key: encodeDhtKey(key) }
      try {
        const servers = await serversElsewhere(signal)
        await Promise.all(
          servers.map(async (server) => {
            const published = read(key, (await ask(server, message, signal))?.record)
            if (published !== undefined) found(published)
          }),
        )
      } finally {
        end()
      }
    },
    async [Symbol.asyncDispose]() {
      reach.close()
      await stop(dht)
    },
  }
}

/** The components with an ear at what the DHT registers for, and with a reach of its own. */
function watched(
  components: KadComponents,
  topologies: Topology[],
  { openStream }: Pick<KadReach, 'openStream'>,
): KadDHTComponents {
  const { registrar } = components
  const listening = Object.create(registrar, {
    register: {
      value(protocol: string, topology: Topology) {
        topologies.push(topology)
        return registrar.register(protocol, topology)
      },
    },
  }) as typeof registrar
  const connectionManager = Object.create(components.connectionManager, {
    openStream: { value: openStream },
  }) as KadComponents['connectionManager']
  const own = { registrar: { value: listening }, connectionManager: { value: connectionManager } }
  const reaching = Object.create(components, own) as KadDHTComponents
  // It asks with it whether a server is there, and answers no pings of others.
  return Object.create(reaching, { ping: { value: ping()(reaching) } }) as KadDHTComponents
}

function tell(topology: Topology, peer: PeerId): void {
  // The DHT looks at the peer's id alone.
  void topology.onConnect?.(peer, undefined as never)
}

/** A whole node, store to libp2p, in this process: what it sends goes over real connections on loopback. */
import type { Directory, EnvelopedRequest, InboundHandler, Mailboxes } from '@plexus/engine/ports'
import { CarrierError } from '@plexus/engine/ports'
import { createSealer, watchPeers } from '@plexus/engine'
import { generateTransportKey, peerIdOfKey, type KnownPeer, type P2pNode } from '@plexus/p2p'
import { createP2pNode, nodePlatform } from '@plexus/p2p/node'
import type { MemoryDisk } from '@plexus/store/memory'
import { createMemoryDisk } from '@plexus/store/memory'
import { randomBytes } from 'node:crypto'
import { createTestNode, type Member } from './node.ts'
import { collectingLog, eventually, realClock } from './p2p.ts'

export type NetworkedInit = {
  readonly localpart: string
  /** Makes the name key. */
  readonly seed: number
  /** Multiaddrs. */
  readonly relays: readonly string[]
  /** What the node does at mailboxes beside, or in place of, what it would. */
  readonly changeMailboxes?: (mailboxes: Mailboxes, p2p: () => P2pNode) => Mailboxes
}

/** Somebody whose node comes and goes. */
export interface Networked {
  readonly member: Member
  readonly peerId: string
  readonly isAwake: boolean
  /** Ends the node. */
  sleep(): Promise<void>
  /** Starts it on the same disk, and waits for its relay. */
  wake(): Promise<void>
}

type Life = { readonly member: Member; stop(): Promise<void> }

export async function startNetworked(init: NetworkedInit): Promise<Networked> {
  const transportKey = await generateTransportKey()
  const disk = createMemoryDisk()
  const saved: KnownPeer[] = []
  let restarts = 0
  const begin = (): Promise<Life> => start(init, { transportKey, disk, saved, restarts: (restarts += 1) })
  let life: Life = await begin()
  let isAwake = true
  return {
    get member() {
      return life.member
    },
    peerId: peerIdOfKey(transportKey),
    get isAwake() {
      return isAwake
    },
    async sleep() {
      if (isAwake) await life.stop()
      isAwake = false
    },
    async wake() {
      life = await begin()
      isAwake = true
    },
  }
}

async function start(
  init: NetworkedInit,
  kept: { transportKey: Uint8Array; disk: MemoryDisk; saved: KnownPeer[]; restarts: number },
): Promise<Life> {
  let p2p: P2pNode | undefined
  let handle: InboundHandler<EnvelopedRequest> | undefined
  const up = (): P2pNode => {
    if (p2p === undefined) throw new CarrierError('unreachable', 'the network is not up')
    return p2p
  }
  const late = lateMailboxes(() => p2p)
  const node = await createTestNode({
    loopback: {
      carrier: () => ({ send: async (request, options) => up().carrier.send(request, options) }),
      connect: (_name, handler) => void (handle = handler),
    },
    clock: realClock,
    seed: init.seed,
    disk: kept.disk,
    restarts: kept.restarts,
    mail: {
      relays: { mailboxes: () => init.changeMailboxes?.(late, up) ?? late, published: new Map() },
      sealer: createSealer(),
      peerId: peerIdOfKey(kept.transportKey),
    },
    directory: lateDirectory(() => p2p),
  })
  const { engine } = node
  const account = await node.signUp(init.localpart).catch(() => undefined)
  const opened = await createP2pNode(
    {
      platform: nodePlatform({ webrtc: false }),
      clock: realClock,
      log: collectingLog(init.localpart),
      random: { bytes: (length) => new Uint8Array(randomBytes(length)) },
      memory: {
        load: () => Promise.resolve([...kept.saved]),
        async save(peers) {
          kept.saved.splice(0, kept.saved.length, ...peers)
        },
      },
      certify: (peerId) => engine.control.certify(peerId),
    },
    { transportKey: kept.transportKey, relays: init.relays, lan: true },
  )
  p2p = opened
  opened.onRequest(async (request) => {
    if (handle === undefined) throw new CarrierError('unreachable', 'the node ended')
    return handle(request)
  })
  opened.watch((event) => {
    if (event.kind === 'appeared') engine.control.peerAppeared(event.name)
    else if (event.kind === 'mail') engine.mail?.arrived(event.relay)
  })
  await eventually(() => opened.status.relays.every(({ state }) => state === 'connected'), 'at the relays')
  const stopWatching = watchPeers(engine, (names) => opened.want(names))
  return {
    member: { node, user: node.userId(init.localpart), deviceId: account?.deviceId ?? '' },
    async stop() {
      stopWatching()
      await opened[Symbol.asyncDispose]()
      await node.close()
    },
  }
}

function lateMailboxes(network: () => P2pNode | undefined): Mailboxes {
  const up = (): Mailboxes => {
    const p2p = network()
    if (p2p === undefined) throw new CarrierError('unreachable', 'the network is not up')
    return p2p.mailboxes
  }
  return {
    relays: async () => (await network()?.mailboxes.relays()) ?? [],
    register: async (relay, registration) => up().register(relay, registration),
    fetch: async (relay, cursor, end) => up().fetch(relay, cursor, end),
    acknowledge: async (relay, cursor) => up().acknowledge(relay, cursor),
    deposit: async (mailbox, mail, accessKey) => up().deposit(mailbox, mail, accessKey),
    stock: async (relay, shelf, keys) => up().stock(relay, shelf, keys),
    ask: async (mailbox, name, question) => up().ask(mailbox, name, question),
  }
}

function lateDirectory(network: () => P2pNode | undefined): Directory {
  return {
    learn: async (addresses) => network()?.directory.learn(addresses),
    own: async () => (await network()?.directory.own()) ?? [],
    find: async (name) => network()?.directory.find(name),
    findAlias: async (alias) => network()?.directory.findAlias(alias),
    findListing: async (name) => network()?.directory.findListing(name),
    publish: async (record) => network()?.directory.publish(record),
  }
}

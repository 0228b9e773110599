/** The page's libp2p node, and what of it the worker and the user interface need. */
import type { ServerName } from '@plexus/core'
import type { P2pNode, NetworkStatus } from '@plexus/p2p'
import { generateTransportKey } from '@plexus/p2p'
import { browserPlatform, createP2pNode } from '@plexus/p2p/browser'
import { signal, type ReadonlySignal } from '@preact/signals'
import type { NodeApi } from '../bridge/api.ts'
import type { Bridge } from '../bridge/bridge.ts'
import { clock, log, random } from '../shared/platform.ts'
import { isLocalHost, type AppConfig } from './config.ts'

const PEERS_NOTE = 'peers'

export interface Network extends AsyncDisposable {
  readonly p2p: P2pNode
  readonly status: ReadonlySignal<NetworkStatus>
  readonly wanted: ReadonlySignal<readonly ServerName[]>
  /** Sets the servers that share a room with us. */
  setWanted(names: readonly ServerName[]): void
  /** Keeps a server connected besides, until the page ends: somebody whose link was accepted. */
  alsoWant(name: ServerName): void
}

export async function startNetwork(node: Bridge<NodeApi>, config: AppConfig): Promise<Network> {
  const transportKey = await node.call('transportKey', await generateTransportKey())
  const p2p = await createP2pNode(
    {
      platform: browserPlatform({ iceServers: config.iceServers }),
      clock,
      log,
      random,
      memory: {
        load: async () => parsePeers(await node.call('recall', PEERS_NOTE)),
        save: (peers) => node.call('remember', { name: PEERS_NOTE, text: JSON.stringify(peers) }),
      },
      certify: (peerId) => node.call('certify', peerId),
    },
    { transportKey, relays: config.relays, lan: isLocalHost(location.hostname) },
  )
  const status = signal(p2p.status)
  const wanted = signal<readonly ServerName[]>([])
  const extra = new Set<ServerName>()
  p2p.onRequest((request) => node.call('inbound', request))
  const unwatch = p2p.watch((event) => {
    if (event.kind === 'status') status.value = event.status
    else if (event.kind === 'appeared')
      node.call('peerAppeared', event.name).catch(() => log.log('debug', 'the node was not told of a peer'))
    else if (event.kind === 'mail')
      node.call('mailArrived', event.relay).catch(() => log.log('debug', 'the node was not told of mail'))
  })
  const apply = (): void => p2p.want(new Set([...wanted.value, ...extra]))
  return {
    p2p,
    status,
    wanted,
    setWanted(names) {
      wanted.value = names
      apply()
    },
    alsoWant(name) {
      extra.add(name)
      apply()
    },
    async [Symbol.asyncDispose]() {
      unwatch()
      await p2p[Symbol.asyncDispose]()
    },
  }
}

/** What this page kept itself; anything damaged is dropped. */
function parsePeers(text: string | undefined): readonly unknown[] {
  if (text === undefined) return []
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : []
  } catch (error) {
    if (error instanceof SyntaxError) return []
    throw error
  }
}

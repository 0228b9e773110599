import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { ServerName } from '@plexus/core'
import type { Clock, Log } from '@plexus/engine/ports'
import { isDirectAddress, peerIdOf, relayOf, webrtcAddress } from './addresses.ts'
import { errorText } from './error-text.ts'
import type { Gater } from './gater.ts'
import type { LinkTable } from './link-table.ts'
import type { Link } from './link.ts'
import type { PeerBook } from './peer-book.ts'
import { DIAL_TIMEOUT_MS, type P2pLibp2p } from './start-libp2p.ts'
import { FEDERATION_PROTOCOL } from './wire/federation.ts'

/** Federation streams on one connection, each way. */
export const MAX_STREAMS_PER_CONNECTION = 4
/** Attempts under way at once; further ones wait for their turn. */
export const MAX_PARALLEL_ATTEMPTS = 16
/** Addresses tried in one attempt to reach a peer. */
export const MAX_DIALLED_ADDRESSES = 12

/** `unknown`: there is no address to try. */
export type ConnectResult = 'ready' | 'failed' | 'unknown'

export type DialerDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly libp2p: P2pLibp2p
  readonly gater: Gater
  readonly table: LinkTable
  readonly book: PeerBook
  readonly ownPeerId: string
  /** WebRTC connections can be arranged through relays. */
  readonly webrtc: boolean
  /** Relayed addresses of a name's devices at the relays. */
  find(name: ServerName): Promise<readonly string[]>
  /** Addresses by the records that the name publishes, the likeliest first: it takes seconds, and is asked last. */
  discover(name: ServerName): AsyncIterable<readonly string[]>
}

/** Finds addresses, dials them and opens federation streams. */
export interface Dialer {
  /** Attempts under way for one name are shared. Never rejects. */
  connect(name: ServerName): Promise<ConnectResult>
  /** Learns who is at the addresses of one peer. Never rejects. */
  meet(addresses: readonly string[]): Promise<void>
  /** Tries to replace a relayed stream by a direct one. True when the peer has a direct stream. Never rejects. */
  upgrade(link: Link, address: string): Promise<boolean>
  /** Takes over a stream that the other side opened. */
  accept(stream: Parameters<LinkTable['add']>[0], connection: Connection): void
  close(): void
}

export function createDialer(deps: DialerDeps): Dialer {
  const { libp2p, table, book, gater, log } = deps
  const stop = new AbortController()
  const attempts = new Map<ServerName, Promise<ConnectResult>>()
  const opening = new Map<string, Promise<Link | undefined>>()

  let busy = 0
  const turns: (() => void)[] = []

  async function inTurn<T>(run: () => Promise<T>): Promise<T> {
    if (busy >= MAX_PARALLEL_ATTEMPTS) await new Promise<void>((resolve) => turns.push(resolve))
    else busy += 1
    try {
      return await run()
    } finally {
      // The place goes on to who waits.
      const next = turns.shift()
      if (next === undefined) busy -= 1
      else next()
    }
  }

  const limit = (ms: number): AbortSignal => AbortSignal.any([stop.signal, AbortSignal.timeout(ms)])

  function take(stream: Parameters<LinkTable['add']>[0], connection: Connection, opener: 'local' | 'remote') {
    const facts = {
      id: connection.id,
      peerId: connection.remotePeer.toString(),
      direct: connection.limits === undefined && connection.direct,
      address: connection.remoteAddr.toString(),
      close: () => {
        connection.close().catch((error: unknown) => {
          connection.abort(error instanceof Error ? error : new Error(errorText(error)))
        })
      },
    }
    return table.add(stream, facts, opener)
  }

  async function openStream(connection: Connection): Promise<Link | undefined> {
    const signal = limit(DIAL_TIMEOUT_MS)
    const stream = await connection.newStream(FEDERATION_PROTOCOL, {
      signal,
      runOnLimitedConnection: true,
      maxOutboundStreams: MAX_STREAMS_PER_CONNECTION,
    })
    return take(stream, connection, 'local')
  }

  /** The ready stream over a connection; `undefined` when the other side does not certify itself. */
  async function openLink(connection: Connection): Promise<Link | undefined> {
    let open = opening.get(connection.id)
    if (open === undefined) {
      const existing = table.over(connection.id)
      open = existing === undefined ? openStream(connection) : Promise.resolve(existing)
      opening.set(connection.id, open)
      open.finally(() => opening.delete(connection.id)).catch(() => undefined)
    }
    const link = await open
    if (link === undefined) return undefined
    await table.until(() => link.state !== 'greeting', limit(DIAL_TIMEOUT_MS))
    return link.name === undefined ? undefined : link
  }

  function dial(addresses: readonly string[]): Promise<Connection> {
    const targets = addresses.slice(0, MAX_DIALLED_ADDRESSES).map((address) => multiaddr(address))
    return libp2p.dial(targets, { signal: limit(DIAL_TIMEOUT_MS) })
  }

  /** True when `peerId` could be reached and speaks for `name`. */
  async function reach(name: ServerName, peerId: string, addresses: readonly string[]): Promise<boolean> {
    try {
      const link = await openLink(await dial(addresses))
      if (link !== undefined && link.name !== name) book.mistaken(name, peerId)
    } catch (error) {
      log.log('debug', 'peer not reached', { peer: peerId, error: errorText(error) })
    }
    return table.best(name) !== undefined
  }

  async function attempt(name: ServerName): Promise<ConnectResult> {
    // Nobody speaks for a name that was given up, or left for another one.
    if (book.get(name)?.record?.record.tombstone !== undefined) return 'unknown'
    const found = await deps.find(name)
    const known = book.get(name)
    const remembered = [...(known?.multiaddrs ?? []), ...(known?.hints ?? [])]
    const tried = [...found, ...remembered.filter(isElsewhere)]
    if (await reachAny(name, found, tried)) return 'ready'
    for await (const addresses of deps.discover(name)) {
      const fresh = addresses.filter((address) => gater.allows(address) && !tried.includes(address))
      const elsewhere = fresh.filter(isElsewhere)
      if (await reachAny(name, elsewhere, elsewhere)) return 'ready'
      tried.push(...fresh)
    }
    const isKnown = tried.some((address) => peerIdOf(address) !== deps.ownPeerId)
    return isKnown ? 'failed' : 'unknown'
  }

  /**
   * May be dialled, and is not at a relay of this node: what that says of its own peers is better than what is remembered or
   * published of them, and who calls for somebody away there tells it whom the mail is from that is left next.
   */
  function isElsewhere(address: string): boolean {
    const relay = relayOf(address)
    return gater.allows(address) && (relay === undefined || !gater.isRelay(peerIdOf(relay) ?? ''))
  }

  /** True when a peer at one of the addresses speaks for `name`. Of each peer's, those that are `best` come first. */
  async function reachAny(
    name: ServerName,
    best: readonly string[],
    addresses: readonly string[],
  ): Promise<boolean> {
    const byPeer = new Map<string, string[]>()
    for (const address of addresses) {
      const peerId = peerIdOf(address)
      if (peerId === undefined || peerId === deps.ownPeerId) continue
      byPeer.set(peerId, [...(byPeer.get(peerId) ?? []), address])
    }
    for (const [peerId, all] of byPeer) {
      if (table.best(name) !== undefined || stop.signal.aborted) break
      const here = all.filter((address) => best.includes(address))
      if (here.length > 0 && (await reach(name, peerId, here))) return true
      const rest = all.filter((address) => !here.includes(address))
      if (rest.length > 0 && (await reach(name, peerId, rest))) return true
    }
    return table.best(name) !== undefined
  }

  /** Addresses that lead to a direct connection with the peer of a relayed one. */
  function directAddresses(link: Link, address: string): string[] {
    const told = link.name === undefined ? [] : (book.get(link.name)?.multiaddrs ?? [])
    const direct = told.filter((other) => peerIdOf(other) === link.peerId && isDirectAddress(other))
    const relay = relayOf(address)
    const arranged = deps.webrtc && relay !== undefined ? [webrtcAddress(relay, link.peerId)] : []
    return [...direct, ...arranged].filter((other) => gater.allows(other))
  }

  return {
    async connect(name) {
      if (table.best(name) !== undefined) return 'ready'
      let running = attempts.get(name)
      if (running === undefined) {
        running = inTurn(() => attempt(name))
          .catch((error: unknown): ConnectResult => {
            log.log('warn', 'connecting failed', { error: errorText(error) })
            return 'failed'
          })
          .finally(() => attempts.delete(name))
        attempts.set(name, running)
      }
      return running
    },
    meet: (addresses) =>
      inTurn(async () => {
        const allowed = addresses.filter((address) => gater.allows(address))
        if (allowed.length > 0) await openLink(await dial(allowed))
      }).catch((error: unknown) => {
        log.log('debug', 'a neighbour was not met', { error: errorText(error) })
      }),
    async upgrade(link, address) {
      const hasDirect = (): boolean => table.bestOf(link.peerId)?.direct === true
      const addresses = directAddresses(link, address)
      if (addresses.length === 0) return hasDirect()
      // A WebRTC dial may fail for reasons of the moment: one retry.
      for (let tries = 0; tries < 2 && !hasDirect() && link.state === 'ready'; tries += 1) {
        try {
          await openLink(await dial(addresses))
        } catch (error) {
          log.log('debug', 'no direct connection', { peer: link.peerId, error: errorText(error) })
        }
      }
      return hasDirect()
    },
    accept(stream, connection) {
      take(stream, connection, 'remote')
    },
    close() {
      stop.abort()
    },
  }
}

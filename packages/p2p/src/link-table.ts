import type { ServerName } from '@plexus/core'
import type { Clock, EnvelopedRequest, InboundHandler, Log } from '@plexus/engine/ports'
import { createLink, type Link } from './link.ts'
import type { ByteStream } from './wire/channel.ts'
import type { Hello } from './wire/hello.ts'

/** Streams of one peer that may wait for their certificate at once; more are refused. */
export const MAX_LINKS_PER_PEER = 6
/** Streams that peers opened which nobody here wanted; the longest idle one makes room for another. */
export const MAX_STRANGER_LINKS = 128
/** Streams of peers that are wanted, but not kept connected; the longest idle one makes room for another. */
export const MAX_SPARE_LINKS = 64
/** Streams of all peers. */
const MAX_LINKS = 600

/** The connection under a link, as far as the table cares. */
export interface LinkConnection {
  readonly id: string
  readonly peerId: string
  readonly direct: boolean
  /** The other side's address; over a relay, the relay's with `/p2p-circuit`. */
  readonly address: string
  close(): void
}

export type PeerInfo = {
  readonly name: ServerName
  readonly peerId: string
  readonly path: 'direct' | 'relayed'
  readonly rttMs: number | undefined
  /** Milliseconds since the epoch. */
  readonly since: number
  /** Federation streams; more than one only while both sides settle on one. */
  readonly streams: number
}

export type LinkTableDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly ownPeerId: string
  hello(serial: number, name: ServerName | undefined): Promise<Hello>
  readonly handle: InboundHandler<EnvelopedRequest>
  /** A name that matters here: strangers must not take its place. */
  wanted(name: ServerName): boolean
  /** One of those that is kept connected. */
  kept(name: ServerName): boolean
  /** A peer's certificate was checked on some stream of its. */
  greeted(link: Link, hello: Hello, connection: LinkConnection): void
  /** A peer can be reached that could not. */
  appeared(name: ServerName): void
  /** Something of `peers()` changed. */
  changed(): void
}

/**
 * All federation streams. Invariant: of several ready streams to one peer id both sides keep the same one (direct
 * before relayed, then the one that the lower peer id opened, then the newest) and retire the others, so that
 * dialling at once or upgrading to a direct connection settles on one stream without losing a request.
 */
export interface LinkTable {
  /** Takes a stream over; `undefined` when there are too many. */
  add(stream: ByteStream, connection: LinkConnection, opener: 'local' | 'remote'): Link | undefined
  /** The stream for requests to this name. */
  best(name: ServerName): Link | undefined
  /** A stream over this connection that is not at its end. */
  over(connectionId: string): Link | undefined
  bestOf(peerId: string): Link | undefined
  peers(): readonly PeerInfo[]
  /** Finds out soon which connections are dead. */
  probe(): void
  /** What `until` waits for may hold by something else than a stream. */
  recheck(): void
  /** Tells the renewed certificate to all peers. */
  renew(): void
  /** Resolves when `check` holds; it is asked on every change. @throws the signal's reason */
  until(check: () => boolean, signal: AbortSignal): Promise<void>
  closeAll(reason: string): void
}

export function createLinkTable(deps: LinkTableDeps): LinkTable {
  const links = new Map<Link, LinkConnection>()
  /** Links that were ready before: a renewed certificate is no news of the peer. */
  const met = new WeakSet<Link>()
  const watchers = new Set<() => void>()
  let serial = 0

  const ready = (): Link[] => [...links.keys()].filter((link) => link.state === 'ready')
  const top = (candidates: Link[]): Link | undefined =>
    candidates.sort((a, b) => preference(deps.ownPeerId, a, b))[0]
  const best = (name: ServerName): Link | undefined => top(ready().filter((link) => link.name === name))
  const bestOf = (peerId: string): Link | undefined => top(ready().filter((link) => link.peerId === peerId))

  function notify(): void {
    for (const watcher of watchers) watcher()
    deps.changed()
  }

  function until(check: () => boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const end = (): void => {
        watchers.delete(watcher)
        signal.removeEventListener('abort', onAbort)
      }
      const watcher = (): void => {
        if (!check()) return
        end()
        resolve()
      }
      const onAbort = (): void => {
        end()
        reject(signal.reason)
      }
      watchers.add(watcher)
      signal.addEventListener('abort', onAbort, { once: true })
      watcher()
    })
  }

  function onReady(link: Link, hello: Hello): void {
    const { name } = hello.certificate
    const others = ready().filter((other) => other !== link && other.name === name)
    for (const other of others) {
      if (other.peerId === link.peerId && other.session !== link.session)
        other.close('the other side restarted')
    }
    const keep = bestOf(link.peerId)
    for (const other of ready()) {
      if (other.peerId === link.peerId && other !== keep) other.retire()
    }
    const connection = links.get(link)
    if (connection !== undefined) deps.greeted(link, hello, connection)
    notify()
    if (others.length === 0 && !met.has(link)) deps.appeared(name)
    met.add(link)
  }

  function onClosed(link: Link, reason: string): void {
    links.delete(link)
    deps.log.log('debug', 'federation stream closed', { peer: link.peerId, direct: link.direct, reason })
    notify()
  }

  /** A socket that is closed while the other side still reads may take its last answers away: only then, not before. */
  function onEnded(connection: LinkConnection): void {
    if (![...links.values()].some(({ id }) => id === connection.id)) connection.close()
  }

  /** Keeps strangers, whose names cost nothing, from taking all the places. */
  function makeRoomAmongStrangers(): void {
    const strangers = [...links.keys()].filter(
      ({ opener, name }) => opener === 'remote' && (name === undefined || !deps.wanted(name)),
    )
    if (strangers.length < MAX_STRANGER_LINKS) return
    // Links stand in the order in which they came.
    const idle = strangers.find(({ active }) => active === 0) ?? strangers[0]
    idle?.close('made room for another peer')
  }

  /** Keeps those who were reached for one message from staying connected for ever. */
  function makeRoomAmongSpare(): void {
    const spare = [...links.keys()].filter(
      ({ name }) => name !== undefined && deps.wanted(name) && !deps.kept(name),
    )
    if (spare.length < MAX_SPARE_LINKS) return
    spare.find(({ active }) => active === 0)?.close('made room for another peer')
  }

  return {
    add(stream, connection, opener) {
      const ofPeer = [...links.keys()].filter((link) => link.peerId === connection.peerId)
      if (opener === 'remote') makeRoomAmongStrangers()
      makeRoomAmongSpare()
      if (links.size >= MAX_LINKS || ofPeer.length >= MAX_LINKS_PER_PEER) {
        stream.abort(new Error('too many federation streams'))
        return undefined
      }
      if (opener === 'local') serial += 1
      const { peerId, direct } = connection
      const link = createLink(
        {
          clock: deps.clock,
          log: deps.log,
          hello: (count, name) => deps.hello(count, name),
          handle: (request) => deps.handle(request),
          ready: onReady,
          changed: () => deps.changed(),
          closed: onClosed,
          ended: () => onEnded(connection),
        },
        { stream, peerId, direct, opener, serial: opener === 'local' ? serial : 0 },
      )
      links.set(link, connection)
      return link
    },
    best,
    bestOf,
    over: (connectionId) =>
      [...links].find(
        ([link, { id }]) => id === connectionId && (link.state === 'greeting' || link.state === 'ready'),
      )?.[0],
    peers() {
      const byPeer = new Map<string, Link[]>()
      for (const link of links.keys()) {
        if (link.name !== undefined) byPeer.set(link.peerId, [...(byPeer.get(link.peerId) ?? []), link])
      }
      const infos: PeerInfo[] = []
      for (const [peerId, open] of byPeer) {
        const link = top(open.filter(({ state }) => state === 'ready'))
        if (link?.name === undefined) continue
        const { name, direct, rttMs, since } = link
        infos.push({ name, peerId, path: direct ? 'direct' : 'relayed', rttMs, since, streams: open.length })
      }
      return infos.sort((a, b) => (a.peerId < b.peerId ? -1 : 1))
    },
    recheck() {
      for (const watcher of watchers) watcher()
    },
    probe() {
      for (const link of ready()) link.probe()
    },
    renew() {
      for (const link of ready()) link.renew()
    },
    until,
    closeAll(reason) {
      for (const link of links.keys()) link.close(reason)
    },
  }
}

/** Negative when `a` is to be kept rather than `b`; both sides of the two streams come to the same answer. */
function preference(ownPeerId: string, a: Link, b: Link): number {
  if (a.direct !== b.direct) return a.direct ? -1 : 1
  const opener = (link: Link): string => (link.opener === 'local' ? ownPeerId : link.peerId)
  if (opener(a) !== opener(b)) return opener(a) < opener(b) ? -1 : 1
  return b.serial - a.serial
}

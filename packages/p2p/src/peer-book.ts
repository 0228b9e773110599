import { isJsonObject, parseServerName, type JsonObject, type JsonValue, type ServerName } from '@plexus/core'
import { accountRecords, type SignedAccountRecord } from '@plexus/core/names'
import type { Clock, Log, ServerAddresses } from '@plexus/engine/ports'
import { peerIdOf } from './addresses.ts'
import { MAX_ADDRESS_LENGTH, MAX_DEVICES_PER_NAME, MAX_HELLO_ADDRESSES } from './wire/limits.ts'

/** Names remembered; the one not seen for longest goes first, and those that are wanted last. */
export const MAX_KNOWN_NAMES = 2_000
/** Milliseconds that changes are collected before they are saved. */
const SAVE_DELAY_MS = 1_000

/** What is remembered of a server between starts. */
export type KnownPeer = {
  readonly name: ServerName
  /** Peer ids that a certificate bound to the name, last seen first. */
  readonly peerIds: readonly string[]
  /** Addresses that the peer itself told. */
  readonly multiaddrs: readonly string[]
  /** Addresses from links: claims of others. */
  readonly hints: readonly string[]
  /** Milliseconds since the epoch; 0 when never met. */
  readonly lastSeen: number
  /** The newest account record that was ever seen: an older one is not believed again. */
  readonly record?: SignedAccountRecord
}

/** Where known peers are kept between starts. */
export interface PeerMemory {
  /** What was saved last, unchecked; empty at first. */
  load(): Promise<readonly unknown[]>
  /** Replaces what is kept. */
  save(peers: readonly KnownPeer[]): Promise<void>
}

/** Names to peer ids and addresses, bounded; saved a moment after each change. */
export interface PeerBook extends AsyncDisposable {
  get(name: ServerName): KnownPeer | undefined
  /** Addresses from a link. Those that are no multiaddrs of a peer are dropped. */
  learn(addresses: ServerAddresses): void
  /** A certificate bound the peer id to the name. */
  met(name: ServerName, peerId: string, multiaddrs: readonly string[]): void
  /** A sound account record was found; one that is not newer than the known one changes nothing. */
  found(signed: SignedAccountRecord): void
  /** The peer id turned out to speak for another name. */
  mistaken(name: ServerName, peerId: string): void
}

export type PeerBookDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly memory: PeerMemory
  /** Names that strangers must not push out. */
  wanted(name: ServerName): boolean
}

export async function createPeerBook(deps: PeerBookDeps): Promise<PeerBook> {
  const { clock, log, memory } = deps
  /** In the order of last use, so that the first is the one to forget. */
  const known = new Map<ServerName, KnownPeer>()
  for (const peer of (await memory.load()).slice(0, MAX_KNOWN_NAMES)) {
    const sound = soundPeer(peer)
    if (sound !== undefined) put(sound)
  }
  let cancelSave: (() => void) | undefined
  let saving: Promise<void> = Promise.resolve()

  function put(peer: KnownPeer): void {
    known.delete(peer.name)
    known.set(peer.name, peer)
    if (known.size <= MAX_KNOWN_NAMES) return
    const names = [...known.keys()]
    known.delete(names.find((name) => name !== peer.name && !deps.wanted(name)) ?? names[0] ?? peer.name)
  }

  function save(): void {
    cancelSave = undefined
    const peers = [...known.values()]
    saving = saving
      .then(() => memory.save(peers))
      .catch((error: unknown) => log.log('warn', 'known peers were not saved', { error: String(error) }))
  }

  function change(peer: KnownPeer): void {
    put(peer)
    cancelSave ??= clock.after(SAVE_DELAY_MS, save)
  }

  const find = (name: ServerName): KnownPeer =>
    known.get(name) ?? { name, peerIds: [], multiaddrs: [], hints: [], lastSeen: 0 }

  return {
    get: (name) => known.get(name),
    learn({ name, multiaddrs }) {
      const peer = find(name)
      const fresh = soundAddresses(multiaddrs)
      const hints = [...new Set([...fresh, ...peer.hints])].slice(0, MAX_HELLO_ADDRESSES)
      if (fresh.length > 0) change({ ...peer, hints })
    },
    met(name, peerId, multiaddrs) {
      const peer = find(name)
      const peerIds = [...new Set([peerId, ...peer.peerIds])].slice(0, MAX_DEVICES_PER_NAME)
      const told = soundAddresses(multiaddrs).filter((address) => peerIdOf(address) === peerId)
      const others = peer.multiaddrs.filter((address) => told.length === 0 || peerIdOf(address) !== peerId)
      const kept = [...told, ...others].slice(0, MAX_DEVICES_PER_NAME * MAX_HELLO_ADDRESSES)
      change({ ...peer, peerIds, multiaddrs: kept, lastSeen: clock.now() })
    },
    found(signed) {
      const peer = find(signed.record.name)
      const isNews = peer.record === undefined || accountRecords.isNewer(signed.record, peer.record.record)
      if (isNews) change({ ...peer, record: signed })
    },
    mistaken(name, peerId) {
      const peer = known.get(name)
      if (peer === undefined) return
      const others = (addresses: readonly string[]): string[] =>
        addresses.filter((address) => peerIdOf(address) !== peerId)
      const peerIds = peer.peerIds.filter((other) => other !== peerId)
      change({ ...peer, peerIds, multiaddrs: others(peer.multiaddrs), hints: others(peer.hints) })
    },
    async [Symbol.asyncDispose]() {
      if (cancelSave !== undefined) {
        cancelSave()
        save()
      }
      await saving
    },
  }
}

function soundAddresses(addresses: readonly string[]): string[] {
  return addresses
    .filter((address) => address.length <= MAX_ADDRESS_LENGTH && peerIdOf(address) !== undefined)
    .slice(0, MAX_HELLO_ADDRESSES)
}

/** A stored record is checked like any other input. */
function soundPeer(stored: unknown): KnownPeer | undefined {
  if (!isJsonObject(stored as JsonValue)) return undefined
  const peer = stored as JsonObject
  const { lastSeen } = peer
  const name = typeof peer['name'] === 'string' ? parseServerName(peer['name']) : undefined
  if (name === undefined || typeof lastSeen !== 'number' || !Number.isFinite(lastSeen)) return undefined
  const { peerIds, multiaddrs, hints } = peer
  if (![peerIds, multiaddrs, hints].every((list) => Array.isArray(list))) return undefined
  const record = accountRecords.parse(peer['record'] ?? null)
  return {
    name,
    peerIds: texts(peerIds).slice(0, MAX_DEVICES_PER_NAME),
    multiaddrs: texts(multiaddrs)
      .filter((address) => peerIdOf(address) !== undefined)
      .slice(0, MAX_DEVICES_PER_NAME * MAX_HELLO_ADDRESSES),
    hints: soundAddresses(texts(hints)),
    lastSeen,
    ...(record?.record.name === name ? { record } : {}),
  }
}

function texts(list: JsonValue | undefined): string[] {
  return Array.isArray(list) ? (list as readonly JsonValue[]).filter((text) => typeof text === 'string') : []
}

/** Parts of the DHT's library that its types leave out. A library that is not as it was is found by the first test that runs. */
import type { PeerId, PeerInfo } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'

/** How the library sends one message to one server. */
export type KadNetwork = {
  sendRequest(to: PeerId, message: object, options: { readonly signal: AbortSignal }): AsyncIterable<KadEvent>
}

/** `PEER_RESPONSE` for an answer. One that is away answers with an event that says so. */
export type KadEvent = {
  readonly name: string
  readonly closer?: readonly PeerInfo[]
  readonly record?: { readonly value: Uint8Array }
}

/** The servers that are known. */
export type KadTable = EventTarget & {
  readonly size: number
  /** Those nearest to a place of 32 bytes. */
  closestPeers(place: Uint8Array, options: { readonly count: number }): readonly PeerId[]
}

/** Tells where servers say that peers are. */
export type KadEvents = {
  addEventListener(name: 'peer', heard: (event: CustomEvent<PeerInfo>) => void): void
}

/** @throws TypeError when the library is not as it was */
export function networkOf(dht: KadDHT): KadNetwork {
  if ('network' in dht && has(dht.network, 'sendRequest')) return dht.network as KadNetwork
  throw new TypeError('The DHT has no network')
}

/** @throws TypeError when the library is not as it was */
export function tableOf(dht: KadDHT): KadTable {
  if ('routingTable' in dht && has(dht.routingTable, 'closestPeers') && has(dht.routingTable, 'size'))
    return dht.routingTable as KadTable
  throw new TypeError('The DHT has no routing table')
}

/** @throws TypeError when the library is not as it was */
export function eventsOf(dht: KadDHT): KadEvents {
  if (dht instanceof EventTarget) return dht as EventTarget & KadEvents
  throw new TypeError('The DHT has no events')
}

/** A place of the DHT by chance, as those of keys and servers are: a SHA-256. */
export function placeByChance(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(32))
}

function has(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && name in value
}

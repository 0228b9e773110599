import type { PeerId } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { Libp2pRecord } from '@libp2p/record'
import { networkOf, placeByChance, tableOf } from '@plexus/p2p/kad-parts'
import { encodeDhtKey, encodePublished, type Published } from '@plexus/p2p/wire'
import {
  ENOUGH_NETWORKS,
  MAX_NAMED_PUTS,
  MAX_PARALLEL_SPREADS,
  MAX_SPREAD_PUTS,
  SPREAD_MS,
} from './limits.ts'
import { sourceOf } from './mail/sources.ts'

export type PutInit = {
  readonly published: Published
  /** Servers that the operator named. */
  readonly named: readonly PeerId[]
  /** Where a connected server is, as a multiaddr. */
  readonly addressOf: (peer: PeerId) => string | undefined
}

/**
 * Puts the record to the servers nearest to its key, which anybody can choose to be and keep it from, to `named` ones, which nobody
 * can, and to others by chance, until they are of enough networks. Something for each that took it.
 */
export async function* putRecord(
  dht: KadDHT,
  { published, named, addressOf }: PutInit,
  signal: AbortSignal,
): AsyncIterable<unknown> {
  const [key, value] = [encodeDhtKey(published.key), encodePublished(published)]
  const message = { type: 'PUT_VALUE', key, record: new Libp2pRecord(key, value, new Date()).serialize() }
  const taken = new Set<string>()
  const networks = new Set<string>()
  const put = async (peer: PeerId, during: AbortSignal): Promise<void> => {
    for await (const { name } of networkOf(dht).sendRequest(peer, message, { signal: during })) {
      if (name !== 'PEER_RESPONSE') continue
      taken.add(peer.toString())
      networks.add(networkOfAddress(addressOf(peer) ?? ''))
    }
  }
  /** One after the other, as several do at once. */
  const work = async (peers: Iterator<PeerId>, isEnough: () => boolean): Promise<void> => {
    const during = AbortSignal.any([signal, AbortSignal.timeout(SPREAD_MS)])
    while (!isEnough() && !during.aborted) {
      const { value: peer, done } = peers.next()
      if (done === true) return
      await put(peer, during)
    }
  }
  const putAll = async (peers: readonly PeerId[], isEnough: () => boolean = () => false): Promise<void> => {
    const rest = peers.values()
    await Promise.all(Array.from({ length: MAX_PARALLEL_SPREADS }, () => work(rest, isEnough)))
  }
  await putAll(named.slice(0, MAX_NAMED_PUTS))
  const others = tableOf(dht).closestPeers(placeByChance(), { count: MAX_SPREAD_PUTS })
  await putAll(
    others.filter((peer) => !taken.has(peer.toString())),
    () => networks.size >= ENOUGH_NETWORKS,
  )
  yield* taken
  for await (const event of dht.put(key, value, { signal })) {
    if (event.name !== 'PEER_RESPONSE' || event.messageName !== 'PUT_VALUE') continue
    if (!taken.has(event.from.toString())) yield event
  }
}

/** What costs somebody more than a name: of IPv4 the first three numbers, of IPv6 /48, of a host name the last two labels. */
export function networkOfAddress(address: string): string {
  const host = sourceOf(address)
  if (host.includes(':')) return host.split(':').slice(0, 3).join(':')
  return /^[\d.]+$/.test(host) ? host.split('.').slice(0, 3).join('.') : host.split('.').slice(-2).join('.')
}

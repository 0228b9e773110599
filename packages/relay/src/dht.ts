import { AsyncLocalStorage } from 'node:async_hooks'
import { NotFoundError, type PeerInfo } from '@libp2p/interface'
import { kadDHT, type KadDHT, type KadDHTComponents } from '@libp2p/kad-dht'
import { Libp2pRecord } from '@libp2p/record'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '@plexus/engine/ports'
import {
  createDhtRules,
  decodeDhtKey,
  decodePublished,
  DHT_PROTOCOL,
  encodePublished,
} from '@plexus/p2p/wire'
import { base32nopad } from '@scure/base'
import { BaseDatastore } from 'datastore-core'
import type { Key } from 'interface-datastore'
import type { Libp2pOptions } from 'libp2p'
import * as limits from './limits.ts'
import { sourceOf, tagOf } from './mail/sources.ts'
import type { Records } from './records.ts'

type Registrar = KadDHTComponents['registrar']
type Components = Parameters<NonNullable<Libp2pOptions['transports']>[number]>[0]

/** Where the library looks for records, the key in base32 behind it. */
const RECORD_PREFIX = '/dht/record/'
/** Milliseconds that one message to another server may take: first, the library adapts. */
const MESSAGE_TIMEOUT = { minTimeout: 2_000, maxTimeout: 5_000, initialTimeout: 5_000 } as const

/**
 * What the library's handlers of GET_VALUE and PUT_VALUE read and write. The handler of PUT_VALUE asks whether a record
 * is sound, and never whether a newer one is here (libp2p/js-libp2p#3377): that is decided here. Provider records, which
 * nobody here needs, are refused.
 */
class RecordDatastore extends BaseDatastore {
  readonly #records: Records
  readonly #clock: Clock
  readonly #asker: AsyncLocalStorage<string>

  /** @param asker whose request is being answered, by the tag of its address; nobody's is this relay's own */
  constructor(records: Records, clock: Clock, asker: AsyncLocalStorage<string>) {
    super()
    this.#records = records
    this.#clock = clock
    this.#asker = asker
  }

  /** @throws for what is no record, and for one that is not newer than the one that is here */
  override put(key: Key, bytes: Uint8Array): Key {
    const { key: dhtKey, value } = Libp2pRecord.deserialize(bytes)
    const text = decodeDhtKey(dhtKey)
    const published = text === undefined ? undefined : decodePublished(text, value, this.#clock.now())
    if (published === undefined || recordKey(dhtKey) !== key.toString())
      throw new Error('not a published record')
    const result = this.#records.put(published, { by: 'dht', source: this.#asker.getStore() ?? '' })
    if (result !== 'kept' && result !== 'known') throw new Error(`record refused: ${result}`)
    return key
  }

  /** As if it came just now: the library's own time limit is shorter than that of our records. */
  override get(key: Key): Uint8Array {
    const dhtKey = dhtKeyOf(key.toString())
    const text = dhtKey === undefined ? undefined : decodeDhtKey(dhtKey)
    const published = text === undefined ? undefined : this.#records.get(text)
    if (dhtKey === undefined || published === undefined) throw new NotFoundError('no such record')
    const record = new Libp2pRecord(dhtKey, encodePublished(published), new Date(this.#clock.now()))
    return record.serialize().subarray()
  }

  override delete(): void {
    // Records go when they expire.
  }

  override async *query(): AsyncGenerator<never> {
    // There are no provider records.
  }
}

function recordKey(dhtKey: Uint8Array): string {
  return RECORD_PREFIX + base32nopad.encode(dhtKey).toLowerCase()
}

function dhtKeyOf(key: string): Uint8Array | undefined {
  if (!key.startsWith(RECORD_PREFIX)) return undefined
  try {
    return base32nopad.decode(key.slice(RECORD_PREFIX.length).toUpperCase())
  } catch {
    return undefined
  }
}

/**
 * Milliseconds from the start to the first look for the servers nearest to this one, when those that the operator named
 * are connected, and between looks. The library's five minutes leave a relay whose peers came late alone for as long.
 */
const FIRST_LOOK_MS = 3_000
const LOOK_MS = 60_000

export type DhtInit = {
  readonly records: Records
  readonly clock: Clock
  /** Which addresses of other servers are believed, see the gater. */
  readonly allows: (address: Multiaddr) => boolean
}

/** The DHT's server, as a service of libp2p. */
export function dhtServer({ records, clock, allows }: DhtInit): (components: Components) => KadDHT {
  const asker = new AsyncLocalStorage<string>()
  const datastore = new RecordDatastore(records, clock, asker)
  const { validators, selectors } = createDhtRules(() => clock.now())
  const create = kadDHT({
    protocol: DHT_PROTOCOL,
    clientMode: false,
    // A relay without another one puts nowhere, at once.
    allowQueryWithZeroPeers: true,
    validators: { ...validators },
    selectors: { ...selectors },
    maxInboundStreams: limits.MAX_DHT_STREAMS,
    networkDialTimeout: MESSAGE_TIMEOUT,
    initialQuerySelfInterval: FIRST_LOOK_MS,
    querySelfInterval: LOOK_MS,
    peerInfoMapper: (peer: PeerInfo) => ({ ...peer, multiaddrs: peer.multiaddrs.filter(allows) }),
  })
  // Peers and their keys stay in the library's own store.
  return (components) => {
    const registrar = withAsker(components.registrar, asker)
    const own = { datastore: { value: datastore }, registrar: { value: registrar } }
    return create(Object.create(components, own) as KadDHTComponents)
  }
}

/** Who handles what comes on a stream can say from which address: the library tells its datastore nothing of it. */
function withAsker(registrar: Registrar, asker: AsyncLocalStorage<string>): Registrar {
  const handle: Registrar['handle'] = (protocol, handler, options) =>
    registrar.handle(
      protocol,
      (stream, connection) =>
        asker.run(tagOf(sourceOf(connection.remoteAddr.toString())), () => handler(stream, connection)),
      options,
    )
  return Object.create(registrar, { handle: { value: handle } }) as Registrar
}

import type { ServerName } from '@plexus/core'
import {
  accountKey,
  deviceKey,
  kindOfKey,
  type AccountRecord,
  type DeviceRecord,
  type SignedAccountRecord,
} from '@plexus/core/names'
import { CarrierError, type Clock, type Log } from '@plexus/engine/ports'
import { circuitAddress, peerIdOf } from './addresses.ts'
import { boundedMap } from './bounded-map.ts'
import { errorText } from './error-text.ts'
import type { Kad } from './kad.ts'
import type { PeerBook } from './peer-book.ts'
import type { RelayKeeper } from './relay-keeper.ts'
import { isNewer, type Published } from './wire/published.ts'

/**
 * A search ends early when so many paths through the DHT, which share no server, told the newest record so many times each:
 * a server can tell a record that was sound once, and choose where in the DHT it stands.
 */
const AGREEING_PATHS = 3
const ANSWERS_PER_PATH = 2
/** Milliseconds that a search may take, and after its last news. */
const SEARCH_MS = 8_000
/** For a device's record: most that are looked for sleep and have none, and a dial waits for the search. */
const DEVICE_SEARCH_MS = 3_000
const SETTLE_MS = 1_500
/** Milliseconds without an answer after which servers anywhere in the DHT are asked too, where the search has not ended before. */
export const ELSEWHERE_AFTER_MS = 2_000
/** Milliseconds that the outcome of a search is taken without another one, when a peer is dialled. */
const FRESH_MS = 600_000
/** Searches under way at once; further ones end with what is known. */
export const MAX_SEARCHES = 32
/** Keys whose newest record, and last search, is remembered; those of accounts are in the peer book. */
export const MAX_SEEN_RECORDS = 1_000
/** Records of this node that are told to relays. */
export const MAX_OWN_RECORDS = 64
/** Addresses that one account record gives the dialer. */
const MAX_DISCOVERED = 12

type Relay = Pick<RelayKeeper, 'records' | 'publish'>

export type DiscoveryDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly book: Pick<PeerBook, 'get' | 'found'>
  relays(): readonly Relay[]
  /** The DHT's client, started by the first call. */
  kad(): Promise<Pick<Kad, 'get' | 'askElsewhere'>>
}

/**
 * Finds and publishes records. Invariant: of one key nothing older is answered than what was seen before, whoever says
 * so and however many.
 */
export interface Discovery {
  /** The newest record under a key that relays and DHT have; `undefined` when there is none. Never rejects. */
  find(key: string): Promise<Published | undefined>
  /**
   * Addresses of a name's devices, looked for anew when the last search is a while ago: first those by its account record,
   * then those where the devices say that they are.
   */
  addresses(name: ServerName): AsyncIterable<readonly string[]>
  /** Tells the relays, which put it into the DHT. @throws CarrierError when none takes it */
  publish(published: Published): Promise<void>
  /** A relay is connected: it is told what was published. */
  connected(relay: Relay): void
}

export function createDiscovery(deps: DiscoveryDeps): Discovery {
  const { clock, log, book } = deps
  const running = new Map<string, Promise<void>>()
  const seen = boundedMap<Published>(MAX_SEEN_RECORDS)
  const searched = boundedMap<number>(MAX_SEEN_RECORDS)
  const own = new Map<string, Published>()

  /** The newest that was seen, also when it is over. */
  function known(key: string): Published | undefined {
    const name = key.startsWith('account/') ? (key.slice('account/'.length) as ServerName) : undefined
    if (name === undefined) return seen.get(key)
    const signed = book.get(name)?.record
    return signed && { key, signed }
  }

  function note(published: Published): void {
    const { key, signed } = published
    if ('mailboxes' in signed.record) book.found(signed as SignedAccountRecord)
    else if (isNews(published, seen.get(key))) seen.set(key, published)
  }

  /** What may be answered: the newest, while it counts. */
  function current(key: string): Published | undefined {
    const published = known(key)
    if (published === undefined) return undefined
    return kindOfKey(key)?.check(published.signed, clock.now()) === undefined ? published : undefined
  }

  async function search(key: string): Promise<void> {
    const stop = new AbortController()
    const enough = Promise.withResolvers<void>()
    const end = (): void => enough.resolve()
    const isOfDevice = key.startsWith('device/')
    const cancelLimit = clock.after(isOfDevice ? DEVICE_SEARCH_MS : SEARCH_MS, end)
    let cancelSettled = (): void => undefined
    let newest: Published | undefined
    /** How often each path told the newest. */
    const told = new Map<number, number>()
    const answered = (published: Published, path?: number): void => {
      note(published)
      if (isNews(published, newest)) {
        newest = published
        told.clear()
        cancelSettled()
        cancelSettled = clock.after(SETTLE_MS, end)
      }
      if (path === undefined || published.signed.signature !== newest?.signed.signature) return
      told.set(path, (told.get(path) ?? 0) + 1)
      const agreeing = [...told.values()].filter((count) => count >= ANSWERS_PER_PATH)
      if (agreeing.length >= AGREEING_PATHS) end()
    }
    const failed = (error: unknown): void => {
      if (!stop.signal.aborted) log.log('debug', 'a search met an error', { key, error: errorText(error) })
    }
    const askRelay = async (relay: Relay): Promise<void> =>
      (await relay.records([key])).forEach((published) => answered(published))
    const relays = deps.relays().map(askRelay)
    const askDht = async (): Promise<void> => {
      // The connected relays are where the DHT begins, unless it is known from before.
      await Promise.any(relays).catch(() => undefined)
      for await (const { published, path } of (await deps.kad()).get(key, stop.signal))
        answered(published, path)
    }
    const asked = [...relays, askDht()].map((source) => source.catch(failed))
    const waited = Promise.withResolvers<void>()
    const cancelWait = clock.after(ELSEWHERE_AFTER_MS, () => waited.resolve())
    const askElsewhere = async (): Promise<void> => {
      await Promise.race([Promise.all(asked), waited.promise])
      if (newest !== undefined || stop.signal.aborted || isOfDevice) return
      await (await deps.kad()).askElsewhere(key, answered, stop.signal)
    }
    await Promise.race([enough.promise, Promise.all([...asked, askElsewhere().catch(failed)])])
    cancelLimit()
    cancelWait()
    cancelSettled()
    stop.abort()
    searched.set(key, clock.now())
  }

  async function find(key: string): Promise<Published | undefined> {
    let underWay = running.get(key)
    if (underWay === undefined && running.size < MAX_SEARCHES) {
      underWay = search(key).finally(() => running.delete(key))
      running.set(key, underWay)
    }
    await underWay
    return current(key)
  }

  /** As `find`, without a search when the last one is not long ago. */
  async function recent(key: string): Promise<Published | undefined> {
    const last = searched.get(key)
    return last !== undefined && Math.abs(clock.now() - last) < FRESH_MS ? current(key) : find(key)
  }

  async function tell(relay: Relay, published: Published): Promise<boolean> {
    try {
      await relay.publish(published)
      return true
    } catch (error) {
      log.log('debug', 'a relay does not keep a record', { key: published.key, error: errorText(error) })
      return false
    }
  }

  return {
    find,
    async *addresses(name) {
      const published = await recent(accountKey(name))
      const record = published?.signed.record as AccountRecord | undefined
      if (record === undefined || record.tombstone !== undefined) return
      yield circuitsOf(record)
      const devices = await Promise.all(record.devices.map((peerId) => recent(deviceKey(name, peerId))))
      yield devices.flatMap((device) => (device?.signed.record as DeviceRecord | undefined)?.multiaddrs ?? [])
    },
    async publish(published) {
      const { key } = published
      if (!own.has(key) && own.size >= MAX_OWN_RECORDS) throw new CarrierError('refused', 'too many records')
      own.set(key, published)
      const taken = await Promise.all(deps.relays().map((relay) => tell(relay, published)))
      if (!taken.includes(true)) throw new CarrierError('unreachable', 'no relay keeps the record')
    },
    connected(relay) {
      for (const published of own.values()) void tell(relay, published)
    },
  }
}

function isNews(published: Published, before: Published | undefined): boolean {
  return before === undefined || isNewer(published, before)
}

/** The ways to an account's devices through the relays that keep its mail, each device by each relay in turn. */
function circuitsOf({ mailboxes, devices }: AccountRecord): string[] {
  return mailboxes
    .flatMap(({ peerId, multiaddrs }) => multiaddrs.filter((address) => peerIdOf(address) === peerId))
    .flatMap((relay) => devices.map((device) => circuitAddress(relay, device)))
    .slice(0, MAX_DISCOVERED)
}

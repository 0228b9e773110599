/**
 * How the events of one large room spread: the real outboxes of many nodes, over rooms that are reduced to who is in them
 * and which event follows which. Everything follows from the seed.
 */
import type { EventId, JsonObject, Pdu, RoomId, RoomVersion, ServerName } from '@plexus/core'
import { DEFAULT_ROOM_VERSION, encodeBase64Url, isJsonObject, roomVersion, serverOf } from '@plexus/core'
import type { EduHandler, EventRecord, RoomSnapshot } from '@plexus/engine'
import { CarrierError, type Federation, type OutgoingTransaction } from '@plexus/engine/ports'
import { createCommitter, createInbound, createOutbox, type OutboxOwner } from '@plexus/engine/testing'
import { createMemoryStore } from '@plexus/store/memory'
import { quickKeys } from '../kit/keys.ts'
import { createSeededRandom, type SeededRandom } from '../kit/seeded-random.ts'
import { createVirtualClock, type VirtualClock } from '../kit/virtual-clock.ts'

export type FanOutInit = {
  readonly seed: number
  readonly nodes: number
  /** Share of the nodes that pass nothing on, and say that they did. 0.2 by default. */
  readonly dropping?: number
  /** Events that are measured, of a few members in turn. */
  readonly events?: number
}

export type FanOutReport = {
  readonly nodes: number
  readonly events: number
  /** How often its sender sent an event, in the mean and at most. */
  readonly senderUploads: number
  readonly mostUploads: number
  /** How often an event was sent by anybody, for each node that is to get it. */
  readonly copies: number
  /** Transactions for heads and word of what came alone, for each event and node. */
  readonly eventless: number
  /** How often its sender sent a typing notice, and anybody, for each node that is to get it. */
  readonly noticeUploads: number
  readonly noticeCopies: number
  /** Share of the nodes that get a typing notice. */
  readonly noticed: number
  /** Milliseconds from the commit of an event at its sender to that at another node. */
  readonly p50: number
  readonly p95: number
  readonly slowest: number
  /** Pairs of an event and a node that it did not come to. */
  readonly missing: number
  /** Pairs of an event and a node of which the sender does not know that it has it. */
  readonly unacknowledged: number
}

const ROOM = '!room:sim.example' as RoomId
/** Milliseconds one way, and as much again at most by chance. */
const DELAY_MS = 50
const SPEAKERS = 5
const MAX_PAUSE_MS = 4_000
/** Time in which all that is missing is fetched. */
const SETTLE_MS = 300_000

export async function measureFanOut(init: FanOutInit): Promise<FanOutReport> {
  const { seed, nodes, dropping = 0.2, events = 20 } = init
  const world = createWorld(seed)
  const keys = Array.from({ length: nodes }, (_, index) => quickKeys(seed + index))
  const names = keys.map(({ signer }) => signer.name)
  for (const [index, own] of keys.entries()) {
    const isDropping = index >= nodes - nodes * dropping
    world.places.set(own.signer.name, await createPlace(world, names, own, isDropping))
  }
  const speakers = names.slice(0, SPEAKERS).map((name) => placeOf(world, name))
  const unacknowledged = new Map<EventId, number>()
  for (const { outbox } of speakers)
    outbox.outbox.watch(({ eventId, delivered, members }) => {
      if (world.measured.has(eventId)) unacknowledged.set(eventId, members - delivered)
    })
  // One event that is not measured lets everybody hear from others.
  for (let count = 0; count <= events; count += 1) {
    const speaker = speakers[count % speakers.length]
    if (speaker !== undefined && count > 0) notice(world, speaker, names, count)
    if (speaker !== undefined) await say(world, speaker, count > 0)
    await world.clock.advance(count === 0 ? SETTLE_MS : 1 + world.random.below(MAX_PAUSE_MS))
  }
  await world.clock.advance(SETTLE_MS)
  const report = reportOf(world, names)
  for (const { outbox } of world.places.values()) outbox.close()
  return { ...report, unacknowledged: [...unacknowledged.values()].reduce((sum, count) => sum + count, 0) }
}

type Sent = {
  readonly by: ServerName
  readonly at: number
  readonly arrivals: Map<ServerName, number>
  uploads: number
  copies: number
}

type World = {
  readonly clock: VirtualClock
  readonly random: SeededRandom
  readonly places: Map<ServerName, Place>
  readonly records: Map<EventId, EventRecord>
  readonly measured: Map<EventId, Sent>
  eventless: number
  /** Typing notices: which node got which, and how often they were sent. */
  readonly noticed: Set<string>
  readonly notices: { sent: number; uploads: number; copies: number }
}

type Place = {
  readonly name: ServerName
  readonly outbox: OutboxOwner
  readonly inbound: ReturnType<typeof createInbound>
  readonly heads: () => readonly EventId[]
  /** Commits an event; `from` brought it. */
  accept(record: EventRecord, from?: ServerName): Promise<void>
}

function createWorld(seed: number): World {
  return {
    clock: createVirtualClock(),
    random: createSeededRandom(seed),
    places: new Map(),
    records: new Map(),
    measured: new Map(),
    eventless: 0,
    noticed: new Set(),
    notices: { sent: 0, uploads: 0, copies: 0 },
  }
}

function placeOf({ places }: World, name: ServerName): Place {
  const place = places.get(name)
  if (place === undefined) throw new CarrierError('unreachable', 'no such node')
  return place
}

async function createPlace(
  world: World,
  names: readonly ServerName[],
  keys: ReturnType<typeof quickKeys>,
  isDropping: boolean,
): Promise<Place> {
  const { clock, records } = world
  const { name } = keys.signer
  const store = await createMemoryStore()
  const committer = await createCommitter(store)
  const random = createSeededRandom(world.random.below(2 ** 31))
  const log = { log: () => undefined }
  /** With their positions, 0 while they are under way. */
  const known = new Map<EventId, number>()
  const held = new Map<EventId, ServerName>()
  let heads: readonly EventId[] = []

  const accept = async (record: EventRecord, from?: ServerName): Promise<void> => {
    if (known.has(record.id)) return
    known.set(record.id, 0)
    const prev = prevOf(record)
    await committer.submit({
      writes: (position) =>
        outbox.destinations.changed(ROOM, position, {
          joined: [],
          left: [],
          event: {
            id: record.id,
            server: serverOf(record.pdu.sender),
            pdu: record.pdu,
            ...(from === undefined ? {} : { from }),
          },
          ...(from === undefined ? { distributed: record.id } : {}),
        }),
      publish: (position) => {
        known.set(record.id, position)
        heads = [...heads.filter((id) => !prev.includes(id)), record.id]
        world.measured.get(record.id)?.arrivals.set(name, clock.now())
      },
    })
    for (const [id, bringer] of held) {
      const waiting = records.get(id)
      if (waiting === undefined || !prevOf(waiting).includes(record.id)) continue
      held.delete(id)
      await take(waiting, bringer)
    }
  }

  /** What misses something waits for it, and it is fetched from who brought the one that follows it. */
  const take = async (record: EventRecord, from: ServerName): Promise<void> => {
    const missing = prevOf(record).filter((id) => !known.has(id))
    if (missing.length === 0) return accept(record, from)
    if (held.has(record.id)) return
    held.set(record.id, from)
    for (const id of missing) {
      const found = records.get(id)
      if (found === undefined) continue
      void pause(world, 2).then(() => take(found, from))
    }
  }

  const receive = async (
    origin: ServerName,
    pdus: readonly JsonObject[],
  ): Promise<Record<string, { error?: string }>> => {
    const found = pdus.flatMap((pdu) => records.get(pdu['event_id'] as EventId) ?? [])
    for (const record of found) await take(record, origin)
    return Object.fromEntries(found.map(({ id }) => [id, {}]))
  }

  const recordOf = (id: EventId): EventRecord | undefined => {
    const record = records.get(id)
    const position = known.get(id) ?? 0
    return record === undefined || position === 0 ? undefined : { ...record, position, order: position }
  }
  const snapshot = (): RoomSnapshot => ({
    roomId: ROOM,
    version: VERSION,
    create: PDU,
    heads,
    holes: [],
    state: new Map(),
    stateGroup: '',
    lastPosition: 0,
    since: 0,
    joinedServers: names,
    joinedMembers: [],
  })
  const outbox = await createOutbox({
    store,
    committer,
    clock,
    random,
    log,
    ...keys,
    ownName: name,
    federation: carrierOf(world, name, isDropping),
    rooms: () => ({
      snapshot: async () => snapshot(),
      receivers: async (_, servers) => servers,
      event: async (id) => recordOf(id),
      events: async (ids) => ids.map(recordOf),
    }),
    staging: () => ({ receive, holds: (_, id) => held.has(id) }),
  })
  const handlers = new Map<string, EduHandler>([
    [
      'm.typing',
      async (origin, { notice }) => {
        world.noticed.add(JSON.stringify([name, origin, notice]))
        return undefined
      },
    ],
  ])
  handlers.set('plexus.gossip', outbox.gossip.edu(handlers))
  const inbound = createInbound({
    store,
    committer,
    clock: world.clock,
    log,
    staging: { receive } as Parameters<typeof createInbound>[0]['staging'],
    heads: outbox.heads,
    isPlaced: async () => true,
    versionOf: async () => undefined,
    taken: (origin, taken) => outbox.taken(origin, taken),
    received: () => undefined,
    handlers,
  })
  const others = names.filter((other) => other !== name)
  await committer.submit({
    writes: (position) => outbox.destinations.changed(ROOM, position, { joined: others, left: [] }),
  })
  return { name, outbox, inbound, accept, heads: () => heads }
}

async function pause({ clock, random }: World, times = 1): Promise<void> {
  await new Promise<void>((resolve) => {
    clock.after(times * (DELAY_MS + random.below(DELAY_MS)), resolve)
  })
}

/** The way of a node's transactions to others; who drops lets nothing through but its own events. */
function carrierOf(world: World, own: ServerName, isDropping: boolean): Federation {
  const passed = (pdus: OutgoingTransaction['pdus']): OutgoingTransaction['pdus'] =>
    isDropping
      ? pdus.filter((pdu) => world.records.get(pdu['event_id'] as EventId)?.pdu.sender === `@u:${own}`)
      : pdus
  const carrier: Pick<Federation, 'sendTransaction' | 'event'> = {
    async sendTransaction(to, transaction) {
      const pdus = passed(transaction.pdus)
      const edus = transaction.edus.filter(
        ({ content }) => !isDropping || !isJsonObject(content) || (content['origin'] ?? own) === own,
      )
      if (pdus.length + edus.length === 0) world.eventless += 1
      count(world, own, pdus)
      countNotices(world, own, edus)
      await pause(world)
      placeOf(world, to).outbox.outbox.heard(own)
      const answer = await placeOf(world, to).inbound.transaction({ ...transaction, origin: own, pdus, edus })
      await pause(world)
      return answer
    },
    async event(to, id) {
      await pause(world, 2)
      const record = world.records.get(id)
      if (record === undefined || !world.places.has(to))
        throw new CarrierError('unreachable', 'no such event')
      return { pdus: [record.pdu] }
    },
  }
  return carrier as Federation
}

/** The speaker is typing. */
function notice(
  { notices }: World,
  { name, outbox }: Place,
  names: readonly ServerName[],
  number: number,
): void {
  notices.sent += 1
  const content = { room_id: ROOM, user_id: `@u:${name}`, typing: true, notice: number }
  outbox.outbox.sendToRoom(ROOM, names, { edu_type: 'm.typing', content })
}

function countNotices({ notices }: World, from: ServerName, edus: OutgoingTransaction['edus']): void {
  for (const { edu_type: type, content } of edus) {
    const origin = isJsonObject(content) ? (content['origin'] ?? from) : from
    if (type !== 'm.typing' && type !== 'plexus.gossip') continue
    notices.copies += 1
    if (origin === from) notices.uploads += 1
  }
}

function count(world: World, from: ServerName, pdus: OutgoingTransaction['pdus']): void {
  for (const pdu of pdus) {
    const sent = world.measured.get(pdu['event_id'] as EventId)
    if (sent === undefined) continue
    sent.copies += 1
    if (sent.by === from) sent.uploads += 1
  }
}

const VERSION = roomVersion(DEFAULT_ROOM_VERSION) as RoomVersion
const PDU = {} as Pdu

function prevOf({ pdu }: EventRecord): readonly EventId[] {
  return pdu.prev_events as readonly EventId[]
}

async function say(world: World, place: Place, isMeasured: boolean): Promise<void> {
  const { clock, random, records, measured } = world
  const id = `$${encodeBase64Url(random.bytes(32))}` as EventId
  const now = clock.now()
  const pdu = {
    event_id: id,
    sender: `@u:${place.name}`,
    prev_events: place.heads(),
    origin_server_ts: now,
  } as unknown as Pdu
  const verdict = { verdict: 'accepted', basis: 'full', generation: 0 } as const
  records.set(id, { id, roomId: ROOM, pdu, ...verdict, position: 0, receivedAt: now })
  if (isMeasured) measured.set(id, { by: place.name, at: now, arrivals: new Map(), uploads: 0, copies: 0 })
  else world.eventless = 0
  const record = records.get(id)
  if (record !== undefined) await place.accept(record)
}

function reportOf(world: World, names: readonly ServerName[]): Omit<FanOutReport, 'unacknowledged'> {
  const sent = [...world.measured.values()]
  const pairs = sent.length * (names.length - 1)
  const times = sent
    .flatMap(({ by, at, arrivals }) =>
      [...arrivals].flatMap(([name, then]) => (name === by ? [] : [then - at])),
    )
    .sort((a, b) => a - b)
  const percentile = (share: number): number => times[Math.ceil(times.length * share) - 1] ?? Infinity
  const mean = (of: (one: Sent) => number): number =>
    sent.reduce((sum, one) => sum + of(one), 0) / sent.length
  return {
    nodes: names.length,
    events: sent.length,
    senderUploads: mean(({ uploads }) => uploads),
    mostUploads: Math.max(...sent.map(({ uploads }) => uploads)),
    copies: mean(({ copies }) => copies) / (names.length - 1),
    eventless: world.eventless / sent.length / names.length,
    noticeUploads: world.notices.uploads / world.notices.sent,
    noticeCopies: world.notices.copies / world.notices.sent / (names.length - 1),
    noticed: world.noticed.size / world.notices.sent / (names.length - 1),
    p50: percentile(0.5),
    p95: percentile(0.95),
    slowest: times.at(-1) ?? Infinity,
    missing: pairs - times.length,
  }
}

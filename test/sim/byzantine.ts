/**
 * A member whose server cheats with a good key. Its node is an ordinary one, beside which it says what no node would say,
 * and whose answers it changes. It has its own chance, so that its lies move nothing else.
 */
import {
  isJsonObject,
  parseJson,
  stateKey,
  type BuildInput,
  type EventId,
  type JsonObject,
  type Pdu,
  type RoomId,
  type StateMap,
  type UserId,
} from '@plexus/core'
import type { CarrierResponse, InboundHandler, InboundRequest } from '@plexus/engine/ports'
import { MAX_STAGED_PER_SERVER } from '@plexus/engine/testing'
import { createFakePeer, type FakePeer } from '../kit/fake-peer.ts'
import { quickKeys } from '../kit/keys.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'
import type { Action } from './actions.ts'
import type { Place, World } from './world.ts'

/** Events of one transaction of a flood, transactions, and those of one that is more than a node lets wait. */
const FLOOD_EVENTS = 50
const FLOOD_TRANSACTIONS = 3
const DROWNING_TRANSACTIONS: number = MAX_STAGED_PER_SERVER / FLOOD_EVENTS + 5
const DROWNING = 0.1
/** Events that it made and told to nobody, answers that it gave, and states that it saw. */
const MAX_REMEMBERED = 20
const LIE = 0.5
/** In place of what was hashed. */
export const FORGED: JsonObject = { body: 'forged' }

type Made = { readonly id: EventId; readonly pdu: Pdu }
type Moment = { readonly heads: readonly EventId[]; readonly state: StateMap; readonly depth: number }

/** Lies that were thought out: by an event that others were told, the state before it as each half of them is told it. */
export type Plots = {
  readonly states: Map<EventId, readonly [StateMap, StateMap]>
  /** Events of these states that are told to nobody who does not ask. */
  readonly events: Map<EventId, Pdu>
}

export function createPlots(): Plots {
  return { states: new Map(), events: new Map() }
}

/** Changes the answers of the cheating node. */
export function lying<R extends InboundRequest>(
  handler: InboundHandler<R>,
  seed: number,
  plots: Plots,
): InboundHandler<R> {
  const random = createSeededRandom(seed)
  const earlier: JsonObject[] = []
  return async (request) => {
    const plotted = plottedAnswer(plots, request.request)
    if (plotted !== undefined) return plotted
    const response = await handler(request)
    const endpoint = request.request.uri.split('/')[4] ?? ''
    if (response.status !== 200 || LIES[endpoint] === undefined || !random.chance(LIE)) return response
    const body = parseJson(response.body, { maxBytes: response.body.length })
    if (body.kind !== 'ok' || !isJsonObject(body.value)) return response
    const answer = LIES[endpoint](body.value, random.below(4), earlier)
    if (endpoint === 'state_ids') earlier.splice(0, earlier.length - MAX_REMEMBERED, body.value)
    return answer === undefined ? notFound() : withBody(response, answer)
  }
}

/** What the asking server is to believe; `undefined` for what is no part of a plot. */
function plottedAnswer(
  { states, events }: Plots,
  asked: InboundRequest['request'],
): CarrierResponse | undefined {
  const url = new URL(asked.uri, 'matrix://server')
  const endpoint = url.pathname.split('/')[4]
  const [one, other] = states.get((url.searchParams.get('event_id') ?? '') as EventId) ?? []
  if (endpoint === 'state' && one !== undefined) return notFound()
  if (endpoint === 'state_ids' && one !== undefined && other !== undefined) {
    const state = sideOf(asked.origin ?? '') === 0 ? one : other
    return answerOf({ pdu_ids: [...state.values()], auth_chain_ids: [] })
  }
  const pdu = events.get(decodeURIComponent(url.pathname.split('/')[5] ?? '') as EventId)
  if (endpoint !== 'event' || pdu === undefined) return undefined
  return answerOf({ origin: asked.destination, origin_server_ts: pdu.origin_server_ts, pdus: [pdu] })
}

/** Halves the servers. */
const sideOf = (name: string): number => name.charCodeAt(name.length - 1) % 2

type Lie = (answer: JsonObject, kind: number, earlier: readonly JsonObject[]) => JsonObject | undefined

const listOf = (answer: JsonObject, key: string): readonly JsonObject[] => {
  const list = answer[key]
  return Array.isArray(list) ? list.filter(isJsonObject) : []
}
const forged = (pdu: JsonObject): JsonObject => ({ ...pdu, content: FORGED })
const unsigned = (pdu: JsonObject): JsonObject => ({ ...pdu, signatures: {} })

/** Withholds, forges, or turns around. */
const eventsLie =
  (key: string): Lie =>
  (answer, kind) => {
    const list = listOf(answer, key)
    if (kind === 0) return { ...answer, [key]: [] }
    if (kind === 1) return { ...answer, [key]: list.map(forged) }
    if (kind === 2) return { ...answer, [key]: list.filter((_, index) => index % 2 === 0).map(unsigned) }
    return { ...answer, [key]: list.toReversed().slice(1) }
  }

const half = (value: unknown, kind: number): readonly never[] =>
  Array.isArray(value) ? (value.filter((_, index) => index % 3 !== kind) as never[]) : []

const LIES: Readonly<Record<string, Lie>> = {
  get_missing_events: eventsLie('events'),
  backfill: eventsLie('pdus'),
  event: (answer, kind, earlier) => (kind === 0 ? undefined : eventsLie('pdus')(answer, kind, earlier)),
  state_ids: (answer, kind, earlier) =>
    kind === 0
      ? undefined
      : kind === 1
        ? { ...answer, pdu_ids: half(answer['pdu_ids'], 0) }
        : (earlier[kind % Math.max(earlier.length, 1)] ?? answer),
  state: (answer, kind) => ({ ...answer, pdus: half(answer['pdus'], kind) }),
  send_join: (answer, kind) => ({ ...answer, state: half(answer['state'], kind) }),
}

function answerOf(body: JsonObject): CarrierResponse {
  return withBody({ status: 200, contentType: 'application/json', body: new Uint8Array() }, body)
}

function withBody(response: CarrierResponse, body: JsonObject): CarrierResponse {
  return { ...response, body: new TextEncoder().encode(JSON.stringify(body)) }
}

function notFound(): CarrierResponse {
  const body = new TextEncoder().encode(JSON.stringify({ errcode: 'M_NOT_FOUND', error: 'no' }))
  return { status: 404, contentType: 'application/json', body }
}

/** What it does, to be drawn beside what everybody does. */
export function createByzantine(world: World, place: Place): readonly Action[] {
  const { clock, network } = world
  const keys = quickKeys(place.index + 1)
  const random = createSeededRandom(place.index + world.random.below(2 ** 30))
  const peer = createFakePeer({ ...network, clock, seed: place.index + 1, signer: keys.signer })
  const cheat: Cheat = { world, place, peer, random, hidden: [], moments: [] }
  const as = (
    what: string,
    weight: number,
    work: (cheat: Cheat, roomId: RoomId, now: Moment) => Promise<void>,
  ): Action => ({
    weight,
    run(_, roomId) {
      world.act(place, what, async ({ engine }): Promise<EventId | undefined> => {
        const now = await momentOf(engine.rooms, roomId)
        if (now === undefined) return undefined
        cheat.moments.splice(0, cheat.moments.length - MAX_REMEMBERED + 1)
        cheat.moments.push(now)
        await work(cheat, roomId, now)
        return undefined
      })
    },
  })
  return [
    as('equivocates', 8, equivocate),
    as('forges', 6, forge),
    as('withholds', 8, withhold),
    as('reveals', 5, reveal),
    as('contradicts', 10, contradict),
    as('plots', 10, plot),
    as('invents heads', 3, inventHeads),
    // What it floods with stands before its other lies.
    as('floods', random.chance(0.5) ? 4 : 0, flood),
  ]
}

type Cheat = {
  readonly world: World
  readonly place: Place
  readonly peer: FakePeer
  readonly random: ReturnType<typeof createSeededRandom>
  readonly hidden: Made[]
  readonly moments: Moment[]
}

async function momentOf(
  rooms: Place['node']['engine']['rooms'],
  roomId: RoomId,
): Promise<Moment | undefined> {
  const snapshot = await rooms.snapshot(roomId)
  if (snapshot === undefined) return undefined
  const heads = await rooms.events(snapshot.heads)
  const depth = Math.max(0, ...heads.map((record) => record?.pdu.depth ?? 0))
  return { heads: snapshot.heads, state: snapshot.state, depth }
}

async function make(
  { place, peer, world }: Cheat,
  roomId: RoomId,
  { heads, state, depth }: Moment,
  template: Omit<BuildInput['template'], 'sender'> & { readonly sender?: UserId },
): Promise<Made> {
  const snapshot = await place.node.engine.rooms.snapshot(roomId)
  if (snapshot === undefined) throw new Error('the cheating node is not in the room')
  const sender = template.sender ?? place.user
  const keys = [
    stateKey('m.room.power_levels', ''),
    stateKey('m.room.member', sender),
    ...(template.type === 'm.room.member' && template.stateKey !== undefined
      ? [stateKey('m.room.member', template.stateKey)]
      : []),
  ]
  const { version } = snapshot
  const create = version.roomIdIsCreateHash ? [] : (state.get(stateKey('m.room.create', '')) ?? [])
  return peer.build(version, {
    template: { ...template, sender },
    roomId,
    prevEvents: heads.slice(0, 10).map((reference) => ({ reference, depth })),
    authEvents: [...new Set([create, ...keys.map((key) => state.get(key) ?? [])].flat())],
    now: world.clock.now(),
  })
}

/** To some of the others; that nobody answers is no news. */
async function tell(
  { world, place, peer }: Cheat,
  content: JsonObject,
  to: (other: Place) => boolean,
): Promise<void> {
  for (const other of world.places)
    if (other !== place && to(other))
      await peer.send(other.name, { edus: [], pdus: [], ...content }).catch(() => undefined)
}

const text = (body: string): { type: string; content: JsonObject } => ({
  type: 'm.room.message',
  content: { msgtype: 'm.text', body },
})
const nowhere = ({ random }: Cheat): EventId => `$${String(random.below(1e9)).padStart(43, 'A')}` as EventId

/** Two events with the same previous ones, each told to one half. */
async function equivocate(cheat: Cheat, roomId: RoomId, now: Moment): Promise<void> {
  for (const side of [0, 1]) {
    const topic = { type: 'm.room.topic', stateKey: '', content: { topic: `side ${side}` } }
    const { pdu } = await make(cheat, roomId, now, cheat.random.chance(0.5) ? topic : text(`side ${side}`))
    await tell(cheat, { pdus: [pdu] }, ({ index }) => index % 2 === side)
  }
}

/** In the name of others, with another's content, with no signature. */
async function forge(cheat: Cheat, roomId: RoomId, now: Moment): Promise<void> {
  const victim = cheat.world.places[0]
  if (victim === undefined) return
  const levels = {
    type: 'm.room.power_levels',
    stateKey: '',
    content: { users: { [cheat.place.user]: 100 } },
  }
  const inName = await make(cheat, roomId, now, { ...levels, sender: victim.user })
  const own = await make(cheat, roomId, now, text('own'))
  const bare = await make(cheat, roomId, now, text('bare'))
  const pdus = [inName.pdu, forged(own.pdu), unsigned(bare.pdu)]
  await tell(cheat, { pdus }, () => cheat.random.chance(0.6))
}

/** An event that follows one which nobody is told. */
async function withhold(cheat: Cheat, roomId: RoomId, now: Moment): Promise<void> {
  const { random, world } = cheat
  const target = world.places[random.below(world.places.length)]
  const kick = { type: 'm.room.member', stateKey: target?.user ?? '', content: { membership: 'leave' } }
  const hidden = await make(cheat, roomId, now, random.chance(0.4) ? kick : text('hidden'))
  cheat.hidden.splice(0, cheat.hidden.length - MAX_REMEMBERED + 1)
  cheat.hidden.push(hidden)
  const after = { ...now, heads: [hidden.id], depth: now.depth + 1 }
  const { pdu } = await make(cheat, roomId, after, text('follows what is hidden'))
  await tell(cheat, { pdus: [pdu] }, () => random.chance(0.5))
}

async function reveal(cheat: Cheat): Promise<void> {
  const [hidden] = cheat.hidden.splice(0, 1)
  if (hidden !== undefined) await tell(cheat, { pdus: [hidden.pdu] }, () => cheat.random.chance(0.5))
}

/**
 * An event that follows one which nobody is told, with a state before it for each half of the others: one has an event
 * that the other never hears of, one may be of the past.
 */
async function plot(cheat: Cheat, roomId: RoomId, now: Moment): Promise<void> {
  const { random, world, moments } = cheat
  const { plots } = world
  const target = world.places[random.below(world.places.length)]
  const templates: readonly { type: string; stateKey: string; content: JsonObject }[] = [
    { type: 'm.room.topic', stateKey: '', content: { topic: 'secret' } },
    { type: 'org.example.thing', stateKey: '0', content: { is: 'secret' } },
    { type: 'm.room.member', stateKey: target?.user ?? '', content: { membership: 'ban' } },
  ]
  const [template] = templates.slice(random.below(templates.length))
  if (template === undefined) return
  const secret = await make(cheat, roomId, now, template)
  const hidden = await make(
    cheat,
    roomId,
    { ...now, heads: [secret.id], depth: now.depth + 1 },
    text('hidden'),
  )
  const heads = random.chance(0.5) ? [hidden.id] : [...now.heads, hidden.id]
  const { id, pdu } = await make(cheat, roomId, { ...now, heads, depth: now.depth + 2 }, text('plotted'))
  const then = moments[random.below(moments.length)] ?? now
  const told = new Map(now.state).set(stateKey(template.type, template.stateKey), secret.id)
  plots.states.set(id, [told, then.state])
  plots.events.set(secret.id, secret.pdu)
  cheat.hidden.splice(0, cheat.hidden.length - MAX_REMEMBERED + 1)
  cheat.hidden.push(hidden)
  await tell(cheat, { pdus: [pdu] }, () => random.chance(0.8))
}

/** State that contradicts the present, on the authority of the past. */
async function contradict(cheat: Cheat, roomId: RoomId, now: Moment): Promise<void> {
  const { random, world, moments, place } = cheat
  const then = moments[random.below(moments.length)] ?? now
  const target = world.places[random.below(world.places.length)]
  const templates = [
    { type: 'm.room.power_levels', stateKey: '', content: { users: { [place.user]: 100 } } },
    { type: 'm.room.member', stateKey: target?.user ?? '', content: { membership: 'ban' } },
    { type: 'm.room.topic', stateKey: '', content: { topic: 'of the past' } },
    { type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'invite' } },
  ]
  const template = templates[random.below(templates.length)] ?? text('none')
  const { pdu } = await make(
    cheat,
    roomId,
    random.chance(0.5) ? then : { ...now, state: then.state },
    template,
  )
  await tell(cheat, { pdus: [pdu] }, () => random.chance(0.5))
}

async function inventHeads(cheat: Cheat, roomId: RoomId): Promise<void> {
  const heads = Array.from({ length: 20 }, () => nowhere(cheat))
  await tell(cheat, { 'plexus.heads': { [roomId]: heads } }, () => true)
}

/** Events whose gaps nobody can fill. */
async function flood(cheat: Cheat, roomId: RoomId, now: Moment): Promise<void> {
  const isDrowning = cheat.random.chance(DROWNING)
  const count = isDrowning ? DROWNING_TRANSACTIONS : FLOOD_TRANSACTIONS
  for (let transaction = 0; transaction < count; transaction += 1) {
    const pdus: Pdu[] = []
    while (pdus.length < FLOOD_EVENTS) {
      const lost = { ...now, heads: [nowhere(cheat)] }
      pdus.push((await make(cheat, roomId, lost, text('flood'))).pdu)
    }
    await tell(cheat, { pdus }, ({ index }) => index % 2 === (isDrowning ? 0 : transaction % 2))
  }
}

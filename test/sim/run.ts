/**
 * One run: a room on several nodes, a fork that needs resolving, a time in which anything happens, and then peace, after
 * which all must agree. Everything follows from the seed: there is no real time, no real chance and no I/O.
 */
import { DEFAULT_ROOM_VERSION, ROOM_VERSIONS, roomVersion } from '@plexus/core'
import type { EventId, RoomId, RoomVersion, ServerName, UserId } from '@plexus/core'
import { createSeededRandom } from '../kit/seeded-random.ts'
import { CALM, type SimulatedNetwork } from '../kit/simulated-network.ts'
import { ACTIONS, drawAction } from './actions.ts'
import { createByzantine } from './byzantine.ts'
import {
  countConflicts,
  differingStates,
  headsOf,
  isIn,
  isPartial,
  look,
  followedBy,
  forgedEvent,
  missingEvents,
  unconfirmedJoin,
  unknownHeads,
  overBounds,
  stateText,
  type Seen,
} from './invariants.ts'
import { createWorld, type Counts, type Place, type Role, type World } from './world.ts'

export type RunInit = {
  readonly seed: number
  /** Of the room; drawn by the seed if absent. */
  readonly version?: string
  readonly nodes?: number
  /** One of the nodes cheats, and one is a stock homeserver. */
  readonly byzantine?: boolean
  /** Things that happen between the fork and the peace. */
  readonly steps?: number
  /** Further users of the creator's node: where there are many, others enter the room without its members. */
  readonly crowd?: number
  /** False leaves out the fork that makes every run worth something. */
  readonly fork?: boolean
  /** Breaks something on purpose, to see whether the run notices. */
  readonly sabotage?: SimulatedNetwork['sabotage']
}

export type RunReport = Counts & {
  readonly seed: number
  /** The hash of all that happened. */
  readonly trace: string
  /** How often nodes in the room were seen with different heads. */
  readonly diverged: number
  readonly conflicts: number
  readonly events: number
  /** How often a node was seen in the room that did not know all members. */
  readonly partial: number
  /** Nodes in the room at the end. */
  readonly members: number
  /** What is wrong; absent in a good run. */
  readonly failure?: string
}

const DEFAULT_NODES = 5
const DEFAULT_STEPS = 60
/** Enough for a room that is told without its members. */
const CROWD = 60
/** Share of the requests for a state that are answered in such a room until there is peace. */
const TOLD_STATES = 0.02
/** Pauses between two things that happen. */
const PAUSES_MS: readonly number[] = [0, 0, 5, 50, 500, 3_000, 20_000]
/** Time for connections to come back and for what was missed to be fetched: all pauses between attempts are shorter. */
const PEACE_MS = 1_800_000
const SETTLE_MS = 60_000
/** Share of the runs in which a node does not come back, so that what it said must spread from others. */
const LOST_FOR_GOOD = 0.5
/** Rounds in which members send something to join heads that no single one of them holds. */
const MAX_JOINING_ROUNDS = 5

export async function runSimulation(init: RunInit): Promise<RunReport> {
  const { seed, byzantine = false, nodes = DEFAULT_NODES, steps = DEFAULT_STEPS } = init
  const { crowd = seed % 4 === 3 && !byzantine ? CROWD : 0 } = init
  const world = await createWorld(seed, rolesOf(byzantine, nodes), Math.floor(seed / 4) % 2 === 1)
  const cheat = world.places.find(({ role }) => role === 'byzantine')
  const actions = cheat === undefined ? ACTIONS : [...ACTIONS, ...createByzantine(world, cheat)]
  const watch: Watch = { diverged: 0, partial: 0 }
  let report = { conflicts: 0, events: 0, members: 0 }
  let failure: string | undefined
  try {
    if (crowd > 0) world.network.sabotage = withholdStates(seed)
    const roomId = await found(world, versionOf(init), crowd)
    if (init.sabotage !== undefined || crowd === 0) world.network.sabotage = init.sabotage
    if (init.fork !== false) await fork(world, roomId, watch)
    for (let step = 0; step < steps; step += 1) {
      await drawAction(world, actions).run(world, roomId)
      await passWatched(world, roomId, PAUSES_MS[world.random.below(PAUSES_MS.length)] ?? 0, watch)
    }
    world.network.sabotage = init.sabotage
    const seen = await makePeace(world, roomId, watch)
    await agree(world, roomId, seen)
    report = await measure(world, roomId)
    if (watch.diverged === 0) throw new Wrong('the nodes never had different heads: the run proves nothing')
    if (report.conflicts === 0 && init.byzantine !== true)
      throw new Wrong('no conflict was ever resolved: the run proves nothing')
  } catch (error) {
    failure = error instanceof Wrong ? error.message : String(error instanceof Error ? error.stack : error)
  }
  const trace = world.trace()
  await world.close()
  const { counts } = world
  return { seed, trace, ...watch, ...report, ...counts, ...(failure === undefined ? {} : { failure }) }
}

/** Few states are told, so that rooms stay without their members for some time. */
function withholdStates(seed: number): SimulatedNetwork['sabotage'] {
  const random = createSeededRandom(seed + 2_000_003)
  return ({ uri }) =>
    uri.includes('/v1/state_ids/') && !random.chance(TOLD_STATES) ? { lose: 'request' } : undefined
}

/** How a run is repeated. */
export function replayCommand({ seed }: RunReport, { version, byzantine }: Omit<RunInit, 'seed'>): string {
  const options = [
    ...(version === undefined ? [] : [` --version ${version}`]),
    ...(byzantine === true ? [' --byzantine'] : []),
  ]
  return `npm run sim -- --runs 1 --seed ${seed}${options.join('')}`
}

/** The creator is honest, who cheats has some power at first, and the one after is a stock homeserver. */
function rolesOf(byzantine: boolean, nodes: number): readonly Role[] {
  const roles: readonly Role[] = byzantine ? ['plexus', 'plexus', 'byzantine', 'stock'] : []
  return Array.from({ length: nodes }, (_, index) => roles[index] ?? 'plexus')
}

type Watch = { diverged: number; partial: number }

class Wrong extends Error {
  override readonly name = 'Wrong'
}

function creatorOf({ places }: World): Place {
  const [creator] = places
  if (creator === undefined) throw new Error('there are no nodes')
  return creator
}

/** A public room with everybody in it, some of them with power. */
async function found(world: World, version: RoomVersion, crowd: number): Promise<RoomId> {
  const creator = creatorOf(world)
  const [, second, third] = world.places
  const users = Object.fromEntries(
    [[creator.user, 100] as const, [second?.user, 100] as const, [third?.user, 50] as const].flatMap(
      ([user, level]) =>
        user === undefined || (user === creator.user && version.creatorsAreInfinite) ? [] : [[user, level]],
    ),
  )
  const roomId = await creator.node.engine.rooms.create({
    creator: creator.user,
    version: version.id,
    initialState: [
      { type: 'm.room.member', stateKey: creator.user, content: { membership: 'join' } },
      { type: 'm.room.power_levels', stateKey: '', content: { users } },
      { type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'public' } },
    ],
  })
  for (let index = 0; index < crowd; index += 1)
    await creator.node.engine.rooms.join(`@crowd${index}:${creator.name}` as UserId, roomId, { via: [] })
  for (const place of world.places.slice(1)) {
    const { node, user } = place
    world.act(place, 'join', async (): Promise<EventId | undefined> => {
      await node.engine.rooms.join(user, roomId, { via: [creator.name] })
      return undefined
    })
    await world.pass(SETTLE_MS)
  }
  const seen = await look(world, roomId)
  if (seen.filter(isIn).length < world.honest.length)
    throw new Wrong('not all could join a public room in calm weather')
  return roomId
}

/** What rooms are made of by default in half of the runs, the other versions in turn in the rest. */
function versionOf({ seed, version, byzantine }: RunInit): RoomVersion {
  // Who cheats makes events that name others by their ids alone.
  const versions = byzantine === true ? ROOM_VERSIONS.filter((id) => id !== '1' && id !== '2') : ROOM_VERSIONS
  const drawn = seed % 2 === 0 ? DEFAULT_ROOM_VERSION : versions[Math.floor(seed / 2) % versions.length]
  const found = roomVersion(version ?? drawn ?? DEFAULT_ROOM_VERSION)
  if (found === undefined) throw new Error(`no room version ${version}`)
  return found
}

/** Two who may, change the same thing without knowing of each other. */
async function fork(world: World, roomId: RoomId, watch: Watch): Promise<void> {
  const [first, second] = world.places
  if (first === undefined || second === undefined) throw new Error('there are no nodes')
  const sideOf = (side: number): ServerName[] =>
    world.places.filter(({ index }) => index % 2 === side).map(({ name }) => name)
  world.network.partition([sideOf(0), sideOf(1)])
  for (const place of [first, second]) {
    world.act(place, 'topic', ({ engine }) =>
      engine.rooms.send(roomId, {
        type: 'm.room.topic',
        stateKey: '',
        sender: place.user,
        content: { topic: `of ${place.index}` },
      }),
    )
  }
  await passWatched(world, roomId, 1_000, watch)
  world.network.heal()
  await passWatched(world, roomId, SETTLE_MS, watch)
}

async function passWatched(world: World, roomId: RoomId, ms: number, watch: Watch): Promise<readonly Seen[]> {
  await world.pass(ms)
  const seen = await look(world, roomId)
  const wrong = differingStates(seen)
  if (wrong !== undefined) throw new Wrong(wrong)
  if (world.faults.length > 0) throw new Wrong(world.faults.join('; '))
  if (seen.some((one) => isIn(one) && isPartial(one))) watch.partial += 1
  const over = await overBounds(world, roomId)
  if (over !== undefined) throw new Wrong(over)
  if (new Set(seen.filter(isIn).map(headsOf)).size > 1) watch.diverged += 1
  return seen
}

/** Everybody is back but perhaps one, who is never seen again; everything arrives. */
async function makePeace(world: World, roomId: RoomId, watch: Watch): Promise<readonly Seen[]> {
  const { network, places } = world
  network.heal()
  network.weather = CALM
  for (const place of places) place.armed = 'none'
  const isOneLost = world.random.chance(LOST_FOR_GOOD)
  const lost = places[1 + world.random.below(places.length - 1)]
  if (isOneLost && lost !== undefined) world.crash(lost, 'now')
  const back = places.filter((place) => !isOneLost || place !== lost)
  for (const place of back) await world.restart(place)
  for (const { node } of back) {
    for (const other of back) if (other.node !== node) node.engine.control.peerAppeared(other.name)
  }
  await passWatched(world, roomId, PEACE_MS, watch)
  await finishJoins(world, roomId)
  return passWatched(world, roomId, PEACE_MS, watch)
}

/** Who is in the room for the others but was never told so, because an answer was lost, tries again as people do. */
async function finishJoins(world: World, roomId: RoomId): Promise<void> {
  const creator = creatorOf(world)
  const joined = (await world.snapshot(creator, roomId))?.joinedServers ?? []
  for (const place of world.honest) {
    const snapshot = await world.snapshot(place, roomId)
    if (!place.isUp || !joined.includes(place.name) || snapshot?.joinedServers.includes(place.name) === true)
      continue
    world.act(place, 'join again', async ({ engine }): Promise<EventId | undefined> => {
      await engine.rooms.join(place.user, roomId, { via: [creator.name] })
      return undefined
    })
    await world.pass(SETTLE_MS)
  }
}

/** One member that holds all heads sends an event: then all have the same state, and hold what was acknowledged. */
async function agree(world: World, roomId: RoomId, before: readonly Seen[]): Promise<void> {
  let seen = before
  const unknown = await unknownHeads(world, membersOf(world, seen))
  if (unknown !== undefined) throw new Wrong(unknown)
  for (let round = 0; ; round += 1) {
    const members = membersOf(world, seen)
    const holder = await holderOfAll(members)
    if (holder === undefined && round === MAX_JOINING_ROUNDS) throw new Wrong('no member holds all heads')
    const sender = holder ?? members[round % members.length]?.place
    if (sender === undefined) throw new Wrong('nobody is in the room')
    let said: EventId | undefined
    const hearers = (await world.snapshot(sender, roomId))?.joinedServers ?? []
    world.act(sender, 'last word', async ({ engine }) => {
      const content = { msgtype: 'm.text', body: 'last' }
      said = await engine.rooms.send(roomId, { type: 'm.room.message', sender: sender.user, content })
      return said
    })
    await world.pass(SETTLE_MS)
    const late = await notHeard(
      members.filter(({ place }) => hearers.includes(place.name)),
      said,
    )
    if (holder !== undefined && late !== undefined) throw new Wrong(late)
    await world.pass(PEACE_MS)
    seen = await look(world, roomId)
    const wrong = differingStates(seen)
    if (wrong !== undefined) throw new Wrong(wrong)
    if (holder !== undefined) {
      const isSettled =
        seen.every((one) => isIn(one) || !isMember(seen, one)) &&
        headsWithoutHoles(membersOf(world, seen)).size <= 1
      if (isSettled || round >= MAX_JOINING_ROUNDS) break
      // What it joined undid a kick, of which the kicked, who is told nothing any more, hears by trying; or an event that
      // waited for what it follows was decided meanwhile.
      await finishJoins(world, roomId)
      await world.pass(PEACE_MS)
      seen = await look(world, roomId)
    }
  }
  const members = membersOf(world, seen)
  if (headsWithoutHoles(members).size > 1)
    throw new Wrong(`the heads differ in the end: ${describe(members, headsOf)}`)
  if (members.some(isPartial)) throw new Wrong('a node does not know all members in the end')
  const unconfirmed = await unconfirmedJoin(roomId, members)
  if (unconfirmed !== undefined) throw new Wrong(unconfirmed)
  const states = new Set(members.map(({ snapshot }) => stateText(snapshot.state)))
  if (states.size > 1) throw new Wrong('the states differ in the end')
  const lost = await missingEvents(world, roomId, members)
  if (lost !== undefined) throw new Wrong(lost)
  const forged = await forgedEvent(world, roomId, members)
  if (forged !== undefined) throw new Wrong(forged)
}

/** However much else waits, what an honest server says in calm weather is soon with all that it sees in the room. */
async function notHeard(members: readonly Seen[], said: EventId | undefined): Promise<string | undefined> {
  if (said === undefined) return undefined
  for (const { place } of members) {
    const [record] = await place.node.engine.rooms.events([said])
    if (record?.stateGroup === undefined) return `the last word is late at node ${place.index}`
  }
  return undefined
}

/** Where an event is missing that nobody can pass on, what it follows stays a head until something else joins it. */
function headsWithoutHoles(members: readonly Seen[]): ReadonlySet<string> {
  return new Set(members.filter(({ snapshot }) => snapshot.holes.length === 0).map(headsOf))
}

/** The creator's node sees it in the room. */
function isMember(seen: readonly Seen[], { place }: Seen): boolean {
  const [first] = seen
  return place.isUp && first?.snapshot.joinedServers.includes(place.name) === true
}

/** The nodes in the room, as the creator's sees it; all of them must see the same. */
function membersOf(world: World, seen: readonly Seen[]): readonly Seen[] {
  const creator = creatorOf(world)
  const joined = seen.find(({ place }) => place === creator)?.snapshot.joinedServers ?? []
  const members = seen.filter(({ place }) => place.isUp && joined.includes(place.name))
  const up = world.honest.filter(({ isUp, name }) => isUp && joined.includes(name))
  if (members.length < up.length) throw new Wrong('a member holds no state of the room')
  return members
}

function describe(members: readonly Seen[], what: (seen: Seen) => string): string {
  return members.map((seen) => `${seen.place.index}: ${what(seen)}`).join(', ')
}

/** A member whose own heads are or follow all heads of all. */
async function holderOfAll(members: readonly Seen[]): Promise<Place | undefined> {
  const heads = [...new Set(members.flatMap(({ snapshot }) => snapshot.heads))]
  for (const { place, snapshot } of members) {
    const followed = await followedBy(place, snapshot.heads)
    if (heads.every((id) => followed.has(id))) return place
  }
  return undefined
}

async function measure(
  world: World,
  roomId: RoomId,
): Promise<{ conflicts: number; events: number; members: number }> {
  const creator = creatorOf(world)
  const range = { from: -(2 ** 50), to: 2 ** 50, direction: 'f', limit: 100_000 } as const
  const { events } = await creator.node.engine.rooms.timeline(roomId, range)
  const members = (await world.snapshot(creator, roomId))?.joinedServers.length ?? 0
  return { conflicts: await countConflicts(creator, roomId), events: events.length, members }
}

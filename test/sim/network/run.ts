/**
 * One run: people in rooms of all sizes come and go, while relays lie, lines are cut and packets are lost. Then all are gone for
 * most of the time that mail is kept, and some never come back. What was acknowledged must reach every member that returns.
 */
import type { EventId, RoomId } from '@plexus/core'
import { missingMail, missingMessages, missingToDevice, unacknowledged } from './checks.ts'
import type { RelaysInit } from './relays.ts'
import { mean } from './traffic.ts'
import {
  createNetworkWorld,
  MINUTE,
  SECOND,
  WEATHER,
  type NetworkWorld,
  type Person,
  type Room,
} from './world.ts'

export type NetworkInit = {
  readonly seed: number
  readonly nodes: number
  /** Minutes in which people come and go. */
  readonly minutes?: number
  /** Relays that lie, of four: with one each message has an honest copy. */
  readonly liars?: number
  readonly lie?: RelaysInit['lie']
  /** Told what the run is at. */
  readonly progress?: (line: string) => void
}

/** Of the rooms of about this size: what one message cost. */
export type Fanout = {
  readonly size: number
  readonly messages: number
  readonly online: number
  readonly bySender: number
  readonly all: number
}

export type NetworkReport = {
  readonly seed: number
  readonly trace: string
  readonly nodes: number
  readonly rooms: number
  readonly messages: number
  readonly wakes: number
  readonly lost: number
  readonly lies: number
  readonly requests: number
  /** Milliseconds; `woken` from waking on. */
  readonly delays: { readonly online: readonly number[]; readonly woken: readonly number[] }
  /** Of each node: JSON text of requests and answers, and mail. */
  readonly bytes: readonly { readonly up: number; readonly down: number }[]
  readonly fanout: readonly Fanout[]
  /** Of a new Megolm session: its receivers, and the to-device messages as JSON text. */
  readonly sessions: readonly {
    readonly receivers: number
    readonly transactions: number
    readonly length: number
  }[]
  /** What is wrong; absent in a good run. */
  readonly failure?: string
}

const DEFAULT_MINUTES = 20
/** How long people stay, and stay away, on average. */
const STAY_MS: number = 8 * MINUTE
const AWAY_MS: number = 6 * MINUTE
/** Messages of one person a second while awake; and how many to-device messages there are for one of them. */
const TALK = 1 / 120
const TO_DEVICE = 0.4
/** Chances in a second. */
const CUT = 1 / 300
const RELAY_FAILURE = 1 / 300
const CUT_MS: number = 2 * MINUTE
/** Of all, those who never come back from the long absence. */
const LOST = 0.1
/** Of each of these, in each room. */
const LAST_WORDS = 3
/** Within the time that relays keep mail. */
const ABSENCE_MS: number = 20 * 24 * 60 * MINUTE
/** Pauses between attempts are shorter. */
const PEACE_MS: number = 35 * MINUTE
const SETTLE_MS: number = 3 * MINUTE
const JOIN_MS: number = 3 * SECOND
/** An Olm message with a room key. */
const ROOM_KEY = 'x'.repeat(1_000)

export async function runNetwork(init: NetworkInit): Promise<NetworkReport> {
  const { seed, nodes, minutes = DEFAULT_MINUTES, liars = 1, lie, progress = () => undefined } = init
  const world = await createNetworkWorld({ seed, nodes, liars, lie })
  progress(`${nodes} nodes`)
  let failure: string | undefined
  let sessions: NetworkReport['sessions'] = []
  let rooms: readonly Room[] = []
  try {
    rooms = await found(world)
    progress(`${rooms.length} rooms`)
    sessions = await startSessions(world, rooms)
    await comeAndGo(world, minutes, progress)
    progress(`${world.messages.length} messages, ${world.counts.wakes} times somebody came`)
    await goAway(world)
    progress('all are away')
    await comeBack(world)
    progress('all are back')
    failure = await judge(world, rooms)
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  const { people, messages, traffic, counts, relays } = world
  return {
    seed,
    trace: world.trace(),
    nodes,
    rooms: rooms.length,
    messages: messages.length,
    wakes: counts.wakes,
    lost: people.filter(({ isLost }) => isLost).length,
    lies: relays.lies,
    requests: traffic.requests,
    delays: world.delays,
    bytes: people.map(({ name }) => traffic.bytes(name)),
    fanout: fanoutOf(world, rooms),
    sessions,
    ...(failure === undefined ? {} : { failure }),
  }
}

/** How many rooms of which size a network of so many nodes has: many small ones, few large ones. */
function sizesOf({ people: { length }, random }: NetworkWorld): readonly number[] {
  const of = (count: number, size: () => number): number[] => Array.from({ length: count }, size)
  return [
    ...of(Math.ceil(length * 0.4), () => 2),
    ...of(Math.ceil(length / 12), () => 3 + random.below(8)),
    ...of(Math.ceil(length / 30), () => 12),
    ...of(Math.floor(length / 60), () => 30),
    ...of(Math.floor(length / 200), () => 50),
    ...of(Math.floor(length / 1_000), () => 200),
  ].map((size) => Math.min(size, length))
}

/** Public rooms, into which their members come one after the other. */
async function found(world: NetworkWorld): Promise<readonly Room[]> {
  const { people, random } = world
  const rooms = sizesOf(world).map((size): Room => {
    const members = new Set<Person>()
    while (members.size < size) members.add(people[random.below(people.length)] as Person)
    return { id: undefined, members: [...members] }
  })
  for (const room of rooms) {
    room.id = await create(room.members[0] as Person)
    for (const person of room.members) person.rooms.push(room)
  }
  const largest = Math.max(...rooms.map(({ members }) => members.length))
  let left = 0
  for (let turn = 1; turn < largest; turn += 1) {
    for (const { id, members } of rooms) {
      const [host, person] = [members[0], members[turn]]
      if (person === undefined || host === undefined) continue
      left += 1
      const { node, user } = person
      node.engine.rooms.join(user, id as RoomId, { via: [host.name] }).then(
        () => (left -= 1),
        () => undefined,
      )
    }
    await world.pass(JOIN_MS)
  }
  await world.pass(SETTLE_MS)
  if (left > 0) throw new Error(`${left} could not join in calm weather`)
  return rooms
}

function create({ node, user }: Person): Promise<RoomId> {
  return node.engine.rooms.create({
    creator: user,
    initialState: [
      { type: 'm.room.member', stateKey: user, content: { membership: 'join' } },
      { type: 'm.room.power_levels', stateKey: '', content: { users: {} } },
      { type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'public' } },
    ],
  })
}

/** In one room of each size somebody sends the key of a new Megolm session to the others, of whom each gets it directly. */
async function startSessions(
  world: NetworkWorld,
  rooms: readonly Room[],
): Promise<NetworkReport['sessions']> {
  const sessions: NetworkReport['sessions'][number][] = []
  const sizes = new Map(rooms.map((room) => [room.members.length, room]))
  const { traffic } = world
  traffic.takeToDevice()
  for (const [size, { members }] of [...sizes].toSorted(([a], [b]) => a - b)) {
    const [from, ...others] = members
    if (from !== undefined) world.sendToDevice(from, others, { ciphertext: ROOM_KEY })
    await world.pass(SETTLE_MS)
    sessions.push({ receivers: size - 1, ...traffic.takeToDevice() })
  }
  return sessions
}

async function comeAndGo(
  world: NetworkWorld,
  minutes: number,
  progress: (line: string) => void,
): Promise<void> {
  const { people, random, network, relays } = world
  let cutUntil = 0
  network.weather = WEATHER
  let down: (typeof relays.honest)[number] | undefined
  for (let second = 0; second < minutes * 60; second += 1) {
    const now = world.clock.now()
    for (const person of people) {
      if (random.chance(SECOND / (person.isAwake ? STAY_MS : AWAY_MS))) {
        if (person.isAwake) world.sleep(person)
        else await world.wake(person)
      }
      if (person.isAwake && random.chance(TALK)) talk(world, person)
    }
    if (cutUntil !== 0 && now > cutUntil) {
      network.heal()
      cutUntil = 0
    } else if (cutUntil === 0 && random.chance(CUT)) {
      const sides = people.map(() => random.below(2))
      network.partition(
        [0, 1].map((side) => people.flatMap(({ name, index }) => (sides[index] === side ? [name] : []))),
      )
      cutUntil = now + CUT_MS
      world.note('cut')
    }
    if (random.chance(RELAY_FAILURE)) {
      if (down !== undefined) relays.relays.setUp(down, true)
      down = down === undefined ? relays.honest[random.below(relays.honest.length)] : undefined
      if (down !== undefined) relays.relays.setUp(down, false)
    }
    await world.pass(SECOND)
    if ((second + 1) % 60 === 0)
      progress(`minute ${(second + 1) / 60} of ${minutes}: ${world.messages.length} messages`)
  }
  network.heal()
  if (down !== undefined) relays.relays.setUp(down, true)
}

function talk(world: NetworkWorld, person: Person): void {
  const { random } = world
  const room = person.rooms[random.below(Math.max(person.rooms.length, 1))]
  if (room === undefined) return
  world.say(person, room)
  const other = room.members[random.below(room.members.length)]
  if (random.chance(TO_DEVICE) && other !== undefined && other !== person) world.sendToDevice(person, [other])
}

/** Some have the last word while the others sleep, and leave it at the relays; then nobody is there. */
async function goAway(world: NetworkWorld): Promise<void> {
  const { people, random } = world
  const last = new Set<Person>()
  while (last.size < people.length * LOST) last.add(people[random.below(people.length)] as Person)
  for (const person of last) {
    await world.wake(person)
    person.isLost = true
  }
  for (const person of people) if (!person.isLost) world.sleep(person)
  for (let word = 0; word < LAST_WORDS; word += 1) {
    for (const person of last) for (const room of person.rooms) world.say(person, room)
    await world.pass(SETTLE_MS)
  }
  for (const message of world.messages) {
    if (!message.from.isLost || message.eventId === undefined) continue
    const { id } = message.room
    if (id !== undefined && (await isSettled(message.from, id, message.eventId))) message.isSettled = true
  }
  for (const person of last) world.sleep(person)
  await world.pass(ABSENCE_MS)
}

async function isSettled({ node }: Person, roomId: RoomId, eventId: EventId): Promise<boolean> {
  const delivery = await node.engine.control.delivery(roomId, eventId)
  return delivery !== undefined && delivery.delivered + delivery.atRelay === delivery.members
}

async function comeBack(world: NetworkWorld): Promise<void> {
  for (const person of world.people) {
    await world.wake(person)
    await world.pass(world.random.below(100))
  }
  await world.pass(PEACE_MS)
}

async function judge(world: NetworkWorld, rooms: readonly Room[]): Promise<string | undefined> {
  const { relays, counts, faults, people } = world
  const wrong = [
    ...faults,
    ...(await missingMessages(world, rooms)),
    ...(await missingToDevice(world)),
    ...(await unacknowledged(world)),
    ...missingMail(world),
  ]
  if (counts.wakes === 0 || people.every(({ isLost }) => !isLost))
    wrong.push('nobody came or went: the run proves nothing')
  if (relays.lies === 0 && relays.honest.length < 4) wrong.push('no relay lied: the run proves nothing')
  if (wrong.length === 0) return undefined
  return `${wrong.length} faults: ${wrong.slice(0, 5).join('; ')}`
}

function fanoutOf(world: NetworkWorld, rooms: readonly Room[]): readonly Fanout[] {
  const sizes = [...new Set(rooms.map(({ members }) => members.length))].toSorted((a, b) => a - b)
  return sizes.flatMap((size): Fanout[] => {
    const messages = world.messages.filter(({ room }) => room.members.length === size)
    if (messages.length === 0) return []
    const uploads = messages.map(({ number }) => world.traffic.uploads(number))
    return [
      {
        size,
        messages: messages.length,
        online: mean(messages.map(({ online }) => online)),
        bySender: mean(uploads.map(({ bySender }) => bySender)),
        all: mean(uploads.map(({ all }) => all)),
      },
    ]
  })
}

/** People on nodes of their own, who come and go like those who open and close a tab: nothing of a node that sleeps runs. */
import { createHash } from 'node:crypto'
import type { EventId, RoomId, ServerName, UserId } from '@plexus/core'
import { StoreError, type Caller } from '@plexus/engine'
import { createMemoryDisk, type CommitAttempt, type MemoryDisk } from '@plexus/store/memory'
import { quickKeys } from '../../kit/keys.ts'
import { createQuickSealer } from '../../kit/mail-relay.ts'
import { createTestNode, type TestNode } from '../../kit/node.ts'
import { createSeededRandom, type SeededRandom } from '../../kit/seeded-random.ts'
import { createSimulatedNetwork, type SimulatedNetwork, type Weather } from '../../kit/simulated-network.ts'
import { createVirtualClock, type VirtualClock } from '../../kit/virtual-clock.ts'
import { createRelays, type Relays, type RelaysInit } from './relays.ts'
import { createTraffic, type Traffic } from './traffic.ts'

export const SECOND = 1_000
export const MINUTE: number = 60 * SECOND

/** Calm until a run lets this begin. */
export const WEATHER: Weather = { loss: 0.01, duplication: 0.01, maxLatencyMs: 100 }
/** How often who is here hears that a node has appeared: the others find out by themselves. */
const HEARD_OF = 0.8

/** One person with one node, over all its processes. */
export type Person = {
  readonly index: number
  readonly name: ServerName
  readonly user: UserId
  readonly deviceId: string
  readonly disk: MemoryDisk
  readonly rooms: Room[]
  /** The running process, or the last one. */
  node: TestNode
  isAwake: boolean
  /** Never wakes again. */
  isLost: boolean
  wokeAt: number
}

export type Room = { id: RoomId | undefined; readonly members: readonly Person[] }

export type Message = {
  readonly number: number
  readonly room: Room
  readonly from: Person
  readonly at: number
  /** Members that were awake. */
  readonly online: number
  /** Set once the sender was told that it is kept. */
  eventId?: EventId
  /** When the sender last looked, every other member had it or had it at a relay. */
  isSettled?: true
}

/** Of to-device messages between two: the numbers that were sent, and whether that was acknowledged. */
export type Sent = Map<number, boolean>

export interface NetworkWorld {
  readonly people: readonly Person[]
  readonly clock: VirtualClock
  readonly random: SeededRandom
  readonly network: SimulatedNetwork
  readonly relays: Relays
  readonly traffic: Traffic
  readonly messages: Message[]
  /** By the indices of sender and receiver. */
  readonly toDevice: Map<string, Sent>
  /** Milliseconds until a message was in the timeline of a member: of who was awake, and from waking on. */
  readonly delays: { readonly online: number[]; readonly woken: number[] }
  readonly counts: { sleeps: number; wakes: number; refused: number; sent: number }
  /** What a client would not see happen on a working node. */
  readonly faults: readonly string[]
  say(from: Person, room: Room): void
  sendToDevice(from: Person, to: readonly Person[], content?: Record<string, string>): void
  sleep(person: Person): void
  wake(person: Person): Promise<void>
  pass(ms: number): Promise<void>
  /** Adds a line to what two runs of one seed must have in common. */
  note(line: string): void
  trace(): string
}

export type WorldInit = { readonly seed: number; readonly nodes: number } & Pick<RelaysInit, 'liars' | 'lie'>

export const callerOf = ({ user, deviceId }: Person): Caller => ({ userId: user, deviceId })

export async function createNetworkWorld({ seed, nodes, liars, lie }: WorldInit): Promise<NetworkWorld> {
  const random = createSeededRandom(seed)
  const clock = createVirtualClock()
  const messages: Message[] = []
  const traffic = createTraffic((number) => messages[number]?.from.name)
  const network = createSimulatedNetwork(
    { clock, finished: traffic.finished },
    createSeededRandom(seed + 1_000_003),
  )
  const chance = createSeededRandom(seed + 2_000_003)
  const relays = createRelays({ clock, random: chance, liars, lie, traffic: () => traffic })
  const sealer = createQuickSealer(seed + 3_000_003)
  const hash = createHash('sha256')
  const people: Person[] = []
  const toDevice = new Map<string, Sent>()
  const delays = { online: [] as number[], woken: [] as number[] }
  const counts = { sleeps: 0, wakes: 0, refused: 0, sent: 0 }
  const faults: string[] = []
  const byEvent = new Map<EventId, Message>()

  const note = (line: string): void => {
    hash.update(`${clock.now()} ${line}\n`)
  }

  /** Sees each event come into a timeline. */
  const watch = (index: number, { writes }: CommitAttempt): 'none' => {
    const person = people[index]
    for (const { map, value } of writes) {
      if (map !== 'timeline' || value === undefined) continue
      const message = byEvent.get(JSON.parse(value) as EventId)
      if (message === undefined || person === undefined) continue
      const since = Math.max(message.at, person.wokeAt)
      const isWoken = person.wokeAt > message.at
      delays[isWoken ? 'woken' : 'online'].push(clock.now() - since)
      note(`${index} has ${message.number}`)
    }
    return 'none'
  }

  for (let index = 0; index < nodes; index += 1) {
    const disk = createMemoryDisk({ fault: (attempt) => watch(index, attempt) })
    const node = await createTestNode({
      loopback: network.loopback,
      clock,
      seed: index + 1,
      keys: quickKeys(index + 1),
      disk,
      mail: { relays: relays.relays, sealer },
    })
    const { userId: user, deviceId } = await node.signUp(`user${index}`)
    const { name } = node
    const life = { isAwake: true, isLost: false, wokeAt: 0 }
    people.push({ index, name, user, deviceId, disk, rooms: [], node, ...life })
  }

  /** What becomes of a request of a client, unless its node has ended. */
  const act = (
    person: Person,
    what: string,
    work: Promise<unknown>,
    done: (answer: unknown) => void,
  ): void => {
    const { node } = person
    const isAlive = (): boolean => person.node === node && person.isAwake
    work.then(
      (answer) => {
        if (isAlive()) done(answer)
      },
      (error: unknown) => {
        if (!isAlive()) return
        counts.refused += 1
        if (!(error instanceof StoreError)) faults.push(`${person.index} ${what}: ${String(error)}`)
      },
    )
  }

  return {
    people,
    clock,
    random,
    network,
    relays,
    traffic,
    messages,
    toDevice,
    delays,
    counts,
    faults,
    say(from, room) {
      if (room.id === undefined) return
      const number = messages.length
      const online = room.members.filter(({ isAwake }) => isAwake).length
      const message: Message = { number, room, from, at: clock.now(), online }
      messages.push(message)
      const content = { msgtype: 'm.text', body: `message ${number}`, number }
      const event = { type: 'm.room.message', sender: from.user, content }
      act(from, 'send', from.node.engine.rooms.send(room.id, event), (id) => {
        message.eventId = id as EventId
        byEvent.set(message.eventId, message)
        note(`${from.index} said ${number} ${message.eventId}`)
      })
    },
    sendToDevice(from, to, content = {}) {
      const targets = to.map((person) => {
        const pair = `${from.index} ${person.index}`
        const sent = toDevice.get(pair) ?? new Map<number, boolean>()
        toDevice.set(pair, sent)
        const n = sent.size
        sent.set(n, false)
        return { person, sent, n }
      })
      const given = targets.map(({ person, n }) => [
        person.user,
        { [person.deviceId]: { from: from.index, n, ...content } },
      ])
      counts.sent += 1
      const id = String(counts.sent)
      const sending = from.node.engine.users.toDevice.send(
        callerOf(from),
        'm.room.encrypted',
        id,
        Object.fromEntries(given) as Record<string, Record<string, Record<string, string | number>>>,
      )
      act(from, 'to-device', sending, () => {
        for (const { sent, n } of targets) sent.set(n, true)
      })
    },
    sleep(person) {
      if (!person.isAwake) return
      person.disk.kill()
      person.node.end()
      person.isAwake = false
      counts.sleeps += 1
      note(`${person.index} sleeps`)
    },
    async wake(person) {
      if (person.isAwake || person.isLost) return
      person.wokeAt = clock.now()
      person.isAwake = true
      counts.wakes += 1
      note(`${person.index} wakes`)
      person.node = await person.node.restart()
      const others = new Set(person.rooms.flatMap(({ members }) => members))
      for (const other of others) {
        if (other === person || !other.isAwake || !chance.chance(HEARD_OF)) continue
        const { node } = other
        clock.after(chance.below(WEATHER.maxLatencyMs), () => node.engine.control.peerAppeared(person.name))
      }
    },
    async pass(ms) {
      await clock.advance(ms)
      for (const { index, isAwake, node } of people) {
        const wrong = isAwake ? node.complaints.filter((line) => line.startsWith('error')) : []
        for (const line of wrong) faults.push(`node ${index}: ${line}`)
      }
    },
    note,
    trace: () => hash.copy().digest('hex'),
  }
}

/** The world of one run: nodes on virtual time and a simulated network, that crash and come back, and what each acknowledged. */
import { createHash } from 'node:crypto'
import {
  parseJson,
  isJsonObject,
  type EventId,
  type RoomId,
  type ServerName,
  type UserId,
} from '@plexus/core'
import { RoomError, StoreError, type RoomSnapshot } from '@plexus/engine'
import { CarrierError, FederationError } from '@plexus/engine/ports'
import { createMemoryDisk, type Fault, type MemoryDisk } from '@plexus/store/memory'
import { quickKeys } from '../kit/keys.ts'
import type { Loopback } from '../kit/loopback.ts'
import { createTestNode, type TestNode } from '../kit/node.ts'
import { createSeededRandom, type SeededRandom } from '../kit/seeded-random.ts'
import { createSimulatedNetwork, type SimulatedNetwork } from '../kit/simulated-network.ts'
import { createVirtualClock, type VirtualClock } from '../kit/virtual-clock.ts'
import { createPlots, lying, type Plots } from './byzantine.ts'

/** What a place's server keeps to: all of Plexus, the specification alone, or nothing. */
export type Role = 'plexus' | 'stock' | 'byzantine'

/** One server with one user, over all its processes. */
export type Place = {
  readonly role: Role
  readonly index: number
  readonly name: ServerName
  readonly user: UserId
  readonly disk: MemoryDisk
  /** The running process, or the one that crashed last. */
  node: TestNode
  isUp: boolean
  /** What becomes of the next commit, if it is not to succeed. */
  armed: Fault
  /** Events that it acknowledged: to its client by a 200, to another server by an answer to its transaction. */
  readonly acknowledged: Set<EventId>
}

export type Counts = {
  crashes: number
  restarts: number
  requests: number
  lost: number
  done: number
  refused: number
}

export interface World {
  readonly places: readonly Place[]
  /** Those whose servers do not cheat. */
  readonly honest: readonly Place[]
  readonly clock: VirtualClock
  readonly network: SimulatedNetwork
  readonly random: SeededRandom
  /** Of those who cheat. */
  readonly plots: Plots
  readonly counts: Counts
  /** Adds a line to what two runs of one seed must have in common. */
  note(line: string): void
  /** The hash of all notes. */
  trace(): string
  /** Starts what a client asks of a node; what may fail may, anything else is a fault of the run. */
  act(place: Place, what: string, work: (node: TestNode) => Promise<EventId | undefined>): void
  /** Ends the process at once, or in its next commit, with that written or not. */
  crash(place: Place, how: 'now' | 'crash-before' | 'crash-after'): void
  restart(place: Place): Promise<void>
  /** Lets time pass; when it returns, nothing is under way but what waits for a time. */
  pass(ms: number): Promise<void>
  snapshot(place: Place, roomId: RoomId): Promise<RoomSnapshot | undefined>
  /** What a client would not see happen on a working node. */
  readonly faults: readonly string[]
  close(): Promise<void>
}

/** `isLarge`: events spread as they do in rooms of many servers. */
export async function createWorld(seed: number, roles: readonly Role[], isLarge: boolean): Promise<World> {
  const random = createSeededRandom(seed)
  const clock = createVirtualClock()
  const network = createSimulatedNetwork({ clock }, createSeededRandom(seed + 1_000_003))
  const counts: Counts = { crashes: 0, restarts: 0, requests: 0, lost: 0, done: 0, refused: 0 }
  const hash = createHash('sha256')
  const faults: string[] = []
  const places: Place[] = []
  const plots = createPlots()
  let read = 0

  const start = (index: number, role: Role, disk: MemoryDisk): Promise<TestNode> =>
    createTestNode({
      loopback: role === 'byzantine' ? cheating(network.loopback, seed + index, plots) : network.loopback,
      clock,
      seed: index + 1,
      keys: quickKeys(index + 1),
      disk,
      stock: role === 'stock',
      fanOut: isLarge ? { direct: 1, forwards: 1 } : undefined,
    })

  for (const [index, role] of roles.entries()) {
    const disk = createMemoryDisk({
      fault: () => {
        const place = places[index]
        if (place === undefined || place.armed === 'none') return 'none'
        const fault = place.armed
        ended(place, fault)
        return fault
      },
    })
    const node = await start(index, role, disk)
    const { name } = node
    const user = `@user${index}:${name}` as UserId
    places.push({ role, index, name, user, disk, node, isUp: true, armed: 'none', acknowledged: new Set() })
  }

  const note = (line: string): void => {
    hash.update(`${clock.now()} ${line}\n`)
  }

  const ended = (place: Place, how: string): void => {
    place.node.end()
    place.isUp = false
    place.armed = 'none'
    counts.crashes += 1
    note(`${place.index} ended: ${how}`)
  }

  const indexOf = (name: ServerName): number => places.findIndex((place) => place.name === name)

  /** What was answered since the last time. Answers can come late, so entries are looked at once they have an outcome. */
  const open = new Set<number>()
  const readLog = (): void => {
    const { log } = network.loopback
    for (; read < log.length; read += 1) open.add(read)
    for (const number of open) {
      const entry = log[number]
      if (entry === undefined || entry.outcome === 'waiting') continue
      open.delete(number)
      counts.requests += 1
      if (typeof entry.outcome !== 'number') counts.lost += 1
      note(`${indexOf(entry.from)}>${indexOf(entry.to)} ${entry.method} ${entry.uri} ${entry.outcome}`)
      if (entry.outcome !== 200 || !entry.uri.startsWith('/_matrix/federation/v1/send/')) continue
      for (const id of acknowledgedBy(entry.response?.body)) places[indexOf(entry.to)]?.acknowledged.add(id)
    }
  }

  return {
    places,
    honest: places.filter(({ role }) => role !== 'byzantine'),
    clock,
    network,
    random,
    plots,
    counts,
    faults,
    note,
    trace: () => hash.copy().digest('hex'),
    act(place, what, work) {
      const { node } = place
      const isAlive = (): boolean => place.node === node && place.isUp
      note(`${place.index} ${what}`)
      work(node).then(
        (id) => {
          if (!isAlive()) return
          counts.done += 1
          if (id !== undefined) place.acknowledged.add(id)
          note(`${place.index} done ${id ?? what}`)
        },
        (error: unknown) => {
          if (!isAlive()) return
          counts.refused += 1
          note(`${place.index} refused ${String(error)}`)
          if (!isExpected(error)) faults.push(`${what}: ${String(error)}`)
        },
      )
    },
    crash(place, how) {
      if (!place.isUp) return
      if (how === 'now') {
        place.disk.kill()
        ended(place, how)
      } else place.armed = how
    },
    async restart(place) {
      if (place.isUp) return
      place.node = await place.node.restart()
      place.isUp = true
      place.armed = 'none'
      counts.restarts += 1
      note(`${place.index} restarted`)
    },
    async pass(ms) {
      await clock.advance(ms)
      readLog()
      for (const { index, isUp, node } of places) {
        const wrong = isUp ? node.complaints.filter((line) => line.startsWith('error')) : []
        for (const line of wrong) faults.push(`node ${index}: ${line}`)
      }
    },
    snapshot: async ({ node, isUp }, roomId) => (isUp ? node.engine.rooms.snapshot(roomId) : undefined),
    async close() {
      for (const { node } of places) await node.close().catch(() => undefined)
    },
  }
}

/** The network as a cheating node is in it: others get changed answers. */
function cheating(loopback: Loopback, seed: number, plots: Plots): Pick<Loopback, 'carrier' | 'connect'> {
  return {
    carrier: (name) => loopback.carrier(name),
    connect: (name, handler) =>
      loopback.connect(name, handler === undefined ? undefined : lying(handler, seed, plots)),
  }
}

/** Ids of the events that an answer to a transaction takes. */
function acknowledgedBy(body: Uint8Array | undefined): readonly EventId[] {
  if (body === undefined) return []
  const parsed = parseJson(body, { maxBytes: body.length })
  const pdus = parsed.kind === 'ok' && isJsonObject(parsed.value) ? parsed.value['pdus'] : undefined
  if (!isJsonObject(pdus)) return []
  return Object.entries(pdus).flatMap(([id, verdict]) =>
    isJsonObject(verdict) && verdict['error'] === undefined ? [id as EventId] : [],
  )
}

/** What a user may be told: not allowed, not reachable, not stored. */
function isExpected(error: unknown): boolean {
  return (
    error instanceof RoomError ||
    error instanceof FederationError ||
    error instanceof CarrierError ||
    error instanceof StoreError
  )
}

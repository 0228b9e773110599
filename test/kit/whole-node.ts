/** Whole nodes on a loopback network, with store, engine and both APIs, wherever these run. */
import type { ServerName, UserId } from '@plexus/core'
import { accountRecords } from '@plexus/core/names'
import { createClientApi, type ClientApi } from '@plexus/client-api'
import {
  createEngine,
  type AppServicesInit,
  type Engine,
  type EngineDeps,
  type EngineInit,
} from '@plexus/engine'
import type {
  Blobs,
  Carrier,
  Clock,
  Directory,
  Log,
  PushGateway,
  Sealer,
  Session,
  Signer,
  Store,
  Verifier,
  WebPages,
} from '@plexus/engine/ports'
import { CarrierError } from '@plexus/engine/ports'
import { createFederation, createMailHandler, createServerApi } from '@plexus/server-api'
import { createMemoryBlobs } from '@plexus/store/blobs-memory'
import { createMemoryDisk, openMemoryStore, type MemoryDisk } from '@plexus/store/memory'
import { createLoopback, type Loopback } from './loopback.ts'
import type { FakeRelays } from './mail-relay.ts'
import { createSeededRandom } from './seeded-random.ts'
import { asStockReceiver, asStockSender } from './stock-node.ts'
import { settled, type VirtualClock } from './virtual-clock.ts'

export type NodeInit = {
  readonly loopback: Pick<Loopback, 'carrier' | 'connect'>
  readonly clock: Clock
  /** Makes all chance of the node. */
  readonly seed: number
  readonly keys: { readonly signer: Signer; readonly verifier: Verifier }
  /** A disk that a node had before: the node as it is after a restart. */
  readonly disk?: MemoryDisk
  /** One that takes everything by default. */
  readonly pushGateway?: PushGateway
  /** A store in place of the memory disk. */
  readonly store?: Store
  readonly blobs?: Blobs
  readonly webPages?: WebPages
  /** Bounds of the users. */
  readonly users?: EngineInit['users']
  readonly appServices?: AppServicesInit
  readonly fanOut?: EngineInit['fanOut']
  readonly maxWaitingLength?: EngineInit['maxWaitingLength']
  /** It keeps to the specification alone, as an ordinary homeserver does. */
  readonly stock?: boolean
  /** Relays that keep mail for it, and what it seals with. `peerId`: of a device that is no made-up one. */
  readonly mail?: {
    readonly relays: Pick<FakeRelays, 'mailboxes' | 'published'>
    readonly sealer: Sealer
    readonly peerId?: string
  }
  /** In place of one by which everybody on the loopback is reachable. */
  readonly directory?: Directory
  /** Restarts before this one: chance must not repeat. */
  readonly restarts?: number
  /** Takes its account back from another device. */
  readonly takeBack?: boolean
  /** The disk is not the one that the last process had. */
  readonly isCopy?: boolean
}

export interface TestNode {
  readonly name: ServerName
  readonly disk: MemoryDisk
  readonly engine: Engine
  readonly clientApi: ClientApi
  /** Warnings and errors, as `warn message {fields}`. */
  readonly complaints: readonly string[]
  /** Makes the account. */
  signUp(localpart: string): Promise<Session>
  userId(localpart: string): UserId
  readonly store: Store
  /** Ends the process as SIGKILL would: nothing of it answers, sends or runs any more. What it commits is the disk's affair. */
  end(): void
  /** Ends the process and its access to the disk, and starts another on the same disk, or on a copy that was put in its place. */
  restart(copy?: MemoryDisk, change?: Pick<NodeInit, 'takeBack'>): Promise<TestNode>
  close(): Promise<void>
}

type Life = {
  readonly carrier: Carrier
  readonly clock: Clock
  readonly hasEnded: () => boolean
  readonly end: () => void
}

/** The outside world of a process: once that has ended, it sends nothing and no timer of it runs. */
function mortal(carrier: Carrier, clock: Clock): Life {
  let ended = false
  return {
    hasEnded: () => ended,
    clock: { now: () => clock.now(), after: (ms, run) => clock.after(ms, () => (ended ? undefined : run())) },
    carrier: {
      send: (request, options) =>
        ended ? Promise.reject(new CarrierError('unreachable', 'ended')) : carrier.send(request, options),
    },
    end: () => {
      ended = true
    },
  }
}

/** The peer id of a node with this name. */
const peerIdOf = (name: ServerName): string =>
  `12D3KooW${name.slice(10, 54).replaceAll('0', 'z').replaceAll('l', 'y')}`

/** A process that has ended reaches no relay. */
function mailPorts(
  { mail }: NodeInit,
  name: ServerName,
  arrived: (relay: string) => void,
  hasEnded: () => boolean,
): Pick<EngineDeps, 'mail'> {
  if (mail === undefined) return {}
  return { mail: { sealer: mail.sealer, mailboxes: mail.relays.mailboxes(name, arrived, hasEnded) } }
}

/** Everybody on the loopback is reachable by name alone; account records are found with the mail. */
const directoryOf = ({ mail }: NodeInit): Directory => ({
  learn: async () => undefined,
  own: async () => [],
  find: async (name) => mail?.relays.published.get(name),
  findAlias: async () => undefined,
  findListing: async () => undefined,
  publish: async ({ record, signature }) => {
    if (mail === undefined || !('mailboxes' in record)) return
    const { published } = mail.relays
    const known = published.get(record.name)
    // As relays and DHT do.
    if (known !== undefined && !accountRecords.isNewer(record, known.record)) return
    published.set(record.name, { record, signature })
  },
})

export async function createNode(init: NodeInit): Promise<TestNode> {
  const { loopback, clock: outerClock, seed, disk = createMemoryDisk(), restarts = 0 } = init
  const { signer, verifier } = init.keys
  const { name } = signer
  const random = createSeededRandom(seed * 1_000 + restarts)
  const complaints: string[] = []
  const log: Log = {
    log(level, message, fields) {
      if (!life.hasEnded() && (level === 'warn' || level === 'error'))
        complaints.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)
    },
  }
  const store = init.store ?? (await openMemoryStore(disk))
  const life = mortal(loopback.carrier(name), outerClock)
  const { clock, carrier } = life
  const ports: EngineDeps = {
    pushGateway: init.pushGateway ?? { notify: () => Promise.resolve({ status: 200, rejected: [] }) },
    store,
    blobs: init.blobs ?? createMemoryBlobs(),
    webPages: init.webPages,
    federation: (incarnation) => {
      const federation = createFederation({ carrier, signer, clock }, { incarnation })
      return init.stock === true ? asStockSender(federation) : federation
    },
    directory: init.directory ?? directoryOf(init),
    signer,
    verifier,
    clock,
    random,
    log,
    ...mailPorts(init, name, (relay) => engine.mail?.arrived(relay), life.hasEnded),
  }
  // An honest password hash takes a second of a slow machine.
  const engine = await createEngine(ports, {
    users: { passwordCost: 4, ...init.users },
    place: { before: init.isCopy === true ? 'another' : `life ${restarts - 1}`, now: `life ${restarts}` },
    fanOut: init.fanOut,
    maxWaitingLength: init.maxWaitingLength,
    takeBack: init.takeBack === true,
    ...(init.appServices === undefined ? {} : { appServices: init.appServices }),
  })
  const handler = createServerApi({
    serverName: name,
    rooms: engine.rooms,
    inbound: init.stock === true ? asStockReceiver(engine.inbound) : engine.inbound,
    queries: engine.users.queries,
    openId: engine.users.openId,
    roomDirectory: engine.roomDirectory,
    verifier,
    keys: engine.keys,
    random,
    clock,
    log,
    heard: (server) => engine.outbox.heard(server),
    software: { name: 'Plexus', version: 'test' },
  })
  loopback.connect(name, async (request) => {
    const response = await handler(request)
    if (life.hasEnded()) throw new CarrierError('timeout', 'the process ended')
    return response
  })
  await engine.resume()
  if (engine.mail !== undefined) {
    await engine.control.certify(init.mail?.peerId ?? peerIdOf(name))
    engine.mail.start(createMailHandler({ ...engine, verifier }))
  }
  const end = (): void => {
    if (life.hasEnded()) return
    life.end()
    loopback.connect(name, undefined)
  }

  return {
    name,
    disk,
    engine,
    clientApi: createClientApi(engine),
    complaints,
    signUp: (localpart) => engine.control.createAccount(localpart, 'test'),
    userId: (localpart) => `@${localpart}:${name}` as UserId,
    store,
    end,
    async restart(copy, change) {
      disk.kill()
      end()
      const life = { disk: copy ?? disk, restarts: restarts + 1, isCopy: copy !== undefined }
      return createNode({ ...init, ...life, ...change })
    },
    async close() {
      end()
      await engine.close()
    },
  }
}

/** Rounds in which nothing may come to rest before a network counts as livelocked. */
const MAX_ROUNDS = 10_000
/** Rounds without any change after which nothing more is expected. */
const QUIET_ROUNDS = 3

/**
 * Waits until nothing happens any more. Timers stay where they are, so what waits for one (a delayed request, another
 * attempt) may remain. Nothing in these nodes waits for the platform, so a turn of its event loop lets all go on.
 */
export async function quiet(loopback: Loopback, nodes: readonly TestNode[], settle = settled): Promise<void> {
  const stateOf = (): string =>
    [loopback.log.length, loopback.underway, ...nodes.map(({ engine }) => engine.committer.committed)].join(
      ' ',
    )
  let before = stateOf()
  let unchanged = 0
  for (let round = 0; unchanged < QUIET_ROUNDS; round += 1) {
    if (round === MAX_ROUNDS) throw new Error('the network does not come to rest')
    await settle()
    const after = stateOf()
    unchanged = after === before ? unchanged + 1 : 0
    before = after
  }
}

export interface TestNetwork {
  readonly clock: VirtualClock
  readonly loopback: Loopback
  /** Waits until nothing is under way between its nodes. */
  settle(): Promise<void>
  /** Lets `ms` pass, in steps of which each comes to rest. */
  pass(ms: number): Promise<void>
  /** In the order of the localparts; a restarted node takes the place of the old one. */
  readonly members: Member[]
  restart(member: Member, copy?: MemoryDisk): Promise<Member>
  close(): Promise<void>
}

export type Member = { readonly node: TestNode; readonly user: UserId; readonly deviceId: string }

/** Time that passes between two rests. */
const STEP_MS = 1_000

/** What the nodes of a network differ in; `index` counts them from 0. `clock`: one that differs from that of the network. */
export type NodesInit = (
  index: number,
) => Promise<Omit<NodeInit, 'loopback' | 'clock'> & { readonly clock?: Clock }>

/** Nodes with one account each, all online. */
export async function createNetwork(
  localparts: readonly string[],
  clock: VirtualClock,
  initOf: NodesInit,
): Promise<TestNetwork> {
  const loopback = createLoopback({ clock })
  const members: Member[] = []
  for (const [index, localpart] of localparts.entries()) {
    const node = await createNode({ loopback, clock, ...(await initOf(index)) })
    const { userId, deviceId } = await node.signUp(localpart)
    members.push({ node, user: userId, deviceId })
  }
  const settle = (): Promise<void> =>
    quiet(
      loopback,
      members.map(({ node }) => node),
      clock.settled,
    )
  return {
    clock,
    loopback,
    members,
    settle,
    async pass(ms) {
      for (let passed = 0; passed < ms; passed += STEP_MS) {
        await clock.advance(Math.min(STEP_MS, ms - passed))
        await settle()
      }
    },
    async restart(member, copy) {
      const again = { ...member, node: await member.node.restart(copy) }
      members[members.indexOf(member)] = again
      return again
    },
    async close() {
      for (const { node } of members) await node.close()
    },
  }
}

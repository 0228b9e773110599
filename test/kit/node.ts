/** A whole node in memory: store, engine and both APIs, on a loopback network. */
import { ed25519 } from '@noble/curves/ed25519.js'
import type { ServerName, UserId } from '@plexus/core'
import { nameOfKey, verifyEd25519 } from '@plexus/core/names'
import { createClientApi, type ClientApi } from '@plexus/client-api'
import { createEngine, type Engine } from '@plexus/engine'
import type { Directory, Log, Session, Signer, Verifier } from '@plexus/engine/ports'
import { createFederation, createServerApi } from '@plexus/server-api'
import { createMemoryBlobs } from '@plexus/store/blobs-memory'
import { createMemoryDisk, openMemoryStore, type MemoryDisk } from '@plexus/store/memory'
import { createLoopback, type Loopback } from './loopback.ts'
import { createSeededRandom } from './seeded-random.ts'
import { createVirtualClock, settled, type VirtualClock } from './virtual-clock.ts'

export type TestNodeInit = {
  readonly loopback: Loopback
  readonly clock: VirtualClock
  /** Makes the name key and all chance of the node. */
  readonly seed: number
  /** A disk that a node had before: the node as it is after a restart. */
  readonly disk?: MemoryDisk
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
  /** Takes the node off the network as SIGKILL would, and starts another on the same disk. */
  restart(): Promise<TestNode>
  close(): Promise<void>
}

/** Asynchronous in name only, so that a run depends on nothing but its seed. */
const verifier: Verifier = {
  verify: async (checks) =>
    checks.map(({ publicKey, message, signature }) => verifyEd25519(publicKey, message, signature)),
}

/** The name key of a node with this seed. */
export function testSigner(seed: number): Signer {
  const secret = createSeededRandom(seed).bytes(32)
  const name = nameOfKey(ed25519.getPublicKey(secret))
  return { name, keyId: 'ed25519:1', sign: async (bytes) => ed25519.sign(bytes, secret) }
}

/** Everybody on the loopback is reachable by name alone. */
const directory: Directory = { learn: async () => undefined, own: async () => [] }

export async function createTestNode(init: TestNodeInit): Promise<TestNode> {
  const { loopback, clock, seed, disk = createMemoryDisk() } = init
  const signer = testSigner(seed)
  const { name } = signer
  const random = createSeededRandom(seed + 1)
  const complaints: string[] = []
  const log: Log = {
    log(level, message, fields) {
      if (level === 'warn' || level === 'error')
        complaints.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`)
    },
  }
  const carrier = loopback.carrier(name)
  const engine = await createEngine({
    store: await openMemoryStore(disk),
    blobs: createMemoryBlobs(),
    federation: (incarnation) => createFederation({ carrier, signer, clock }, { incarnation }),
    directory,
    signer,
    verifier,
    clock,
    random,
    log,
  })
  const handler = createServerApi({
    serverName: name,
    rooms: engine.rooms,
    inbound: engine.inbound,
    queries: engine.users.queries,
    verifier,
    random,
    clock,
    log,
    software: { name: 'Plexus', version: 'test' },
  })
  loopback.connect(name, handler)
  await engine.resume()

  return {
    name,
    disk,
    engine,
    clientApi: createClientApi(engine),
    complaints,
    signUp: (localpart) => engine.control.createAccount(localpart, 'test'),
    userId: (localpart) => `@${localpart}:${name}` as UserId,
    async restart() {
      disk.kill()
      loopback.connect(name, undefined)
      return createTestNode({ ...init, disk })
    },
    async close() {
      loopback.connect(name, undefined)
      await engine.close()
    },
  }
}

/** Rounds in which nothing may come to rest before a network counts as livelocked. */
const MAX_ROUNDS = 1_000

/** Waits until no node does anything and nothing is under way; timers stay where they are. */
export async function quiet(loopback: Loopback, nodes: readonly TestNode[]): Promise<void> {
  const stateOf = (): string =>
    [loopback.log.length, loopback.underway, ...nodes.map(({ engine }) => engine.committer.committed)].join(
      ' ',
    )
  let before = ''
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    await settled()
    await Promise.all(nodes.map(({ engine }) => engine.idle()))
    const after = stateOf()
    if (after === before) return
    before = after
  }
  throw new Error('the network does not come to rest')
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
  restart(member: Member): Promise<Member>
  close(): Promise<void>
}

export type Member = { readonly node: TestNode; readonly user: UserId; readonly deviceId: string }

/** Time that passes between two rests. */
const STEP_MS = 1_000

/** Nodes with one account each, all online. `seed` is of the first node. */
export async function createTestNetwork(localparts: readonly string[], seed = 1): Promise<TestNetwork> {
  const clock = createVirtualClock()
  const loopback = createLoopback({ clock })
  const members: Member[] = []
  for (const [index, localpart] of localparts.entries()) {
    const node = await createTestNode({ loopback, clock, seed: seed + 2 * index })
    const { userId, deviceId } = await node.signUp(localpart)
    members.push({ node, user: userId, deviceId })
  }
  const settle = (): Promise<void> =>
    quiet(
      loopback,
      members.map(({ node }) => node),
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
    async restart(member) {
      const again = { ...member, node: await member.node.restart() }
      members[members.indexOf(member)] = again
      return again
    },
    async close() {
      for (const { node } of members) await node.close()
    },
  }
}

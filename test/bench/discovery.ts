/** How long it takes to find somebody of whom only the name is known, in a DHT of which a good part is dead or wrong. */
import { createServer } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeBase64 } from '@plexus/core'
import { accountKey, accountRecords, type SignedAccountRecord } from '@plexus/core/names'
import type { Clock, Store } from '@plexus/engine/ports'
import { createRelay, loadRelayIdentity, type Relay } from '@plexus/relay'
import { createMemoryStore } from '@plexus/store/memory'
import {
  certify,
  collectingLog,
  eventually,
  newAccount,
  realClock,
  startNode,
  type Account,
} from '../kit/p2p.ts'
import { startDelayingProxy, type DelayingProxy } from './delaying-proxy.ts'
import { figure } from './figures.ts'
import type { Section } from './section.ts'

const SERVERS = 20
const DEAD = 6
/** Servers that all others are told of, and that live. */
const HUBS = 2
/** The first server that is neither. */
const HOME = HUBS + DEAD
/** Servers that have an old record and take no newer one. */
const BEHIND = 4
/** Servers that join when all accounts sleep. */
const LATE = 2
/** Servers that are to have a record before its owner goes: as many as a relay is content with. */
const HOLDERS = 8
const ASLEEP_DAYS = 10
const ROUND_TRIP_MS = 100
const DAY_MS = 24 * 3_600_000
/** A server whose clock is so far behind takes the newest record, which is valid for longer than may be, for wrong. */
const BEHIND_MS = 30 * DAY_MS
const SETTLE_MS = 120_000
const AIMS = [
  { of: 'median', limit: 3_000 },
  { of: 'p95', limit: 8_000 },
] as const

/** That of all servers and nodes: the servers' timers go on as if days had not passed. */
let asleepMs = 0
const clock: Clock = { ...realClock, now: () => Date.now() + asleepMs }

type Server = {
  readonly relay: Relay
  readonly store: Store
  readonly proxy: DelayingProxy
  readonly address: string
  readonly isBehind: boolean
}

export const discovery: Section = {
  name: 'discovery',
  inNode: true,
  async run({ quick, note }) {
    await using ends = new AsyncDisposableStack()
    const servers: Server[] = []
    const known = (): boolean =>
      servers.slice(0, HUBS).every(({ relay }) => relay.stats().dhtServers >= servers.length - 1)
    for (let n = 0; n < SERVERS - LATE; n += 1)
      servers.push(await startServer(ends, n >= SERVERS - LATE - BEHIND, servers.slice(0, HUBS)))
    await eventually(known, 'a DHT', SETTLE_MS)
    note(`${servers.length} servers know each other`)
    const targets = Array.from({ length: quick ? 5 : 40 }, newAccount)
    await publish(targets, servers)
    note(`${targets.length} accounts have published and are asleep`)
    const late = await Promise.all(
      Array.from({ length: LATE }, () => startServer(ends, false, servers.slice(0, HUBS))),
    )
    servers.push(...late)
    await eventually(known, 'the late ones in the DHT', SETTLE_MS)
    asleepMs = ASLEEP_DAYS * DAY_MS
    // What those have comes from the relays alone.
    for (const target of targets)
      await until(async () =>
        (await Promise.all(late.map(({ store }) => hasRecord(store, target, 2)))).includes(true),
      )
    for (const [n, { proxy }] of servers.slice(HUBS, HOME).entries())
      await proxy.become(n % 2 === 0 ? 'silent' : 'refused')
    note(`${ASLEEP_DAYS} days later: ${DEAD} servers dead, ${BEHIND} behind`)
    const times: number[] = []
    let wrong = 0
    for (const [n, target] of targets.entries()) {
      // Two of the living and the dead alike; a node none of whose relays lives finds nobody.
      const bootstrap = [servers[n % SERVERS], servers[(n * 7 + DEAD) % SERVERS], servers[HOME + (n % 5)]]
      const { ms, sequence } = await find(target, bootstrap)
      times.push(ms)
      if (sequence !== 2) wrong += 1
    }
    const share = `${wrong} of ${targets.length} not found, or an old record`
    return [
      figure({
        name: 'a name to its newest record, first search of a node',
        unit: 'ms',
        values: times,
        aims: AIMS,
        note: share,
      }),
    ]
  },
}

async function startServer(
  ends: AsyncDisposableStack,
  isBehind: boolean,
  peers: readonly Server[],
): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'plexus-bench-'))
  ends.defer(() => rm(folder, { recursive: true, force: true }))
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const proxy = ends.use(
    await startDelayingProxy(() => (server.address() as AddressInfo).port, ROUND_TRIP_MS),
  )
  const publicUrl = `http://127.0.0.1:${proxy.port}`
  const store = await createMemoryStore()
  const own: Clock = isBehind ? { ...clock, now: () => clock.now() - BEHIND_MS } : clock
  const relay = ends.use(
    await createRelay(
      { clock: own, log: collectingLog('relay'), records: store },
      {
        identity: await loadRelayIdentity(folder, Date.now()),
        server,
        publicUrl,
        lan: true,
        peers: peers.map(({ address }) => address),
      },
    ),
  )
  return { relay, store, proxy, isBehind, address: relay.multiaddrs(publicUrl)[0] ?? '' }
}

function recordOf(account: Account, sequence: number, days: number): SignedAccountRecord {
  const head = { name: account.name, sequence, expires: clock.now() + days * DAY_MS }
  const record = { ...head, mailboxes: [], devices: [], sealingKeys: [] }
  return { record, signature: encodeBase64(account.sign(accountRecords.bytes(record))) }
}

/** Two records of each account one after the other, from nodes that are gone afterwards. */
async function publish(accounts: readonly Account[], servers: readonly Server[]): Promise<void> {
  const home = servers.slice(HOME, HOME + 2).map(({ address }) => address)
  const owners = await Promise.all(accounts.map((account) => startNode({ account, relays: home, clock })))
  for (const [sequence, days] of [
    [1, 60],
    [2, 119],
  ] as const) {
    for (const { account, node } of owners) {
      await eventually(
        () => node.status.relays.every(({ state }) => state === 'connected'),
        'at the relays',
        SETTLE_MS,
      )
      await node.directory.publish(recordOf(account, sequence, days))
    }
    const takers = servers.filter(({ isBehind }) => sequence === 1 || !isBehind)
    for (const account of accounts)
      await until(async () => {
        const has = await Promise.all(takers.map(({ store }) => hasRecord(store, account, sequence)))
        return has.filter(Boolean).length >= HOLDERS
      })
  }
  await Promise.all(owners.map(({ node }) => node[Symbol.asyncDispose]()))
}

async function hasRecord(store: Store, { name }: Account, sequence: number): Promise<boolean> {
  const value = await store.get('records', accountKey(name))
  return value?.includes(`"sequence":${sequence},`) ?? false
}

async function until(check: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + SETTLE_MS
  while (!(await check())) {
    if (Date.now() > end) throw new Error('a record did not reach enough servers')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function find(
  { name }: Account,
  bootstrap: readonly (Server | undefined)[],
): Promise<{ ms: number; sequence: number | undefined }> {
  const relays = bootstrap.flatMap((server) => server?.address ?? [])
  const { node } = await startNode({
    relays,
    clock,
    certify: (account, peerId) => {
      const notBefore = clock.now()
      return certify(account, peerId, { notBefore, expires: notBefore + DAY_MS })
    },
  })
  await eventually(
    () => node.status.relays.some(({ state }) => state === 'connected'),
    'at a relay',
    SETTLE_MS,
  )
  const before = performance.now()
  const found = await node.directory.find(name)
  const ms = performance.now() - before
  await node[Symbol.asyncDispose]()
  return { ms, sequence: found?.record.sequence }
}

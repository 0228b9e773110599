/**
 * Two headless nodes with their own names, processes and stores, which reach each other over one carrier alone: HTTPS
 * between names of the DNS, or libp2p between names that are keys.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_MAIL_POLICY, openSqliteMailStore } from '@plexus/relay'
import { createApiClient, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { startDnsNode } from '../kit/dns-node.ts'
import { register, startNodeApp, type NodeApp } from '../kit/node-app.ts'
import { startRelayHere } from '../kit/p2p.ts'
import { createTestCa } from '../kit/test-ca.ts'

export const CARRIERS = ['https', 'libp2p'] as const
export type CarrierName = (typeof CARRIERS)[number]

/** Milliseconds for what crosses from one server to the other. */
const CROSSING_MS = 30_000
const MAIL_BYTES = 50_000_000

/** One of the two servers. */
export interface Side {
  /** The server name. */
  readonly name: string
  /** A new account. Each answer is held against the official definitions. */
  person(): Promise<ApiClient>
  stop(): Promise<void>
  /** Again, on the same data. */
  start(): Promise<void>
}

export interface Pair extends AsyncDisposable {
  readonly a: Side
  readonly b: Side
}

type Start = (folder: string) => Promise<{ readonly app: NodeApp; readonly data: string }>

async function createSide(folder: string, start: Start): Promise<Side & AsyncDisposable> {
  let people = 0
  let { app, data } = await start(folder)
  let isUp = true
  const serve = async (request: Request): Promise<Response> => {
    const { pathname, search } = new URL(request.url)
    return fetch(new Request(new URL(pathname + search, app.clientApi), request))
  }
  const stop = async (): Promise<void> => {
    if (isUp) await app.stop('SIGTERM')
    isUp = false
  }
  return {
    name: app.serverName,
    async person() {
      people += 1
      const { userId, accessToken } = await register(data, () => app.clientApi, `person${people}`)
      return createApiClient(serve, { userId, accessToken })
    },
    stop,
    async start() {
      if (!isUp) ({ app, data } = await start(folder))
      isUp = true
    },
    [Symbol.asyncDispose]: stop,
  }
}

async function httpsStart(): Promise<Start> {
  const ca = await createTestCa()
  const ports = new Map<string, number>()
  return async (folder) => {
    const known = ports.get(folder)
    const args = ['--rate-limits', 'off']
    const app = await startDnsNode(folder, ca, { args, ...(known === undefined ? {} : { port: known }) })
    ports.set(folder, app.port)
    return { app, data: app.data }
  }
}

const libp2pStart =
  (relays: readonly string[]): Start =>
  async (data) => {
    const where = relays.flatMap((address) => ['--relay', address])
    return { app: await startNodeApp(data, [...where, '--lan', '--rate-limits', 'off']), data }
  }

export async function startPair(carrier: CarrierName): Promise<Pair> {
  const folder = await mkdtemp(join(tmpdir(), 'plexus-pair-'))
  await using parts = new AsyncDisposableStack()
  parts.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  let start: Start
  if (carrier === 'https') start = await httpsStart()
  else {
    const store = parts.use(openSqliteMailStore(join(folder, 'mail.sqlite'), { maxBytes: MAIL_BYTES }))
    const mail = { store, policy: DEFAULT_MAIL_POLICY }
    const relay = await startRelayHere(join(folder, 'relay'), 0, { mail })
    parts.defer(() => relay.stop())
    start = libp2pStart(relay.addresses)
  }
  const sides: Side[] = []
  for (const name of ['a', 'b']) {
    await mkdir(join(folder, name))
    sides.push(parts.use(await createSide(join(folder, name), start)))
  }
  const [a, b] = sides as [Side, Side]
  const running = parts.move()
  return { a, b, [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** Answers with what `holds` answers once that is something, asking again after each thing that is new to the client. */
export async function eventually<T>(
  client: ApiClient,
  holds: () => Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + CROSSING_MS
  let since: string | undefined
  for (;;) {
    const found = await holds()
    if (found !== undefined && found !== false) return found
    const left = end - performance.now()
    if (left <= 0) throw new Error('it does not come to that')
    const query = { timeout: String(Math.min(2_000, Math.ceil(left))), ...(since && { since }) }
    since = text(await client.ok('GET', 'v3/sync', { query }), 'next_batch')
  }
}

/** The content of a state event, `undefined` where the room has none or the client may not see it. */
export async function stateOf(
  client: ApiClient,
  roomId: string,
  type: string,
  key = '',
): Promise<Record<string, unknown> | undefined> {
  const path = `v3/rooms/${encodeURIComponent(roomId)}/state/${type}/${encodeURIComponent(key)}`
  const { status, body } = await client.ask('GET', path)
  return status === 200 ? body : undefined
}

/** Waits until the client sees that membership of a user. */
export async function membership(
  client: ApiClient,
  roomId: string,
  userId: string,
  wanted: string,
): Promise<void> {
  await eventually(
    client,
    async () => (await stateOf(client, roomId, 'm.room.member', userId))?.['membership'] === wanted,
  )
}

/** Waits until the client has been invited. */
export async function invited(client: ApiClient, roomId: string): Promise<void> {
  await eventually(client, async () => pick(await client.ok('GET', 'v3/sync'), 'rooms', 'invite', roomId))
}

/** The texts of the newest messages, oldest first. */
export async function texts(client: ApiClient, roomId: string): Promise<readonly unknown[]> {
  const path = `v3/rooms/${encodeURIComponent(roomId)}/messages`
  const body = await client.ok('GET', path, { query: { dir: 'b', limit: '100' } })
  return list(body, 'chunk')
    .filter(({ type }) => type === 'm.room.message')
    .map((event) => pick(event, 'content', 'body'))
    .toReversed()
}

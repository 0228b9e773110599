/** The Client-Server API of a headless node over HTTP, with SQLite as the promise needs it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isJsonObject, type JsonObject } from '@plexus/core'
import { NO_SYNC_FILTER } from '@plexus/engine'
import { openSqliteStore } from '@plexus/store/sqlite'
import { text } from '../kit/api-client.ts'
import { startNodeApp, type NodeApp } from '../kit/node-app.ts'
import { createBigNode } from './big-node.ts'
import { figure, type Figure, type FigureInit } from './figures.ts'
import { createHttpClient, type HttpClient } from './http-client.ts'
import { residentMb } from './machine.ts'
import type { Section } from './section.ts'

const BODY = JSON.stringify({ msgtype: 'm.text', body: 'x'.repeat(1_000) })
const PASSWORD = 'correct horse battery staple'

export const clientApi: Section = {
  name: 'client-api',
  inNode: true,
  async run({ quick, note }) {
    const folder = mkdtempSync(join(tmpdir(), 'plexus-bench-'))
    try {
      const args = ['--registration', 'open', '--rate-limits', 'off']
      const node = await startNodeApp(join(folder, 'node'), args)
      const figures: Figure[] = [memoryAtRest(node)]
      try {
        figures.push(await createRoomTimes(node, quick ? 20 : 200))
        const senders: Sender[] = []
        for (const clients of quick ? [1, 10] : [1, 10, 100]) {
          note(`${clients} clients`)
          // One after the other: a password costs a core for a moment.
          while (senders.length < clients) senders.push(await signUpWithRoom(node))
          figures.push(...(await sends(node, senders, quick ? 1_000 : 5_000)))
        }
        for (const { client } of senders) client.close()
        note('500 rooms')
        figures.push(...(await syncs(node, quick)))
      } finally {
        await node.stop()
      }
      note('10,000 members')
      figures.push(...(await bigRoom(join(folder, 'big.sqlite'), quick ? 1_000 : 10_000)))
      return [...figures, await httpBaseline(quick ? 500 : 5_000)]
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

const one = (init: Omit<FigureInit, 'values'>, value: number): Figure => figure({ ...init, values: [value] })

/** Once it serves and before anybody asked. */
function memoryAtRest({ pid }: NodeApp): Figure {
  return one(
    { name: 'headless node at rest', unit: 'MB', aims: [{ of: 'median', limit: 90 }], note: 'resident set' },
    residentMb(pid),
  )
}

type Sender = Account & { readonly roomId: string }

type Account = { readonly client: HttpClient; readonly userId: string }

let accounts = 0
async function signUp({ clientApi: base }: NodeApp): Promise<Account> {
  const guest = createHttpClient(base)
  accounts += 1
  const body = { username: `user${accounts}`, password: PASSWORD, auth: { type: 'm.login.dummy' } }
  const answer = await guest.ask('POST', 'v3/register', JSON.stringify(body))
  guest.close()
  return { client: createHttpClient(base, text(answer, 'access_token')), userId: text(answer, 'user_id') }
}

async function createRoom({ client }: Account, more: JsonObject = {}): Promise<string> {
  return text(await client.ask('POST', 'v3/createRoom', JSON.stringify(more)), 'room_id')
}

async function timed<T>(times: number[], work: Promise<T> | (() => Promise<T>)): Promise<T> {
  const start = performance.now()
  const result = await (typeof work === 'function' ? work() : work)
  times.push(performance.now() - start)
  return result
}

async function createRoomTimes(node: NodeApp, count: number): Promise<Figure> {
  const account = await signUp(node)
  const times: number[] = []
  for (let index = 0; index < 20; index += 1) await createRoom(account)
  while (times.length < count) await timed(times, () => createRoom(account))
  account.client.close()
  return figure({ name: 'createRoom', unit: 'ms', values: times, aims: [{ of: 'median', limit: 8 }] })
}

async function signUpWithRoom(node: NodeApp): Promise<Sender> {
  const account = await signUp(node)
  return { ...account, roomId: await createRoom(account, { preset: 'public_chat' }) }
}

/** Each client sends in a room of its own, one message after the other; somebody else listens in the first room. */
async function sends(node: NodeApp, senders: readonly Sender[], count: number): Promise<readonly Figure[]> {
  const clients = senders.length
  const listener = await signUp(node)
  const [first] = senders
  if (first === undefined) throw new Error('no sender')
  await listener.client.ask('POST', `v3/join/${encodeURIComponent(first.roomId)}`, '{}')
  let sent = 0
  const send = async ({ client, roomId }: Sender): Promise<JsonObject> => {
    sent += 1
    const path = `v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/t${clients}-${sent}`
    return client.ask('PUT', path, BODY)
  }
  const run = async (each: number, times: number[]): Promise<number> => {
    const start = performance.now()
    await Promise.all(
      senders.map(async (sender) => {
        for (let index = 0; index < each; index += 1) await timed(times, () => send(sender))
      }),
    )
    return (times.length / (performance.now() - start)) * 1_000
  }
  const each = Math.ceil(count / clients)
  // The first messages are the compiler's.
  await run(Math.ceil(each / 10), [])
  const times: number[] = []
  const rate = await run(each, times)
  const seen = await sendToSync(listener, first, 200)
  listener.client.close()
  const aims = clients === 10
  const words = clients === 1 ? '1 client' : `${clients} clients`
  return [
    one(
      {
        name: `messages of ${words}`,
        unit: '/s',
        aims: aims ? [{ of: 'median', limit: 900 }] : [],
        note: 'bodies of 1 kB, a room for each client, each waits for its answer',
      },
      rate,
    ),
    figure({
      name: `one message of ${words}`,
      unit: 'ms',
      values: times,
      aims: aims ? [{ of: 'p95', limit: 20 }] : [],
    }),
    ...(clients === 1
      ? [
          figure({
            name: "from sending to another's /sync",
            unit: 'ms',
            values: seen,
            aims: [{ of: 'median', limit: 5 }],
            note: 'the other waits in a long poll',
          }),
        ]
      : []),
  ]
}

async function sendToSync(listener: Account, sender: Sender, count: number): Promise<readonly number[]> {
  const times: number[] = []
  const poll = async (since: string, timeout: number): Promise<JsonObject> =>
    listener.client.ask('GET', `v3/sync?since=${encodeURIComponent(since)}&timeout=${timeout}`)
  let since = text(await listener.client.ask('GET', 'v3/sync'), 'next_batch')
  for (let index = 0; index < count; index += 1) {
    const polling = poll(since, 30_000)
    // The poll waits before the message is sent: another answer of the same connection pool has come after it.
    await sender.client.ask('GET', 'v3/account/whoami')
    const start = performance.now()
    const path = `v3/rooms/${encodeURIComponent(sender.roomId)}/send/m.room.message/s${index}-${start}`
    const sending = sender.client.ask('PUT', path, BODY)
    const answer = await polling
    times.push(performance.now() - start)
    const rooms = answer['rooms']
    const joined = isJsonObject(rooms) ? rooms['join'] : undefined
    if (!isJsonObject(joined) || joined[sender.roomId] === undefined) throw new Error('another answer')
    await sending
    since = text(answer, 'next_batch')
  }
  return times
}

/** Of accounts in 100 and in 500 rooms with a few messages each. */
async function syncs(node: NodeApp, quick: boolean): Promise<readonly Figure[]> {
  const account = await signUp(node)
  const figures: Figure[] = []
  let rooms = 0
  for (const size of quick ? [20, 100] : [100, 500]) {
    for (; rooms < size; rooms += 1) {
      const roomId = encodeURIComponent(await createRoom(account, { name: `Room ${rooms}` }))
      for (let index = 0; index < 10; index += 1)
        await account.client.ask('PUT', `v3/rooms/${roomId}/send/m.room.message/${index}`, BODY)
    }
    const initial: number[] = []
    let since = ''
    for (let index = 0; index < (quick ? 3 : 20); index += 1)
      since = text(await timed(initial, account.client.ask('GET', 'v3/sync')), 'next_batch')
    const empty: number[] = []
    for (let index = 0; index < (quick ? 20 : 500); index += 1)
      await timed(empty, account.client.ask('GET', `v3/sync?since=${since}&timeout=0`))
    figures.push(
      figure({
        name: `initial /sync of ${size} rooms`,
        unit: 'ms',
        values: initial,
        aims: size === 100 ? [{ of: 'median', limit: 45 }] : [],
        note: '10 messages of 1 kB shown in each',
      }),
      figure({
        name: `empty incremental /sync of ${size} rooms`,
        unit: 'ms',
        values: empty,
        aims: [{ of: 'median', limit: 1 }],
      }),
    )
  }
  account.client.close()
  return figures
}

/** Past HTTP: the room was told by another server. */
async function bigRoom(path: string, members: number): Promise<readonly Figure[]> {
  const node = await createBigNode(members, await openSqliteStore(path))
  const { sync } = node.engine
  const userId = node.user
  const request = {
    recipient: { userId, deviceId: 'BENCHMARKS' },
    filter: NO_SYNC_FILTER,
    fullState: false,
    stateKind: 'state',
    timeoutMs: 0,
  } as const
  const initial: number[] = []
  const next: number[] = []
  for (let index = 0; index < 10; index += 1) {
    await timed(initial, sync.sync(request))
    const since = sync.now
    await node.send(1)
    await timed(next, sync.sync({ ...request, since }))
  }
  await node.close()
  const size = members.toLocaleString('en')
  return [
    figure({ name: `initial /sync of a room of ${size}`, unit: 'ms', values: initial, note: 'past HTTP' }),
    figure({ name: `next /sync of a room of ${size}`, unit: 'ms', values: next, note: 'one message' }),
  ]
}

/** What HTTP costs by itself: a server that reads a body of 1 kB and answers. */
async function httpBaseline(count: number): Promise<Figure> {
  const server = createServer((incoming, answer) => {
    incoming.resume().once('end', () => answer.end('{"event_id":"$x"}'))
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const client = createHttpClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const times: number[] = []
  while (times.length < count) await timed(times, client.ask('PUT', 'v3/x', BODY))
  client.close()
  server.close()
  return figure({ name: 'baseline: HTTP alone', unit: 'ms', values: times, note: 'in one process' })
}

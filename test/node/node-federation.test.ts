/** Two headless nodes that know each other by name alone meet through a relay, which keeps their mail. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RoomId } from '@plexus/core'
import { generateTransportKey } from '@plexus/p2p'
import { DEFAULT_MAIL_POLICY, openSqliteMailStore, type MailStore } from '@plexus/relay'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { register, startNodeApp, type NodeApp, type Person } from '../kit/node-app.ts'
import { startRelayHere, type TestRelay } from '../kit/p2p.ts'

const LIMIT_MS = 120_000
const MAIL_BYTES = 50_000_000

let folder = ''
let relay: TestRelay
let mail: MailStore
const running = new Set<NodeApp>()

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-nodes-'))
  mail = openSqliteMailStore(join(folder, 'mail.sqlite'), { maxBytes: MAIL_BYTES })
  relay = await startRelayHere(join(folder, 'relay'), 0, {
    mail: { store: mail, policy: DEFAULT_MAIL_POLICY },
  })
})
afterEach(async () => {
  for (const node of running) await node.stop('SIGKILL')
  running.clear()
  await relay.stop()
  await mail[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

async function start(name: string, args: readonly string[] = []): Promise<NodeApp> {
  const node = await startNodeApp(join(folder, name), [
    ...relay.addresses.flatMap((address) => ['--relay', address]),
    '--lan',
    ...args,
  ])
  running.add(node)
  return node
}

/** How many events of a node nobody else has, and no relay. */
async function waitingAt({ admin }: NodeApp): Promise<string | undefined> {
  const metrics = await (await fetch(`${admin}metrics`)).text()
  return /^plexus_waiting_events (\d+)$/m.exec(metrics)?.[1]
}

/** Asks for what is new until it holds. */
async function until(person: Person, holds: () => Promise<boolean>): Promise<void> {
  let since = ''
  while (!(await holds())) {
    const { next_batch: next } = await person.ok('GET', `v3/sync?timeout=10000${since}`)
    since = `&since=${next as string}`
  }
}

it(
  'exchanges invites and messages, and what was sent while the other was away',
  { timeout: LIMIT_MS },
  async () => {
    let a = await start('a')
    let b = await start('b')
    const ann = await register(join(folder, 'a'), () => a.clientApi, 'ann')
    const ben = await register(join(folder, 'b'), () => b.clientApi, 'ben')
    const created = await ann.ok('POST', 'v3/createRoom', { preset: 'private_chat', invite: [ben.userId] })
    const roomId = created['room_id'] as RoomId
    const room = encodeURIComponent(roomId)
    const isInvited = async (): Promise<boolean> => {
      const { rooms } = (await ben.ok('GET', 'v3/sync')) as { rooms?: { invite?: Record<string, unknown> } }
      return rooms?.invite?.[roomId] !== undefined
    }
    await until(ben, isInvited)
    await ben.ok('POST', `v3/join/${room}`, {})
    await ann.say(roomId, '1', 'one')
    await until(ben, async () => (await ben.texts(roomId)).includes('one'))
    await ben.say(roomId, '2', 'two')
    await until(ann, async () => (await ann.texts(roomId)).includes('two'))

    // Never there together from here on, until both are.
    expect(await b.stop('SIGKILL')).toBe('SIGKILL')
    running.delete(b)
    await ann.say(roomId, '3', 'while you were away')
    await expect.poll(() => waitingAt(a)).toBe('0')
    await a.stop('SIGKILL')
    running.delete(a)
    b = await start('b')
    await until(ben, async () => (await ben.texts(roomId)).includes('while you were away'))
    await ben.say(roomId, '4', 'thanks')
    a = await start('a')
    await until(ann, async () => (await ann.texts(roomId)).includes('thanks'))
    const texts = ['one', 'two', 'while you were away', 'thanks']
    expect([await ann.texts(roomId), await ben.texts(roomId)]).toEqual([texts, texts])
  },
)

it('stops where another one takes over its name, and stays stopped until it is told to take it back', async () => {
  const a = await start('a')
  const identity = JSON.parse(readFileSync(join(folder, 'a', 'identity.json'), 'utf8')) as object
  const transportKey = Buffer.from(await generateTransportKey()).toString('base64')
  mkdirSync(join(folder, 'b'), { mode: 0o700 })
  writeFileSync(join(folder, 'b', 'identity.json'), JSON.stringify({ ...identity, transportKey }))
  const b = await start('b')
  expect(b.serverName).toBe(a.serverName)
  const gaveWay = async (node: NodeApp): Promise<void> => {
    await expect.poll(() => node.output(), { timeout: LIMIT_MS }).toContain('now runs on another device')
    expect(await node.stop()).toBe(1)
  }
  await gaveWay(a)
  await expect(start('a')).rejects.toThrow('to take it back from there, start once with --take-back')
  await start('a', ['--take-back'])
  await gaveWay(b)
})

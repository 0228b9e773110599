/** Two headless nodes whose names are of the DNS meet over HTTPS alone. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RoomId } from '@plexus/core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startDnsNode, type DnsNode } from '../kit/dns-node.ts'
import { register, type Person } from '../kit/node-app.ts'
import { createTestCa, type TestCa } from '../kit/test-ca.ts'

const LIMIT_MS = 90_000

let folder = ''
let ca: TestCa
const running = new Set<DnsNode>()

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-https-'))
  ca = await createTestCa()
})
afterEach(async () => {
  for (const node of running) await node.stop('SIGKILL')
  running.clear()
  rmSync(folder, { recursive: true, force: true })
})

async function start(name: string, port?: number): Promise<DnsNode> {
  const node = await startDnsNode(join(folder, name), ca, port === undefined ? {} : { port })
  running.add(node)
  return node
}

/** Asks for what is new until it holds. */
async function until(person: Person, holds: () => Promise<boolean>): Promise<void> {
  let since = ''
  while (!(await holds())) {
    const { next_batch: next } = await person.ok('GET', `v3/sync?timeout=10000${since}`)
    since = `&since=${next as string}`
  }
}

const isInvited = async (person: Person, roomId: RoomId): Promise<boolean> => {
  const { rooms } = (await person.ok('GET', 'v3/sync')) as { rooms?: { invite?: Record<string, unknown> } }
  return rooms?.invite?.[roomId] !== undefined
}

it(
  'joins rooms of each other, and exchanges messages and what was sent while one was away',
  { timeout: LIMIT_MS },
  async () => {
    const a = await start('a')
    let b = await start('b')
    const ann = await register(a.data, () => a.clientApi, 'ann')
    const ben = await register(b.data, () => b.clientApi, 'ben')
    expect(ben.userId).toBe(`@ben:localhost:${b.port}`)

    const created = await ann.ok('POST', 'v3/createRoom', { preset: 'private_chat', invite: [ben.userId] })
    const roomId = created['room_id'] as RoomId
    await until(ben, () => isInvited(ben, roomId))
    await ben.ok('POST', `v3/join/${encodeURIComponent(roomId)}`, {})
    await ann.say(roomId, '1', 'one')
    await until(ben, async () => (await ben.texts(roomId)).includes('one'))
    await ben.say(roomId, '2', 'two')
    await until(ann, async () => (await ann.texts(roomId)).includes('two'))

    const open = await ben.ok('POST', 'v3/createRoom', { preset: 'public_chat', room_alias_name: 'open' })
    const openId = open['room_id'] as RoomId
    const alias = encodeURIComponent(`#open:${b.serverName}`)
    expect(await ann.ok('POST', `v3/join/${alias}`, {})).toEqual({ room_id: openId })
    await ann.say(openId, '3', 'hello')
    await until(ben, async () => (await ben.texts(openId)).includes('hello'))

    await b.stop('SIGKILL')
    running.delete(b)
    await ann.say(roomId, '4', 'while you were away')
    b = await start('b', b.port)
    await until(ben, async () => (await ben.texts(roomId)).includes('while you were away'))
    expect(await ben.texts(roomId)).toEqual(['one', 'two', 'while you were away'])
    const metrics = await (await fetch(new URL('metrics', a.admin))).text()
    expect(metrics).toMatch(/^plexus_federation_sent_total\{carrier="https",status="200"\} [1-9]\d*$/m)
    expect(metrics).not.toContain('plexus_federation_sent_total{carrier="libp2p"')
  },
)

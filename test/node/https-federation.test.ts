/** Two headless nodes whose names are of the DNS meet over HTTPS alone. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RoomId } from '@plexus/core'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startDnsNode, TEST_DOMAIN, type DnsNode } from '../kit/dns-node.ts'
import { register, type Person } from '../kit/node-app.ts'
import { startRelayHere } from '../kit/p2p.ts'
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

async function start(name: string, init: Parameters<typeof startDnsNode>[2] = {}): Promise<DnsNode> {
  const node = await startDnsNode(join(folder, name), ca, init)
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
    b = await start('b', { port: b.port })
    await until(ben, async () => (await ben.texts(roomId)).includes('while you were away'))
    expect(await ben.texts(roomId)).toEqual(['one', 'two', 'while you were away'])
    const metrics = await (await fetch(new URL('metrics', a.admin))).text()
    expect(metrics).toMatch(/^plexus_federation_sent_total\{carrier="https",status="200"\} [1-9]\d*$/m)
    expect(metrics).not.toContain('plexus_federation_sent_total{carrier="libp2p"')
  },
)

/** Requests to other servers that had an answer. */
async function sentOver(node: DnsNode, carrier: 'https' | 'libp2p'): Promise<number> {
  const metrics = await (await fetch(new URL('metrics', node.admin))).text()
  const pattern = new RegExp(
    `^plexus_federation_sent_total\\{carrier="${carrier}",status="200"\\} (\\d+)$`,
    'm',
  )
  return Number(pattern.exec(metrics)?.[1] ?? 0)
}

it(
  'is in one room with nodes that it reaches over libp2p and with one over HTTPS',
  { timeout: LIMIT_MS },
  async () => {
    const places = join(folder, 'places')
    writeFileSync(places, '')
    const relay = await startRelayHere(join(folder, 'relay'))
    try {
      const naming = ['--name-suffix', TEST_DOMAIN]
      const args = ['--lan', ...relay.addresses.flatMap((address) => ['--relay', address])]
      const resolve = ['--federation-resolve-file', places]
      const a = await start('a', { naming, args: [...args, ...resolve] })
      const b = await start('b', { naming, args: [...args, ...resolve] })
      const c = await start('c', { args: resolve })
      // Nodes look again when a name is missing.
      writeFileSync(
        places,
        [a, b].map(({ serverName, port }) => `${serverName}=127.0.0.1:${port}\n`).join(''),
      )
      const ann = await register(a.data, () => a.clientApi, 'ann')
      const ben = await register(b.data, () => b.clientApi, 'ben')
      const cat = await register(c.data, () => c.clientApi, 'cat')
      const invite = [ben.userId, cat.userId]
      const created = await ann.ok('POST', 'v3/createRoom', { preset: 'private_chat', invite })
      const roomId = created['room_id'] as RoomId
      for (const person of [ben, cat]) {
        await until(person, () => isInvited(person, roomId))
        await person.ok('POST', `v3/join/${encodeURIComponent(roomId)}`, {})
      }
      for (const [index, person] of [ann, ben, cat].entries())
        await person.say(roomId, `${index}`, `${index}`)
      for (const person of [ann, ben, cat])
        await until(person, async () => (await person.texts(roomId)).length === 3)
      for (const node of [a, b]) {
        expect(await sentOver(node, 'libp2p')).toBeGreaterThan(0)
        expect(await sentOver(node, 'https')).toBeGreaterThan(0)
      }
      expect(await sentOver(c, 'https')).toBeGreaterThan(0)
    } finally {
      await relay.stop()
    }
  },
)

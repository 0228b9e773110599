/** Two headless nodes on one local network, without any relay, find each other by mDNS. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createSocket } from 'node:dgram'
import { setTimeout } from 'node:timers/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { register, startNodeApp, type NodeApp } from '../kit/node-app.ts'

const LIMIT_MS = 60_000

let folder = ''
const running = new Set<NodeApp>()
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-mdns-'))
})
afterEach(async () => {
  for (const node of running) await node.stop('SIGKILL')
  running.clear()
  rmSync(folder, { recursive: true, force: true })
})

async function start(name: string): Promise<NodeApp> {
  const args = ['--lan', '--mdns', '--listen', '/ip4/127.0.0.1/tcp/0']
  const node = await startNodeApp(join(folder, name), args)
  running.add(node)
  return node
}

/** Machines without a network have no multicast. */
async function hasMulticast(): Promise<boolean> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  try {
    await new Promise<void>((resolve) => socket.bind(0, resolve))
    socket.addMembership('224.0.0.251')
    return true
  } catch {
    return false
  } finally {
    socket.close()
  }
}

it.skipIf(!(await hasMulticast()))('and invites go by user id alone', { timeout: LIMIT_MS }, async () => {
  const [a, b] = [await start('a'), await start('b')]
  const ann = await register(join(folder, 'a'), () => a.clientApi, 'ann')
  const ben = await register(join(folder, 'b'), () => b.clientApi, 'ben')
  const { room_id: roomId } = await ann.ok('POST', 'v3/createRoom', {})
  const invite = (): ReturnType<typeof ann.ask> =>
    ann.ask('POST', `v3/rooms/${encodeURIComponent(roomId as string)}/invite`, { user_id: ben.userId })
  const end = Date.now() + LIMIT_MS / 2
  let reply = await invite()
  while (reply.status !== 200 && Date.now() < end) {
    await setTimeout(100)
    reply = await invite()
  }
  expect(reply.status).toBe(200)
})

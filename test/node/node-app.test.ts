/** The headless node as its operator and its users meet it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RoomId } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { register, request, startNodeApp, type NodeApp, type Person } from '../kit/node-app.ts'

let data = ''
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'plexus-node-'))
})
afterEach(() => rmSync(data, { recursive: true, force: true }))

const textOf = async (url: string): Promise<readonly [number, string]> => {
  const response = await fetch(url)
  return [response.status, await response.text()]
}

async function roomOf(person: Person, more: Readonly<Record<string, string>> = {}): Promise<RoomId> {
  return (await person.ok('POST', 'v3/createRoom', { preset: 'public_chat', ...more }))['room_id'] as RoomId
}

describe('a headless node', { timeout: 60_000 }, () => {
  it('serves several users, tells its operator how it is, and comes back as it was', async () => {
    let node: NodeApp = await startNodeApp(data)
    const at = (): string => node.clientApi
    const ann = await register(data, at, 'ann')
    const ben = await register(data, at, 'ben')
    expect(ann.userId).toBe(`@ann:${node.serverName}`)
    const roomId = await roomOf(ann)
    await ben.ok('POST', `v3/join/${encodeURIComponent(roomId)}`, {})
    await ann.say(roomId, 't1', 'hello')
    expect(await ben.texts(roomId)).toEqual(['hello'])

    expect(await textOf(`${node.admin}health`)).toEqual([200, 'ok\n'])
    expect(await textOf(`${node.admin}ready`)).toEqual([200, 'ok\n'])
    const [status, metrics] = await textOf(`${node.admin}metrics`)
    expect(status).toBe(200)
    expect(metrics).toMatch(/^plexus_client_request_seconds_count\{method="PUT",status="200"\} 1$/m)
    expect(metrics).toMatch(/^plexus_stream_position \d+$/m)
    expect((await textOf(`${node.admin}other`))[0]).toBe(404)
    await ben.ok('POST', `v3/rooms/${encodeURIComponent(roomId)}/report`, { reason: 'too friendly' })
    const [, reports] = await textOf(`${node.admin}reports`)
    expect(JSON.parse(reports)).toMatchObject([{ by: ben.userId, roomId, reason: 'too friendly' }])

    const identifier = { type: 'm.id.user', user: 'ann' }
    const login = { type: 'm.login.password', identifier, password: 'correct horse battery' }
    expect((await ann.ask('POST', 'v3/login', login)).status).toBe(200)
    const seen = { last_seen_ip: '127.0.0.1' }
    expect(await ann.ok('GET', 'v3/devices')).toMatchObject({ devices: [seen, seen] })

    const { serverName } = node
    expect(await node.stop('SIGTERM')).toBe(0)
    expect(node.output()).not.toMatch(/"level":50/)
    node = await startNodeApp(data)
    expect(node.serverName).toBe(serverName)
    expect(await ann.texts(roomId)).toEqual(['hello'])
    expect(await node.stop('SIGINT')).toBe(0)
  })

  it('answers what waits when it stops', async () => {
    await using node = await startNodeApp(data)
    const ann = await register(data, () => node.clientApi, 'ann')
    const { next_batch: since } = await ann.ok('GET', 'v3/sync')
    const waiting = ann.ask('GET', `v3/sync?timeout=60000&since=${since as string}`).catch(() => 'cut')
    const begun = performance.now()
    expect(await node.stop('SIGTERM')).toBe(0)
    await waiting
    expect(performance.now() - begun).toBeLessThan(10_000)
  })

  it('lets make an account who has the token, everybody or nobody', async () => {
    const body = { username: 'ann', password: 'correct horse battery' }
    const answers: number[] = []
    for (const mode of ['token', 'closed', 'open']) {
      await using node = await startNodeApp(data, [], { PLEXUS_REGISTRATION: mode })
      const dummy = { ...body, auth: { type: 'm.login.dummy' } }
      answers.push((await request(node.clientApi, 'POST', 'v3/register', { body: dummy })).status)
    }
    expect(answers).toEqual([401, 403, 200])
  })

  it('limits what one client asks for, unless it is told not to', async () => {
    const tries = async (args: readonly string[]): Promise<number> => {
      await using node = await startNodeApp(data, args)
      const statuses = await Promise.all(
        Array.from({ length: 40 }, () =>
          request(node.clientApi, 'GET', 'v3/register/available?username=ann').then(({ status }) => status),
        ),
      )
      return statuses.filter((status) => status === 429).length
    }
    expect(await tries([])).toBeGreaterThan(10)
    expect(await tries(['--rate-limits', 'off'])).toBe(0)
  })

  it('keeps its name, and a second one off its data', async () => {
    await using node = await startNodeApp(data, ['--server-name', 'first.example'])
    expect(node.serverName).toBe('first.example')
    await expect(startNodeApp(data)).rejects.toThrow(
      /ended with 1:\nplexus node: a node already runs on the data/,
    )
    await node.stop()
    await expect(startNodeApp(data, ['--server-name', 'second.example'])).rejects.toThrow(
      /ended with 1:\nplexus node: the data folder is of first\.example/,
    )
  })

  it('says which flag is wrong, in one line', async () => {
    await expect(startNodeApp(data, ['--registration', 'maybe'])).rejects.toThrow(
      /ended with 2:\nplexus node: --registration must be one of open, token, closed\n$/,
    )
    const taken = await startNodeApp(data)
    const { port } = new URL(taken.admin)
    const other = mkdtempSync(join(tmpdir(), 'plexus-node-'))
    await expect(startNodeApp(other, ['--client-api', `127.0.0.1:${port}`])).rejects.toThrow(
      /plexus node: port \d+ is taken: stop what uses it, or choose another with --client-api/,
    )
    await taken.stop()
    rmSync(other, { recursive: true, force: true })
  })
})

/** A bridge of matrix-bot-sdk as an application service of a headless node. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject, RoomId } from '@plexus/core'
import { Appservice, LogLevel, LogService, type IAppserviceRegistration } from 'matrix-bot-sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../kit/free-port.ts'
import { register, startNodeApp, type NodeApp, type Person } from '../kit/node-app.ts'

let data = ''
let node: NodeApp
let bridge: Appservice
let ann: Person

beforeAll(async () => {
  LogService.setLevel(LogLevel.ERROR)
  data = mkdtempSync(join(tmpdir(), 'plexus-node-'))
  const port = await freePort()
  const registration: IAppserviceRegistration = {
    id: 'pigeons',
    url: `http://127.0.0.1:${port}`,
    as_token: 'token-of-the-service',
    hs_token: 'token-of-the-node',
    sender_localpart: '_pigeon_bot',
    namespaces: {
      users: [{ exclusive: true, regex: '@_pigeon_.*' }],
      rooms: [],
      aliases: [{ exclusive: true, regex: '#_pigeon_.*' }],
    },
  }
  const file = join(data, 'pigeons.yaml')
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(registration))
  node = await startNodeApp(data, ['--appservice', file])
  ann = await register(data, () => node.clientApi, 'ann')
  bridge = new Appservice({
    port,
    bindAddress: '127.0.0.1',
    homeserverName: node.serverName,
    homeserverUrl: node.clientApi.replace(/\/$/, ''),
    registration,
  })
  await bridge.begin()
})
afterAll(async () => {
  bridge.stop()
  await node.stop()
  rmSync(data, { recursive: true, force: true })
})

type Message = JsonObject & { readonly sender: string; readonly content: { readonly body?: string } }

describe('a bridge', () => {
  it('speaks as its users, and hears what is said to them', async () => {
    const zoe = bridge.getIntentForSuffix('zoe')
    await zoe.ensureRegistered()
    await zoe.underlyingClient.setDisplayName('Zoe the pigeon')
    const heard = new Promise<Message>((resolve) => {
      bridge.on('room.message', (_: string, event: Message) => {
        if (event.sender === ann.userId) resolve(event)
      })
    })
    const invited = new Promise<string>((resolve) => {
      bridge.on('room.invite', (roomId: string) => resolve(roomId))
    })
    const { room_id: roomId } = await ann.ok('POST', 'v3/createRoom', {
      preset: 'private_chat',
      invite: [zoe.userId],
    })
    expect(await invited).toBe(roomId)
    await zoe.joinRoom(roomId as string)
    await ann.say(roomId as RoomId, 't1', 'coo?')
    expect((await heard).content.body).toBe('coo?')
    await zoe.sendText(roomId as string, 'coo!')
    await expect.poll(async () => ann.texts(roomId as RoomId), { timeout: 20_000 }).toEqual(['coo?', 'coo!'])
  })

  it('makes rooms and users when somebody asks for them', async () => {
    bridge.on('query.room', (alias: string, create: (room: JsonObject) => void) => {
      create({ preset: 'public_chat', name: `About ${alias.slice(1, 13)}` })
    })
    const alias = `#_pigeon_loft:${node.serverName}`
    const { room_id: roomId } = await ann.ok('POST', `v3/join/${encodeURIComponent(alias)}`, {})
    const name = `v3/rooms/${encodeURIComponent(roomId as string)}/state/m.room.name/`
    expect((await ann.ok('GET', name))['name']).toBe('About _pigeon_loft')
    bridge.on('query.user', (_: string, create: (profile: JsonObject) => void) => {
      create({ display_name: 'A new pigeon' })
    })
    const user = encodeURIComponent(`@_pigeon_new:${node.serverName}`)
    expect(await ann.ok('GET', `v3/profile/${user}`)).toMatchObject({ displayname: 'A new pigeon' })
  })

  it('keeps others out of what is its own', async () => {
    const taken = { alias: `#_pigeon_mine:${node.serverName}` }
    const made = await ann.ok('POST', 'v3/createRoom', {})
    const reply = await ann.ask('PUT', `v3/directory/room/${encodeURIComponent(taken.alias)}`, made)
    expect(reply).toMatchObject({ status: 400, body: { errcode: 'M_EXCLUSIVE' } })
  })
})

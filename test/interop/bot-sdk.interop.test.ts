/** A bot of matrix-bot-sdk on a headless node over HTTP: it joins when it is invited, and answers. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject, RoomId } from '@plexus/core'
import {
  AutojoinRoomsMixin,
  LogLevel,
  LogService,
  MatrixAuth,
  MatrixClient,
  MemoryStorageProvider,
  RichReply,
} from 'matrix-bot-sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { register, startNodeApp, type NodeApp, type Person } from '../kit/node-app.ts'

let data = ''
let node: NodeApp
let ann: Person
let bot: MatrixClient

beforeAll(async () => {
  LogService.setLevel(LogLevel.ERROR)
  data = mkdtempSync(join(tmpdir(), 'plexus-node-'))
  node = await startNodeApp(data)
  const at = (): string => node.clientApi
  ann = await register(data, at, 'ann')
  await register(data, at, 'bot')
  const home = node.clientApi.replace(/\/$/, '')
  const { accessToken } = await new MatrixAuth(home).passwordLogin('bot', 'correct horse battery', 'Bot')
  bot = new MatrixClient(home, accessToken, new MemoryStorageProvider())
  AutojoinRoomsMixin.setupOnClient(bot)
})
afterAll(async () => {
  bot.stop()
  await node.stop()
  rmSync(data, { recursive: true, force: true })
})

type Message = JsonObject & { readonly sender: string; readonly content: { readonly body?: string } }

describe('a bot', () => {
  it('joins when it is invited, and replies to what it is told', async () => {
    const own = await bot.getUserId()
    bot.on('room.message', (roomId: string, event: Message) => {
      if (event.sender === own || event.content.body !== '!ping') return
      const reply = RichReply.createFor(roomId, event, 'pong', '<b>pong</b>') as JsonObject
      void bot.sendMessage(roomId, { ...reply, msgtype: 'm.notice' })
    })
    await bot.start()
    const joined = new Promise<string>((resolve) => {
      bot.once('room.join', (roomId: string) => resolve(roomId))
    })
    const { room_id: roomId } = await ann.ok('POST', 'v3/createRoom', {
      preset: 'private_chat',
      invite: [own],
    })
    expect(await joined).toBe(roomId)
    await ann.say(roomId as RoomId, 't1', '!ping')
    await expect
      .poll(async () => (await ann.texts(roomId as RoomId)).join(), { timeout: 20_000 })
      .toContain('pong')
  })

  it('makes rooms, keeps state and account data, and finds its way by aliases', async () => {
    const roomId = await bot.createRoom({ preset: 'public_chat', room_alias_name: 'bots', name: 'Bots' })
    const alias = `#bots:${node.serverName}`
    expect(await bot.resolveRoom(alias)).toBe(roomId)
    await bot.sendStateEvent(roomId, 'm.test', 'key', { a: 1 })
    expect(await bot.getRoomStateEvent(roomId, 'm.test', 'key')).toEqual({ a: 1 })
    await bot.setAccountData('m.test', { b: 2 })
    expect(await bot.getAccountData('m.test')).toEqual({ b: 2 })
    await bot.setDisplayName('Botty')
    expect(await bot.getUserProfile(await bot.getUserId())).toMatchObject({ displayname: 'Botty' })
    await ann.ok('POST', `v3/join/${encodeURIComponent(alias)}`, {})
    const members = [await bot.getUserId(), ann.userId]
    expect(await bot.getJoinedRoomMembers(roomId)).toEqual(expect.arrayContaining(members))
    expect(await bot.userHasPowerLevelFor(ann.userId, roomId, 'm.room.name', true)).toBe(false)
    await bot.kickUser(ann.userId, roomId, 'no bot')
    expect(await bot.getJoinedRoomMembers(roomId)).toEqual([members[0]])
    const eventId = await bot.sendText(roomId, 'to be gone')
    await bot.redactEvent(roomId, eventId)
    expect((await bot.getEvent(roomId, eventId)) as JsonObject).toMatchObject({ content: {} })
  })

  it('sends files, and reads them again', async () => {
    const bytes = Buffer.from('what a bot sends')
    const uri = await bot.uploadContent(bytes, 'text/plain', 'bot.txt')
    const { data: read, contentType } = await bot.downloadContent(uri)
    expect(read).toEqual(bytes)
    expect(contentType).toMatch(/^text\/plain/)
  })
})

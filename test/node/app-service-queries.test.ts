/** What a headless node asks application services for, and what they publish. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject } from '@plexus/core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { OK, startTestService, type ServiceAnswer, type TestService } from '../kit/app-service.ts'
import { register, startNodeApp, type NodeApp, type Person, type Reply } from '../kit/node-app.ts'

const NOT_FOUND: ServiceAnswer = { status: 404, body: { errcode: 'M_NOT_FOUND' } }
const PROTOCOL: JsonObject = {
  icon: '',
  user_fields: ['nickname'],
  location_fields: ['channel'],
  field_types: {
    nickname: { regexp: '.+', placeholder: 'nick' },
    channel: { regexp: '#.+', placeholder: '#a' },
  },
  instances: [{ desc: 'Libera', fields: {}, network_id: 'libera' }],
}

describe('application services are asked', { timeout: 60_000 }, () => {
  const data = mkdtempSync(join(tmpdir(), 'plexus-queries-'))
  let node: NodeApp
  let bridge: TestService
  let ann: Person
  beforeAll(async () => {
    bridge = await startTestService('irc')
    node = await startNodeApp(data, ['--appservice', bridge.register(data, { protocols: ['irc'] })])
    ann = await register(data, () => node.clientApi, 'ann')
  }, 60_000)
  afterEach(() => {
    bridge.answer = () => OK
  })
  afterAll(async () => {
    await node.stop()
    await bridge[Symbol.asyncDispose]()
    rmSync(data, { recursive: true, force: true })
  })

  const alias = (name: string): string => `#${name}:${node.serverName}`
  const userId = (name: string): string => `@${name}:${node.serverName}`
  const make = async (method: string, path: string, body: JsonObject): Promise<JsonObject> => {
    const reply = await bridge.ask(node.clientApi, method, path, { body })
    expect(reply).toMatchObject({ status: 200 })
    return reply.body
  }
  const refusal = ({ status, body }: Reply): readonly unknown[] => [status, body['errcode']]
  /** Paths that it was asked for since, without transactions. */
  const askedSince = (from: number): readonly string[] =>
    bridge.asked
      .slice(from)
      .map(({ path }) => path.replace('/_matrix/app/v1/', ''))
      .filter((path) => !path.startsWith('transactions'))

  it('for rooms that are to be joined, which they may make', async () => {
    const from = bridge.asked.length
    bridge.answer = async ({ path }) => {
      if (!path.includes('/rooms/')) return OK
      await make('POST', 'v3/createRoom', { room_alias_name: '_irc_new', preset: 'public_chat' })
      return OK
    }
    const joined = await ann.ok('POST', `v3/join/${encodeURIComponent(alias('_irc_new'))}`, {})
    const found = await ann.ok('GET', `v3/directory/room/${encodeURIComponent(alias('_irc_new'))}`)
    expect(found['room_id']).toBe(joined['room_id'])
    expect(askedSince(from)).toEqual([`rooms/${encodeURIComponent(alias('_irc_new'))}`])
  })

  it('for no room that is not theirs, and not by themselves', async () => {
    const from = bridge.asked.length
    bridge.answer = () => NOT_FOUND
    const path = (name: string): string => `v3/directory/room/${encodeURIComponent(alias(name))}`
    expect(refusal(await bridge.ask(node.clientApi, 'GET', path('_irc_none')))).toEqual([404, 'M_NOT_FOUND'])
    expect(refusal(await ann.ask('GET', path('other')))).toEqual([404, 'M_NOT_FOUND'])
    expect(askedSince(from)).toEqual([])
    for (let count = 0; count < 2; count += 1)
      expect(refusal(await ann.ask('GET', path('_irc_none')))).toEqual([404, 'M_NOT_FOUND'])
    expect(askedSince(from)).toHaveLength(1)
  })

  it('for users of whom a profile is asked for, or who are invited', async () => {
    const from = bridge.asked.length
    bridge.answer = async ({ path }) => {
      const [, name] = /\/users\/%40(_irc_[a-z]+)%3A/.exec(path) ?? []
      if (name === undefined || name === '_irc_none') return NOT_FOUND
      const body = { type: 'm.login.application_service', username: name, inhibit_login: true }
      await make('POST', 'v3/register', body)
      return OK
    }
    expect((await ann.ask('GET', `v3/profile/${userId('_irc_zoe')}`)).status).toBe(200)
    expect(refusal(await ann.ask('GET', `v3/profile/${userId('_irc_none')}`))).toEqual([404, 'M_NOT_FOUND'])
    const invite = { user_id: userId('_irc_max') }
    const { room_id: roomId } = await ann.ok('POST', 'v3/createRoom', { invite: [userId('_irc_moe')] })
    await ann.ok('POST', `v3/rooms/${encodeURIComponent(roomId as string)}/invite`, invite)
    expect(askedSince(from)).toEqual(
      ['_irc_zoe', '_irc_none', '_irc_moe', '_irc_max'].map(
        (name) => `users/${encodeURIComponent(userId(name))}`,
      ),
    )
  })

  it('several times, after which the client hears that nobody answered', async () => {
    const from = bridge.asked.length
    bridge.answer = () => Promise.reject(new Error('cut'))
    const path = `v3/directory/room/${encodeURIComponent(alias('_irc_cut'))}`
    expect((await ann.ask('GET', path)).status).toBe(408)
    expect(askedSince(from)).toHaveLength(3)
  })

  it('about their networks', async () => {
    const channel = { alias: alias('_irc_plexus'), protocol: 'irc', fields: { channel: '#plexus' } }
    const nick = { userid: userId('_irc_zoe'), protocol: 'irc', fields: { nickname: 'zoe' } }
    bridge.answer = ({ path }) => {
      if (path.includes('/protocol/')) return { status: 200, body: PROTOCOL }
      return { status: 200, body: [path.includes('/location') ? channel : nick] }
    }
    const shown = {
      ...PROTOCOL,
      instances: [{ desc: 'Libera', fields: {}, network_id: 'libera', instance_id: 'irc|libera' }],
    }
    expect(await ann.ok('GET', 'v3/thirdparty/protocols')).toEqual({ irc: shown })
    expect(await ann.ok('GET', 'v3/thirdparty/protocol/irc')).toEqual(shown)
    expect(refusal(await ann.ask('GET', 'v3/thirdparty/protocol/mail'))).toEqual([404, 'M_NOT_FOUND'])
    const from = bridge.asked.length
    expect(await ann.ok('GET', 'v3/thirdparty/location/irc?channel=%23plexus')).toEqual([channel])
    expect(await ann.ok('GET', 'v3/thirdparty/user/irc?nickname=zoe&nickname=max')).toEqual([nick])
    expect(
      await ann.ok('GET', `v3/thirdparty/location?alias=${encodeURIComponent(alias('_irc_plexus'))}`),
    ).toEqual([channel])
    expect(await ann.ok('GET', `v3/thirdparty/user?userid=${userId('_irc_zoe')}`)).toEqual([nick])
    expect(askedSince(from)).toEqual([
      'thirdparty/location/irc?channel=%23plexus',
      'thirdparty/user/irc?nickname=zoe',
      `thirdparty/location?alias=${encodeURIComponent(alias('_irc_plexus'))}`,
      `thirdparty/user?userid=${encodeURIComponent(userId('_irc_zoe'))}`,
    ])
    const many = new URLSearchParams(Array.from({ length: 33 }, (_, index) => [`f${index}`, 'x']))
    expect((await ann.ask('GET', `v3/thirdparty/user/irc?${many.toString()}`)).status).toBe(400)
  })

  it('for nothing to publish rooms of their networks', async () => {
    const made = await make('POST', 'v3/createRoom', { preset: 'public_chat', name: 'portal' })
    const roomId = made['room_id'] as string
    const path = `v3/directory/list/appservice/libera/${encodeURIComponent(roomId)}`
    const listed = async (body: JsonObject): Promise<readonly unknown[]> =>
      ((await ann.ok('POST', 'v3/publicRooms', body))['chunk'] as readonly JsonObject[]).map(
        ({ room_id: id }) => id,
      )
    expect(refusal(await ann.ask('PUT', path, { visibility: 'public' }))).toEqual([403, 'M_FORBIDDEN'])
    const nowhere = `v3/directory/list/appservice/libera/${encodeURIComponent('!nowhere:a.example')}`
    const missing = await bridge.ask(node.clientApi, 'PUT', nowhere, { body: { visibility: 'public' } })
    expect(refusal(missing)).toEqual([404, 'M_NOT_FOUND'])
    await make('PUT', path, { visibility: 'public' })
    expect(await listed({})).toEqual([])
    expect(await listed({ third_party_instance_id: 'irc|libera' })).toEqual([roomId])
    expect(await listed({ third_party_instance_id: 'irc|other' })).toEqual([])
    expect(await listed({ include_all_networks: true })).toEqual([roomId])
    const both = { include_all_networks: true, third_party_instance_id: 'irc|libera' }
    expect(refusal(await ann.ask('POST', 'v3/publicRooms', both))).toEqual([400, 'M_INVALID_PARAM'])
    await make('PUT', path, { visibility: 'private' })
    expect(await listed({ include_all_networks: true })).toEqual([])
  })
})

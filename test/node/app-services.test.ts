/** Application services of a headless node, as a bridge meets it: who it may be, and what is its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonObject } from '@plexus/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestService, type TestService } from '../kit/app-service.ts'
import { register, request, startNodeApp, type NodeApp, type Person, type Reply } from '../kit/node-app.ts'

const SERVICE_LOGIN = 'm.login.application_service'

describe('an application service', { timeout: 60_000 }, () => {
  const data = mkdtempSync(join(tmpdir(), 'plexus-services-'))
  let node: NodeApp
  let bridge: TestService
  let other: TestService
  let ann: Person
  beforeAll(async () => {
    bridge = await startTestService('irc')
    other = await startTestService('mail')
    node = await startNodeApp(data, [
      '--appservice',
      bridge.register(data),
      '--appservice',
      other.register(data, { url: null, rate_limited: true }),
    ])
    ann = await register(data, () => node.clientApi, 'ann')
  }, 60_000)
  afterAll(async () => {
    await node.stop()
    await bridge[Symbol.asyncDispose]()
    await other[Symbol.asyncDispose]()
    rmSync(data, { recursive: true, force: true })
  })

  const userId = (localpart: string): string => `@${localpart}:${node.serverName}`
  const ask = (
    method: string,
    path: string,
    init: { as?: string; device?: string; body?: JsonObject; query?: Record<string, string> } = {},
  ): Promise<Reply> =>
    bridge.ask(node.clientApi, method, path, {
      query: {
        ...(init.as === undefined ? {} : { user_id: userId(init.as) }),
        ...(init.device === undefined ? {} : { device_id: init.device }),
        ...init.query,
      },
      ...(init.body === undefined ? {} : { body: init.body }),
    })
  const ok = async (...args: Parameters<typeof ask>): Promise<JsonObject> => {
    const reply = await ask(...args)
    expect(reply).toMatchObject({ status: 200 })
    return reply.body
  }
  const registerUser = (username: string, more: JsonObject = {}): Promise<Reply> =>
    ask('POST', 'v3/register', { body: { type: SERVICE_LOGIN, username, inhibit_login: true, ...more } })
  const refusal = ({ status, body }: Reply): readonly unknown[] => [status, body['errcode']]

  it('is its sender unless it says who it is', async () => {
    expect(await ok('GET', 'v3/account/whoami')).toEqual({ user_id: userId('_irc_bot'), is_guest: false })
    await registerUser('_irc_zoe')
    expect(await ok('GET', 'v3/account/whoami', { as: '_irc_zoe' })).toMatchObject({
      user_id: userId('_irc_zoe'),
    })
  })

  it.each([
    ['somebody outside of its namespace', { as: 'ann' }, [403, 'M_FORBIDDEN']],
    ['somebody whom it has not registered', { as: '_irc_nobody' }, [403, 'M_FORBIDDEN']],
    ['what is no user', { query: { user_id: 'zoe' } }, [400, 'M_INVALID_PARAM']],
    [
      'a user of its namespace elsewhere',
      { query: { user_id: '@_irc_zoe:elsewhere.example' } },
      [403, 'M_FORBIDDEN'],
    ],
    ['a device that is not there', { device: 'NONE' }, [400, 'M_UNKNOWN_DEVICE']],
  ])('is not %s', async (_, init, why) => {
    expect(refusal(await ask('GET', 'v3/account/whoami', init))).toEqual(why)
  })

  it('registers users without a password, with a session or without', async () => {
    const body = await ok('POST', 'v3/register', { body: { type: SERVICE_LOGIN, username: '_irc_max' } })
    expect(body).toMatchObject({ user_id: userId('_irc_max') })
    const token = body['access_token'] as string
    expect((await request(node.clientApi, 'GET', 'v3/account/whoami', { token })).status).toBe(200)
    expect((await registerUser('_irc_moe')).body).not.toHaveProperty('access_token')
    expect(refusal(await registerUser('_irc_moe'))).toEqual([400, 'M_USER_IN_USE'])
    expect(refusal(await registerUser('moe'))).toEqual([400, 'M_EXCLUSIVE'])
    expect(refusal(await registerUser('_mail_moe'))).toEqual([400, 'M_EXCLUSIVE'])
    expect(refusal(await ask('POST', 'v3/register', { body: { type: SERVICE_LOGIN } }))).toEqual([
      400,
      'M_MISSING_PARAM',
    ])
  })

  it('logs in as its users', async () => {
    await registerUser('_irc_lou')
    const login = (user: string): Promise<Reply> =>
      ask('POST', 'v3/login', { body: { type: SERVICE_LOGIN, identifier: { type: 'm.id.user', user } } })
    expect((await login('_irc_lou')).body).toMatchObject({ user_id: userId('_irc_lou') })
    expect(refusal(await login('ann'))).toEqual([400, 'M_EXCLUSIVE'])
    expect(refusal(await login('_irc_nobody'))).toEqual([403, 'M_FORBIDDEN'])
    const flows = await request(node.clientApi, 'GET', 'v3/login')
    expect(flows.body['flows']).toContainEqual({ type: SERVICE_LOGIN })
  })

  it.each(['v3/register', 'v3/login'])('is asked for its token at %s', async (path) => {
    const body = {
      type: SERVICE_LOGIN,
      username: '_irc_x',
      identifier: { type: 'm.id.user', user: '_irc_x' },
    }
    expect(refusal(await request(node.clientApi, 'POST', path, { body }))).toEqual([401, 'M_MISSING_TOKEN'])
    expect(refusal(await request(node.clientApi, 'POST', path, { body, token: 'wrong' }))).toEqual([
      401,
      'M_UNKNOWN_TOKEN',
    ])
  })

  it('has its names for itself', async () => {
    const available = (username: string): Promise<Reply> =>
      request(node.clientApi, 'GET', `v3/register/available?username=${username}`)
    expect(refusal(await available('_irc_anybody'))).toEqual([400, 'M_EXCLUSIVE'])
    const body = { username: '_irc_anybody', password: 'correct horse battery' }
    expect(refusal(await request(node.clientApi, 'POST', 'v3/register', { body }))).toEqual([
      400,
      'M_EXCLUSIVE',
    ])
    const made = await ann.ok('POST', 'v3/createRoom', {})
    const alias = `#_irc_room:${node.serverName}`
    const path = `v3/directory/room/${encodeURIComponent(alias)}`
    expect(refusal(await ann.ask('PUT', path, { room_id: made['room_id'] as string }))).toEqual([
      400,
      'M_EXCLUSIVE',
    ])
    expect(refusal(await ann.ask('POST', 'v3/createRoom', { room_alias_name: '_irc_room' }))).toEqual([
      400,
      'M_EXCLUSIVE',
    ])
    expect(refusal(await ask('POST', 'v3/createRoom', { body: { room_alias_name: 'room' } }))).toEqual([
      400,
      'M_EXCLUSIVE',
    ])
    await registerUser('_irc_owner')
    await ok('POST', 'v3/createRoom', { as: '_irc_owner', body: { room_alias_name: '_irc_room' } })
    expect(refusal(await ann.ask('DELETE', path))).toEqual([400, 'M_EXCLUSIVE'])
    await ok('DELETE', path)
  })

  it('makes and deletes devices, and gives them keys, without asking anybody', async () => {
    await registerUser('_irc_dev')
    const as = '_irc_dev'
    expect(refusal(await ask('POST', 'v3/keys/upload', { as, body: {} }))).toEqual([400, 'M_MISSING_PARAM'])
    expect((await ask('PUT', 'v3/devices/BOX', { as, body: { display_name: 'box' } })).status).toBe(201)
    expect((await ask('PUT', 'v3/devices/BOX', { as, body: { display_name: 'new' } })).status).toBe(200)
    expect(await ok('GET', 'v3/account/whoami', { as, device: 'BOX' })).toMatchObject({ device_id: 'BOX' })
    const own = { query: { user_id: userId('_irc_dev') } }
    expect(await ok('GET', 'v3/devices', own)).toMatchObject({
      devices: [{ device_id: 'BOX', display_name: 'new' }],
    })
    await ok('POST', 'v3/keys/upload', { as, device: 'BOX', body: {} })
    await ok('GET', 'v3/sync', { as })
    await ok('DELETE', 'v3/devices/BOX', { as, body: {} })
    expect(await ok('GET', 'v3/devices', own)).toEqual({ devices: [] })
    expect(refusal(await ann.ask('PUT', 'v3/devices/BOX', {}))).toEqual([404, 'M_NOT_FOUND'])
  })

  it('says when its events were, which others cannot', async () => {
    await registerUser('_irc_past')
    const as = '_irc_past'
    const { room_id: roomId } = await ok('POST', 'v3/createRoom', { as, body: {} })
    const room = `v3/rooms/${encodeURIComponent(roomId as string)}`
    const timeOf = async (event: JsonObject): Promise<unknown> =>
      (await ok('GET', `${room}/event/${encodeURIComponent(event['event_id'] as string)}`, { as }))[
        'origin_server_ts'
      ]
    const query = { ts: '1234567890000' }
    expect(await timeOf(await ok('PUT', `${room}/send/m.x/1`, { as, body: {}, query }))).toBe(
      1_234_567_890_000,
    )
    expect(await timeOf(await ok('PUT', `${room}/state/m.x`, { as, body: {}, query }))).toBe(
      1_234_567_890_000,
    )
    const member = `${room}/state/m.room.member/${encodeURIComponent(userId(as))}`
    const body = { membership: 'join', displayname: 'Past' }
    expect(await timeOf(await ok('PUT', member, { as, body, query }))).toBe(1_234_567_890_000)
    for (const ts of ['-1', '1e3', '9007199254740993', 'now'])
      expect((await ask('PUT', `${room}/send/m.x/2`, { as, body: {}, query: { ts } })).status).toBe(400)
    const { room_id: own } = await ann.ok('POST', 'v3/createRoom', {})
    const path = `v3/rooms/${encodeURIComponent(own as string)}`
    const { event_id: id } = await ann.ok('PUT', `${path}/send/m.x/1?ts=1`, {})
    const event = await ann.ok('GET', `${path}/event/${encodeURIComponent(id as string)}`)
    expect(event['origin_server_ts']).toBeGreaterThan(1_700_000_000_000)
  })

  it('is not limited where its registration says so, and its sender never', async () => {
    const many = async (service: TestService, query: Record<string, string>): Promise<number> => {
      const replies = await Promise.all(
        Array.from({ length: 80 }, () =>
          service.ask(node.clientApi, 'POST', `v1/appservice/none/ping`, { query, body: {} }),
        ),
      )
      return replies.filter(({ status }) => status === 429).length
    }
    await registerUser('_irc_fast')
    expect(await many(bridge, { user_id: userId('_irc_fast') })).toBe(0)
    const slow = { type: SERVICE_LOGIN, username: '_mail_slow', inhibit_login: true }
    await other.ask(node.clientApi, 'POST', 'v3/register', { body: slow })
    expect(await many(other, {})).toBe(0)
    expect(await many(other, { user_id: userId('_mail_slow') })).toBeGreaterThan(10)
  })

  describe('asks for a ping', () => {
    const ping = (id = 'irc'): Promise<Reply> =>
      ask('POST', `v1/appservice/${id}/ping`, { body: { transaction_id: 'meow' } })

    it('and gets one with its token', async () => {
      expect((await ping()).body['duration_ms']).toBeGreaterThanOrEqual(0)
      expect(bridge.asked.findLast(({ path }) => path.endsWith('/ping'))).toMatchObject({
        method: 'POST',
        path: '/_matrix/app/v1/ping',
        authorization: `Bearer ${bridge.hsToken}`,
        body: { transaction_id: 'meow' },
      })
    })

    it('and hears what it answered', async () => {
      const before = bridge.answer
      try {
        bridge.answer = () => ({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
        expect(await ping()).toMatchObject({
          status: 502,
          body: { errcode: 'M_BAD_STATUS', status: 403, body: '{"errcode":"M_FORBIDDEN"}' },
        })
        bridge.answer = () => ({ status: 200, body: 'x'.repeat(100_000) })
        expect(refusal(await ping())).toEqual([502, 'M_CONNECTION_FAILED'])
        bridge.answer = () => Promise.reject(new Error('cut'))
        expect(refusal(await ping())).toEqual([502, 'M_CONNECTION_FAILED'])
      } finally {
        bridge.answer = before
      }
    })

    it('for itself only, and where it has a URL', async () => {
      expect(refusal(await ping('mail'))).toEqual([403, 'M_FORBIDDEN'])
      expect(refusal(await ann.ask('POST', 'v1/appservice/irc/ping', {}))).toEqual([403, 'M_FORBIDDEN'])
      const without = await other.ask(node.clientApi, 'POST', 'v1/appservice/mail/ping', { body: {} })
      expect(refusal(without)).toEqual([400, 'M_URL_NOT_SET'])
    })
  })
})

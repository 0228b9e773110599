/** Accounts, devices and user-interactive authentication by the Client-Server API; answers are held to its definitions. */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, createApiClient, list, pick, text } from '../kit/api-client.ts'
import type { ApiClient } from '../kit/api-client.ts'
import { createTestNetwork } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { crossSigningKey, oneTimeKeys, testKey } from '../engine/users-kit.ts'

const PASSWORD = 'correct horse battery'
const DUMMY = { type: 'm.login.dummy' }

const HOUR_MS = 3_600_000

describe('accounts', () => {
  let network: TestNetwork
  let alice: Member

  beforeEach(async () => {
    network = await createTestNetwork(['alice'])
    ;[alice] = network.members as [Member]
  })
  afterEach(() => network.close())

  const anonymous = (): ApiClient => clientWith(undefined)
  const clientWith = (accessToken: string | undefined): ApiClient =>
    createApiClient(alice.node.clientApi, { userId: alice.user, accessToken })
  const register = (localpart: string, more: JsonObject = {}): Promise<JsonObject> =>
    anonymous().ok('POST', 'v3/register', {
      body: { auth: DUMMY, username: localpart, password: PASSWORD, ...more },
    })
  const login = (user: string, more: JsonObject = {}) =>
    anonymous().ask('POST', 'v3/login', {
      body: {
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user },
        password: PASSWORD,
        ...more,
      },
    })
  const proof = (session: string, password = PASSWORD): JsonObject => ({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'carol' },
    password,
    session,
  })

  describe('registration', () => {
    it('goes by stages', async () => {
      const first = await anonymous().ask('POST', 'v3/register', {
        body: { username: 'carol', password: PASSWORD },
      })
      expect(first.status).toBe(401)
      expect(first.body).toMatchObject({ flows: [{ stages: ['m.login.dummy'] }] })
      const session = text(first.body, 'session')
      const body = await register('carol', { auth: { ...DUMMY, session }, device_id: 'PHONE' })
      expect(body).toMatchObject({ user_id: alice.node.userId('carol'), device_id: 'PHONE' })
      const whoami = await clientWith(text(body, 'access_token')).ok('GET', 'v3/account/whoami')
      expect(whoami).toEqual({ user_id: alice.node.userId('carol'), device_id: 'PHONE', is_guest: false })
    })

    it('makes small letters of capitals, which is what a name is in', async () => {
      expect(await register('Carol-A')).toMatchObject({ user_id: alice.node.userId('carol-a') })
    })

    it('makes a name up, and opens no session when none is wanted', async () => {
      const body = await anonymous().ok('POST', 'v3/register', { body: { auth: DUMMY, inhibit_login: true } })
      expect(text(body, 'user_id')).toMatch(/^@[a-z0-9]{12}:/)
      expect(body['access_token']).toBeUndefined()
    })

    it.each([
      ['alice', 400, 'M_USER_IN_USE'],
      ['Alice', 400, 'M_USER_IN_USE'],
      ['\u212aelvin', 400, 'M_INVALID_USERNAME'],
      ['', 400, 'M_INVALID_USERNAME'],
      ['x'.repeat(300), 400, 'M_INVALID_USERNAME'],
    ])('refuses the name %j', async (username, status, errcode) => {
      const api = anonymous()
      const body = { auth: DUMMY, username, password: PASSWORD }
      expect(await api.fails('POST', 'v3/register', { body })).toEqual([status, errcode])
      expect(await api.fails('GET', 'v3/register/available', { query: { username } })).toEqual([
        status,
        errcode,
      ])
    })

    it('refuses weak passwords and guests', async () => {
      const api = anonymous()
      const body = { auth: DUMMY, username: 'carol', password: 'short' }
      expect(await api.fails('POST', 'v3/register', { body })).toEqual([400, 'M_WEAK_PASSWORD'])
      const guest = await api.fails('POST', 'v3/register', { query: { kind: 'guest' }, body: {} })
      expect(guest).toEqual([403, 'M_GUEST_ACCESS_FORBIDDEN'])
      expect(await api.ok('GET', 'v3/register/available', { query: { username: 'carol' } })).toEqual({
        available: true,
      })
    })
  })

  describe('login', () => {
    it('takes a localpart or a user id', async () => {
      await register('carol')
      for (const user of ['carol', alice.node.userId('carol'), 'Carol', alice.node.userId('CAROL')]) {
        const { status, body } = await login(user)
        expect(status).toBe(200)
        expect(body).toMatchObject({ user_id: alice.node.userId('carol') })
      }
      const old = await anonymous().ok('POST', 'v3/login', {
        body: { type: 'm.login.password', user: 'carol', password: PASSWORD },
      })
      expect(old).toMatchObject({ user_id: alice.node.userId('carol') })
      expect(await anonymous().ok('GET', 'v3/login')).toEqual({
        flows: [{ type: 'm.login.password' }, { type: 'm.login.token', get_login_token: true }],
      })
    })

    it('takes a token that another client of the user asked for with the password, once', async () => {
      const carol = clientWith(text(await register('carol'), 'access_token'))
      const capability = async (client: ApiClient): Promise<unknown> =>
        pick(await client.ok('GET', 'v3/capabilities'), 'capabilities', 'm.get_login_token', 'enabled')
      expect(await capability(carol)).toBe(true)
      const path = 'v1/login/get_token'
      const asked = await carol.ask('POST', path, { body: {} })
      expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.password'] }] } })
      const auth = { type: 'm.login.password', session: text(asked.body, 'session') }
      const wrong = await carol.ask('POST', path, { body: { auth: { ...auth, password: 'wrong' } } })
      expect(wrong.status).toBe(401)
      const made = await carol.ok('POST', path, { body: { auth: { ...auth, password: PASSWORD } } })
      expect(made).toMatchObject({ expires_in_ms: 120_000 })
      const body = { type: 'm.login.token', token: text(made, 'login_token'), device_id: 'NEXT' }
      const session = await anonymous().ok('POST', 'v3/login', { body })
      expect(session).toMatchObject({ user_id: alice.node.userId('carol'), device_id: 'NEXT' })
      const whoami = await clientWith(text(session, 'access_token')).ok('GET', 'v3/account/whoami')
      expect(whoami).toMatchObject({ user_id: alice.node.userId('carol') })
      expect(await anonymous().fails('POST', 'v3/login', { body })).toEqual([403, 'M_FORBIDDEN'])
      const none = { type: 'm.login.token' }
      expect(await anonymous().fails('POST', 'v3/login', { body: none })).toEqual([400, 'M_MISSING_PARAM'])

      // An account without a password has nothing that would prove who asks.
      const { accessToken } = await alice.node.engine.users.accounts.openSession(alice.user, {})
      expect(await capability(clientWith(accessToken))).toBe(false)
      expect(await clientWith(accessToken).fails('POST', path, { body: {} })).toEqual([400, 'M_UNKNOWN'])
    })

    it('tells a wrong password from an unknown user by nothing', async () => {
      await register('carol')
      const wrong = await login('carol', { password: 'wrong password' })
      const unknown = await login('nobody')
      const elsewhere = await login('@carol:elsewhere.example.org')
      expect(wrong.status).toBe(403)
      expect(unknown).toMatchObject({ status: 403, body: wrong.body })
      expect(elsewhere).toMatchObject({ status: 403, body: wrong.body })
      // An account that was made without a password has none that fits.
      expect(await login('alice', { password: '' })).toMatchObject({ status: 403, body: wrong.body })
    })

    it.each([
      [{ type: 'm.login.sso' }, 'M_UNKNOWN'],
      [{ type: 'm.login.password', identifier: { type: 'm.id.phone' } }, 'M_UNKNOWN'],
      [{ type: 'm.login.password' }, 'M_MISSING_PARAM'],
      [{}, 'M_MISSING_PARAM'],
      [{ type: 7 }, 'M_BAD_JSON'],
    ])('refuses %j', async (body, errcode) => {
      expect(await anonymous().fails('POST', 'v3/login', { body })).toEqual([400, errcode])
    })

    it('on a device that is there ends its session before', async () => {
      const before = text(await register('carol', { device_id: 'PHONE' }), 'access_token')
      const after = text((await login('carol', { device_id: 'PHONE' })).body, 'access_token')
      expect(await clientWith(before).fails('GET', 'v3/account/whoami')).toEqual([401, 'M_UNKNOWN_TOKEN'])
      const devices = await clientWith(after).ok('GET', 'v3/devices')
      expect(list(devices, 'devices').map(({ device_id }) => device_id)).toEqual(['PHONE'])
    })
  })

  describe('a session', () => {
    it('is needed, and must be known', async () => {
      expect(await anonymous().fails('GET', 'v3/account/whoami')).toEqual([401, 'M_MISSING_TOKEN'])
      const { body } = await clientWith('nonsense').ask('GET', 'v3/account/whoami')
      expect(body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: false })
    })

    it('outlives a restart', async () => {
      const token = text(await register('carol'), 'access_token')
      alice = await network.restart(alice)
      expect(await clientWith(token).ok('GET', 'v3/account/whoami')).toMatchObject({
        user_id: alice.node.userId('carol'),
      })
    })

    it('that its client can refresh ends after an hour, and goes on with another token', async () => {
      const made = await register('carol', { refresh_token: true, device_id: 'PHONE' })
      expect(made).toMatchObject({ expires_in_ms: HOUR_MS })
      const refreshToken = text(made, 'refresh_token')
      const refresh = () => anonymous().ask('POST', 'v3/refresh', { body: { refresh_token: refreshToken } })
      const whoami = (token: string) => clientWith(token).ask('GET', 'v3/account/whoami')
      const first = text(made, 'access_token')
      expect((await whoami(first)).status).toBe(200)
      await network.clock.advance(HOUR_MS)
      expect(await whoami(first)).toMatchObject({
        status: 401,
        body: { errcode: 'M_UNKNOWN_TOKEN', soft_logout: true },
      })
      alice = await network.restart(alice)
      expect((await whoami(first)).body).toMatchObject({ soft_logout: true })
      const second = text((await refresh()).body, 'access_token')
      expect((await whoami(second)).body).toMatchObject({ device_id: 'PHONE' })
      // The answer may get lost: the refresh token is as good as before, and the access token before ends.
      const again = await refresh()
      expect(again).toMatchObject({ status: 200, body: { expires_in_ms: HOUR_MS } })
      expect((await whoami(second)).body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: false })
      const third = text(again.body, 'access_token')
      expect((await whoami(third)).status).toBe(200)
      // It ends with the session: by another login on the device, or by logout.
      const other = await login('carol', { device_id: 'PHONE', refresh_token: true })
      expect(await refresh()).toMatchObject({ status: 401, body: { errcode: 'M_UNKNOWN_TOKEN' } })
      expect((await whoami(third)).status).toBe(401)
      await clientWith(text(other.body, 'access_token')).ok('POST', 'v3/logout')
      const body = { refresh_token: text(other.body, 'refresh_token') }
      expect(await anonymous().fails('POST', 'v3/refresh', { body })).toEqual([401, 'M_UNKNOWN_TOKEN'])
    })

    it('without a refresh token does not expire', async () => {
      const made = await register('carol')
      expect(made['refresh_token']).toBeUndefined()
      await network.clock.advance(1_000 * HOUR_MS)
      const { status } = await clientWith(text(made, 'access_token')).ask('GET', 'v3/account/whoami')
      expect(status).toBe(200)
    })

    it('ends with logout, with its device and keys, also when it was just used', async () => {
      const token = text(await register('carol', { device_id: 'PHONE' }), 'access_token')
      const carol = { userId: alice.node.userId('carol'), deviceId: 'PHONE' }
      const { users } = alice.node.engine
      await users.keys.upload(carol, { oneTimeKeys: oneTimeKeys(1) })
      expect(await clientWith(token).ok('POST', 'v3/logout')).toEqual({})
      expect(await clientWith(token).fails('GET', 'v3/account/whoami')).toEqual([401, 'M_UNKNOWN_TOKEN'])
      expect(await users.devices.list(carol.userId)).toEqual([])
      expect((await users.keys.counts(carol)).oneTimeKeys).toEqual({})
    })

    it('ends with all others by logout/all', async () => {
      const first = text(await register('carol'), 'access_token')
      const second = text((await login('carol')).body, 'access_token')
      await clientWith(second).ok('POST', 'v3/logout/all')
      for (const token of [first, second]) {
        expect(await clientWith(token).fails('GET', 'v3/account/whoami')).toEqual([401, 'M_UNKNOWN_TOKEN'])
      }
    })
  })

  describe('devices', () => {
    let api: ApiClient
    beforeEach(async () => {
      api = clientWith(text(await register('carol', { device_id: 'A' }), 'access_token'))
      for (const device_id of ['B', 'C', 'D'])
        await login('carol', { device_id, initial_device_display_name: 'b' })
    })
    const ids = async (): Promise<unknown[]> =>
      list(await api.ok('GET', 'v3/devices'), 'devices').map((d) => d['device_id'])

    it('are listed, shown and renamed', async () => {
      expect(await ids()).toEqual(['A', 'B', 'C', 'D'])
      expect(await api.ok('PUT', 'v3/devices/B', { body: { display_name: 'Phone' } })).toEqual({})
      expect(await api.ok('GET', 'v3/devices/B')).toMatchObject({ device_id: 'B', display_name: 'Phone' })
      expect(await api.fails('GET', 'v3/devices/X')).toEqual([404, 'M_NOT_FOUND'])
      expect(await api.fails('PUT', 'v3/devices/X', { body: {} })).toEqual([404, 'M_NOT_FOUND'])
      const long = { display_name: 'x'.repeat(300) }
      expect(await api.fails('PUT', 'v3/devices/B', { body: long })).toEqual([413, 'M_TOO_LARGE'])
    })

    it('are deleted with the password alone', async () => {
      const first = await api.ask('DELETE', 'v3/devices/B', { body: {} })
      expect(first.status).toBe(401)
      const session = text(first.body, 'session')
      const wrong = await api.ask('DELETE', 'v3/devices/B', {
        body: { auth: proof(session, 'wrong password') },
      })
      expect(wrong).toMatchObject({ status: 401, body: { errcode: 'M_FORBIDDEN', session } })
      // What was proven for one device does not delete another.
      const other = await api.ask('DELETE', 'v3/devices/C', { body: { auth: proof(session) } })
      expect(other.status).toBe(401)
      expect(await ids()).toEqual(['A', 'B', 'C', 'D'])
      expect(await api.ok('DELETE', 'v3/devices/B', { body: { auth: proof(session) } })).toEqual({})
      expect(await ids()).toEqual(['A', 'C', 'D'])
    })

    it('are deleted many at a time', async () => {
      const body = { devices: ['B', 'C', 'X'] }
      const session = text((await api.ask('POST', 'v3/delete_devices', { body })).body, 'session')
      await api.ok('POST', 'v3/delete_devices', { body: { ...body, auth: proof(session) } })
      expect(await ids()).toEqual(['A', 'D'])
    })

    it.each([
      ['DELETE', 'v3/devices/B', {}],
      ['POST', 'v3/delete_devices', { devices: ['B'] }],
    ])('tell by %s %s no more than a few wrong passwords from the right one', async (method, path, more) => {
      const { session: _, ...auth } = proof('', 'wrong password')
      const statuses: number[] = []
      for (let guess = 0; guess < 30; guess += 1)
        statuses.push((await api.ask(method, path, { body: { ...more, auth } })).status)
      expect(new Set(statuses)).toEqual(new Set([401, 429]))
      expect(statuses.indexOf(429)).toBeLessThanOrEqual(20)
    })

    it('of others cannot be deleted', async () => {
      const { accessToken } = await alice.node.engine.users.accounts.openSession(alice.user, {})
      await clientWith(accessToken).ok('DELETE', 'v3/devices/B', { body: { auth: DUMMY } })
      expect(await ids()).toEqual(['A', 'B', 'C', 'D'])
    })
  })

  describe('a password', () => {
    it('is changed with the old one, and the other devices go', async () => {
      const api = clientWith(text(await register('carol'), 'access_token'))
      await login('carol')
      const body = { new_password: 'another long password' }
      const session = text((await api.ask('POST', 'v3/account/password', { body })).body, 'session')
      await api.ok('POST', 'v3/account/password', { body: { ...body, auth: proof(session) } })
      expect((await login('carol')).status).toBe(403)
      expect((await login('carol', { password: body.new_password })).status).toBe(200)
      expect(list(await api.ok('GET', 'v3/devices'), 'devices')).toHaveLength(2)
    })
  })

  it('are deactivated for good', async () => {
    const api = clientWith(text(await register('carol'), 'access_token'))
    await api.ok('PUT', at`v3/profile/${alice.node.userId('carol')}/displayname`, {
      body: { displayname: 'Carol' },
    })
    const session = text((await api.ask('POST', 'v3/account/deactivate', { body: {} })).body, 'session')
    const gone = await api.ok('POST', 'v3/account/deactivate', { body: { auth: proof(session) } })
    expect(gone).toEqual({ id_server_unbind_result: 'no-support' })
    expect(await api.fails('GET', 'v3/account/whoami')).toEqual([401, 'M_UNKNOWN_TOKEN'])
    expect((await login('carol')).status).toBe(403)
    const again = { auth: DUMMY, username: 'carol', password: PASSWORD }
    expect(await api.fails('POST', 'v3/register', { body: again })).toEqual([400, 'M_USER_IN_USE'])
    const profile = at`v3/profile/${alice.node.userId('carol')}`
    expect(await anonymous().fails('GET', profile)).toEqual([404, 'M_NOT_FOUND'])
  })

  it('without a password replace their cross-signing keys after the dummy stage', async () => {
    const { accessToken } = await alice.node.engine.users.accounts.openSession(alice.user, {
      deviceId: alice.deviceId,
    })
    const api = clientWith(accessToken)
    // The definitions have no 401 of this endpoint; its shape is that of the others.
    const upload = async (key: number, auth?: JsonObject) => {
      const body = {
        master_key: crossSigningKey(alice.user, 'master', testKey(key)),
        ...(auth ? { auth } : {}),
      }
      const response = await alice.node.clientApi(
        new Request('http://node/_matrix/client/v3/keys/device_signing/upload', {
          method: 'POST',
          headers: { Authorization: `Bearer ${accessToken}` },
          body: JSON.stringify(body),
        }),
      )
      return { status: response.status, body: (await response.json()) as JsonObject }
    }
    expect(await upload(1)).toMatchObject({ status: 200, body: {} })
    expect(await upload(1)).toMatchObject({ status: 200, body: {} })
    const asked = await upload(2)
    expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.dummy'] }] } })
    expect(await upload(2, { ...DUMMY, session: text(asked.body, 'session') })).toMatchObject({ status: 200 })
    const { body } = await api.ask('POST', 'v3/keys/query', { body: { device_keys: { [alice.user]: [] } } })
    expect(pick(body, 'master_keys', alice.user, 'keys')).toEqual({
      [`ed25519:${testKey(2).id}`]: testKey(2).id,
    })
  })

  it('say what they can do', async () => {
    const { accessToken } = await alice.node.engine.users.accounts.openSession(alice.user, {})
    const { capabilities } = await clientWith(accessToken).ok('GET', 'v3/capabilities')
    expect(capabilities).toMatchObject({ 'm.room_versions': { default: '12', available: { 12: 'stable' } } })
    expect(await clientWith(accessToken).ok('GET', 'v3/account/3pid')).toEqual({ threepids: [] })
  })
})

/** spec: client-server-api "Client Authentication", "Account management", "Capabilities negotiation" */
import type { JsonObject } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { at, list, pick, text } from '../../kit/api-client.ts'
import { alice, bob, DEVICE, newcomer, nobody, PASSWORD, proven, withToken } from './world.ts'

const DUMMY = { type: 'm.login.dummy' }

export function accounts(): void {
  describe('registration', () => {
    it('GET available and POST register', async () => {
      const available = 'v3/register/available'
      expect(await nobody.ok('GET', available, { query: { username: 'dave' } })).toEqual({ available: true })
      const asked = await nobody.ask('POST', 'v3/register', { body: { username: 'dave' } })
      expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.dummy'] }] } })
      const auth = { ...DUMMY, session: text(asked.body, 'session') }
      const body = { auth, username: 'dave', password: PASSWORD }
      const made = await nobody.ok('POST', 'v3/register', { body })
      expect(text(made, 'user_id')).toMatch(/^@dave:/)
      const again = { body: { ...body, auth: DUMMY } }
      expect(await nobody.fails('POST', 'v3/register', again)).toEqual([400, 'M_USER_IN_USE'])
      expect(await nobody.fails('GET', available, { query: { username: 'dave' } })).toEqual([
        400,
        'M_USER_IN_USE',
      ])
      expect(await nobody.fails('GET', available)).toEqual([400, 'M_MISSING_PARAM'])
    })

    it('GET the validity of a registration token', async () => {
      const path = 'v1/register/m.login.registration_token/validity'
      expect(await nobody.ok('GET', path, { query: { token: 'x' } })).toEqual({ valid: false })
      expect(await nobody.fails('GET', path)).toEqual([400, 'M_MISSING_PARAM'])
    })
  })

  describe('sessions', () => {
    const login = (more: JsonObject): JsonObject => ({
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: 'erin' },
      password: PASSWORD,
      ...more,
    })

    it('GET and POST login, POST refresh, GET whoami, POST logout', async () => {
      const erin = await newcomer('erin')
      const { flows } = await nobody.ok('GET', 'v3/login')
      expect(flows).toContainEqual({ type: 'm.login.password' })
      const wrong = { body: login({ password: 'wrong' }) }
      expect(await nobody.fails('POST', 'v3/login', wrong)).toEqual([403, 'M_FORBIDDEN'])
      const body = login({ device_id: 'OTHER', refresh_token: true })
      const session = await nobody.ok('POST', 'v3/login', { body })
      const refresh = { body: { refresh_token: text(session, 'refresh_token') } }
      const refreshed = await nobody.ok('POST', 'v3/refresh', refresh)
      const other = withToken(text(refreshed, 'access_token'))
      const whoami = { user_id: erin.userId, device_id: 'OTHER', is_guest: false }
      expect(await other.ok('GET', 'v3/account/whoami')).toEqual(whoami)
      expect(await other.ok('POST', 'v3/logout')).toEqual({})
      expect(await other.fails('POST', 'v3/logout')).toEqual([401, 'M_UNKNOWN_TOKEN'])
      expect(await nobody.fails('POST', 'v3/refresh', refresh)).toEqual([401, 'M_UNKNOWN_TOKEN'])
      expect(await erin.ok('POST', 'v3/logout/all')).toEqual({})
      expect(await erin.fails('POST', 'v3/logout/all')).toEqual([401, 'M_UNKNOWN_TOKEN'])
      expect(await erin.fails('GET', 'v3/account/whoami')).toEqual([401, 'M_UNKNOWN_TOKEN'])
    })

    it('POST get_token makes a token for one login', async () => {
      const frank = await newcomer('frank')
      const made = await proven(frank, 'POST', 'v1/login/get_token')
      const body = { type: 'm.login.token', token: text(made, 'login_token') }
      expect(await nobody.ok('POST', 'v3/login', { body })).toMatchObject({ user_id: frank.userId })
      expect(await nobody.fails('POST', 'v3/login', { body })).toEqual([403, 'M_FORBIDDEN'])
      // Alice has no password that would prove who asks.
      expect(await alice.fails('POST', 'v1/login/get_token', { body: {} })).toEqual([400, 'M_UNKNOWN'])
    })

    it('POST password, POST deactivate', async () => {
      const grace = await newcomer('grace')
      expect(await proven(grace, 'POST', 'v3/account/password', { new_password: PASSWORD })).toEqual({})
      expect(await grace.fails('POST', 'v3/account/password', { body: {} })).toEqual([400, 'M_MISSING_PARAM'])
      const gone = await proven(grace, 'POST', 'v3/account/deactivate')
      expect(gone).toEqual({ id_server_unbind_result: 'no-support' })
      expect(await grace.fails('POST', 'v3/account/deactivate', { body: {} })).toEqual([
        401,
        'M_UNKNOWN_TOKEN',
      ])
    })

    it('GET capabilities', async () => {
      expect(pick(await alice.ok('GET', 'v3/capabilities'), 'capabilities', 'm.room_versions')).toMatchObject(
        {
          default: '12',
        },
      )
    })

    it('POST openid/request_token', async () => {
      const path = at`v3/user/${alice.userId}/openid/request_token`
      expect(await alice.ok('POST', path, { body: {} })).toMatchObject({ token_type: 'Bearer' })
      expect(await bob.fails('POST', path, { body: {} })).toEqual([403, 'M_FORBIDDEN'])
    })
  })

  describe('devices', () => {
    it('GET, PUT, DELETE them, and POST delete_devices', async () => {
      const heidi = await newcomer('heidi')
      for (const device_id of ['A', 'B', 'C']) {
        const body = { type: 'm.login.password', user: 'heidi', password: PASSWORD, device_id }
        await nobody.ok('POST', 'v3/login', { body })
      }
      expect(await heidi.ok('PUT', 'v3/devices/A', { body: { display_name: 'Tablet' } })).toEqual({})
      expect(await heidi.ok('GET', 'v3/devices/A')).toMatchObject({
        device_id: 'A',
        display_name: 'Tablet',
      })
      for (const method of ['GET', 'PUT'])
        expect(await heidi.fails(method, 'v3/devices/X', method === 'GET' ? {} : { body: {} })).toEqual([
          404,
          'M_NOT_FOUND',
        ])
      expect(await proven(heidi, 'DELETE', 'v3/devices/A')).toEqual({})
      expect(await proven(heidi, 'POST', 'v3/delete_devices', { devices: ['B', 'C'] })).toEqual({})
      expect(await heidi.fails('POST', 'v3/delete_devices', { body: {} })).toEqual([400, 'M_MISSING_PARAM'])
      const { body } = await heidi.ask('DELETE', 'v3/devices/PHONE', { body: {} })
      const auth = { type: 'm.login.password', session: text(body, 'session'), password: 'wrong' }
      const refused = await heidi.ask('DELETE', 'v3/devices/PHONE', { body: { auth } })
      expect(refused).toMatchObject({ status: 401, body: { errcode: 'M_FORBIDDEN' } })
      expect(list(await heidi.ok('GET', 'v3/devices'), 'devices')).toMatchObject([{ device_id: DEVICE }])
    })
  })
}

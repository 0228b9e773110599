/** spec: client-server-api "Server administration", "Server Discovery", modules/third_party_networks.md, voip_events.md; application-service-api.md; and what this server does not do */
import type { JsonObject } from '@plexus/core'
import { serverOf } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { at, list, text } from '../../kit/api-client.ts'
import { BRIDGE_ALIAS, BRIDGE_USER } from './bridge.ts'
import { alice, bob, bridge, newcomer, nobody, ownRoom, UNKNOWN_ROOM } from './world.ts'

const email = { client_secret: 'secret', email: 'alice@example.org', send_attempt: 1 }
const phone = { client_secret: 'secret', country: 'GB', phone_number: '07700900001', send_attempt: 1 }
const bound = { medium: 'email', address: 'alice@example.org' }

function administration(): void {
  describe('administration', () => {
    it.each([
      ['lock', { locked: true }, { locked: false }],
      ['suspend', { suspended: true }, { suspended: false }],
    ])('GET and PUT %s', async (what, on, off) => {
      const { userId } = await newcomer(`to${what}`)
      const path = at`v1/admin/${what}/${userId}`
      expect(await alice.ok('PUT', path, { body: on })).toEqual(on)
      expect(await alice.ok('GET', path)).toEqual(on)
      expect(await alice.ok('PUT', path, { body: off })).toEqual(off)
      const none = at`v1/admin/${what}/${`@none:${serverOf(alice.userId)}`}`
      const own = at`v1/admin/${what}/${bob.userId}`
      for (const init of [undefined, { body: on }]) {
        const method = init === undefined ? 'GET' : 'PUT'
        expect(await bob.fails(method, own, init)).toEqual([403, 'M_FORBIDDEN'])
        expect(await alice.fails(method, none, init)).toEqual([404, 'M_NOT_FOUND'])
      }
    })

    it('GET whois', async () => {
      const path = at`v3/admin/whois/${alice.userId}`
      expect(await alice.ok('GET', path)).toMatchObject({ user_id: alice.userId })
      expect(await bob.fails('GET', path)).toEqual([403, 'M_FORBIDDEN'])
    })
  })
}

function services(): void {
  describe('application services', () => {
    it('POST ping', async () => {
      expect(await bridge.ok('POST', 'v1/appservice/bridge/ping', { body: {} })).toEqual({ duration_ms: 0 })
      expect(await bridge.fails('POST', 'v1/appservice/other/ping', { body: {} })).toEqual([
        403,
        'M_FORBIDDEN',
      ])
      expect(await alice.fails('POST', 'v1/appservice/bridge/ping', { body: {} })).toEqual([
        403,
        'M_FORBIDDEN',
      ])
    })

    it('GET thirdparty/protocols and protocol/{protocol}', async () => {
      const irc = await alice.ok('GET', 'v3/thirdparty/protocol/irc')
      expect(irc).toMatchObject({ instances: [{ network_id: 'tea' }] })
      expect(await alice.ok('GET', 'v3/thirdparty/protocols')).toEqual({ irc })
      expect(await alice.fails('GET', 'v3/thirdparty/protocol/icq')).toEqual([404, 'M_NOT_FOUND'])
    })

    it.each([
      ['location/irc', 'network', 'tea', BRIDGE_ALIAS],
      ['user/irc', 'network', 'tea', BRIDGE_USER],
      ['location', 'alias', BRIDGE_ALIAS, BRIDGE_ALIAS],
      ['user', 'userid', BRIDGE_USER, BRIDGE_USER],
    ])('GET thirdparty/%s?%s', async (path, name, value, found) => {
      const { body } = await alice.ask('GET', `v3/thirdparty/${path}`, { query: { [name]: value } })
      expect(list(body).map(({ alias, userid }) => alias ?? userid)).toEqual([found])
      const other = { query: { [name]: value.replace('tea', 'coffee').replace('nick', 'rick') } }
      expect(await alice.fails('GET', `v3/thirdparty/${path}`, other)).toEqual([404, 'M_NOT_FOUND'])
    })

    it('PUT directory/list/appservice', async () => {
      const id = await ownRoom({ name: 'Bridged' })
      const path = at`v3/directory/list/appservice/tea/${id}`
      expect(await bridge.ok('PUT', path, { body: { visibility: 'public' } })).toEqual({})
      const { instances } = await alice.ok('GET', 'v3/thirdparty/protocol/irc')
      const body = { third_party_instance_id: text(instances, 0, 'instance_id') }
      const all = await alice.ok('POST', 'v3/publicRooms', { body })
      expect(list(all, 'chunk').map(({ room_id }) => room_id)).toEqual([id])
      expect(await alice.fails('PUT', path, { body: { visibility: 'public' } })).toEqual([403, 'M_FORBIDDEN'])
      const nowhere = at`v3/directory/list/appservice/tea/${UNKNOWN_ROOM}`
      expect(await bridge.fails('PUT', nowhere, { body: { visibility: 'public' } })).toEqual([
        404,
        'M_NOT_FOUND',
      ])
    })
  })
}

export function aroundTheServer(): void {
  administration()
  services()

  describe('what the server says of itself', () => {
    it('GET versions, .well-known/matrix/client, voip/turnServer', async () => {
      const { versions } = await nobody.ok('GET', 'versions')
      expect(versions).toContain('v1.1')
      expect(versions).toContain('v1.19')
      const address = { 'm.homeserver': { base_url: 'http://node' } }
      expect(await nobody.ok('GET', '/.well-known/matrix/client')).toEqual(address)
      for (const path of ['/.well-known/matrix/support', '/.well-known/matrix/policy_server'])
        expect(await nobody.fails('GET', path)).toEqual([404, 'M_UNRECOGNIZED'])
      expect(await alice.ok('GET', 'v3/voip/turnServer')).toMatchObject({ uris: ['turn:turn.example'] })
      expect(await bob.fails('GET', 'v3/voip/turnServer')).toEqual([404, 'M_NOT_FOUND'])
    })
  })

  describe('what the server does not do', () => {
    it.each<[string, JsonObject]>([
      [
        'v3/account/3pid',
        { three_pid_creds: { client_secret: 's', id_server: 'a', id_access_token: 't', sid: '1' } },
      ],
      ['v3/account/3pid/add', { client_secret: 'secret', sid: '1' }],
      ['v3/account/3pid/bind', { client_secret: 'secret', id_server: 'a', id_access_token: 't', sid: '1' }],
      ['v3/account/3pid/email/requestToken', email],
      ['v3/account/3pid/msisdn/requestToken', phone],
      ['v3/register/email/requestToken', email],
      ['v3/register/msisdn/requestToken', phone],
    ])('POST %s is denied', async (path, body) => {
      expect(await alice.fails('POST', path, { body })).toEqual([403, 'M_THREEPID_DENIED'])
    })

    it.each([
      ['email', email],
      ['msisdn', phone],
    ])('no password is reset by %s', async (medium, body) => {
      const path = `v3/account/password/${medium}/requestToken`
      expect(await nobody.fails('POST', path, { body })).toEqual([400, 'M_THREEPID_NOT_FOUND'])
    })

    it.each(['delete', 'unbind'])(
      'an address that is not associated is not after %s either',
      async (what) => {
        const answer = await alice.ok('POST', `v3/account/3pid/${what}`, { body: bound })
        expect(answer).toEqual({ id_server_unbind_result: 'no-support' })
        expect(await alice.ok('GET', 'v3/account/3pid')).toEqual({ threepids: [] })
        const [status] = await alice.fails('POST', `v3/account/3pid/${what}`, { body: { medium: 'pigeon' } })
        expect(status).toBe(400)
      },
    )

    it('nobody logs in by single sign-on or OAuth', async () => {
      for (const path of ['v3/login/sso/redirect', 'v3/login/sso/redirect/github']) {
        const query = { redirectUrl: 'https://client.example' }
        expect(await nobody.fails('GET', path, { query })).toEqual([404, 'M_NOT_FOUND'])
        expect(await nobody.fails('GET', path)).toEqual([400, 'M_MISSING_PARAM'])
      }
      expect(await nobody.fails('GET', 'v1/auth_metadata')).toEqual([404, 'M_UNRECOGNIZED'])
    })
  })
}

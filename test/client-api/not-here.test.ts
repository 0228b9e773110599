/** What is told about what this server does not do; answers are held to the definitions of the specification. */
import type { JsonObject } from '@plexus/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApiClient, type ApiClient, type Coverage } from '../kit/api-client.ts'
import { createLoopback } from '../kit/loopback.ts'
import { createTestNode, type TestNode } from '../kit/node.ts'
import { createSpecValidator } from '../kit/spec-validation.ts'
import { createVirtualClock } from '../kit/virtual-clock.ts'

const coverage: Coverage = new Map()
let node: TestNode
let alice: ApiClient
let nobody: ApiClient

beforeAll(async () => {
  const clock = createVirtualClock()
  node = await createTestNode({ loopback: createLoopback({ clock }), clock, seed: 1 })
  const session = await node.signUp('alice')
  alice = createApiClient(node.clientApi, session, coverage)
  nobody = createApiClient(node.clientApi, { ...session, accessToken: undefined }, coverage)
})
afterAll(() => node.close())

const email = { client_secret: 'secret', email: 'alice@example.org', send_attempt: 1 }
const phone = { client_secret: 'secret', country: 'GB', phone_number: '07700900001', send_attempt: 1 }
const bound = { medium: 'email', address: 'alice@example.org' }

describe('what this server does not do', () => {
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

  it.each(['email', 'msisdn'])('no password is reset by %s', async (medium) => {
    const path = `v3/account/password/${medium}/requestToken`
    const body = medium === 'email' ? email : phone
    expect(await nobody.fails('POST', path, { body })).toEqual([400, 'M_THREEPID_NOT_FOUND'])
  })

  it.each(['delete', 'unbind'])('an address that is not associated is not after %s either', async (what) => {
    const answer = await alice.ok('POST', `v3/account/3pid/${what}`, { body: bound })
    expect(answer).toEqual({ id_server_unbind_result: 'no-support' })
    expect(await alice.ok('GET', 'v3/account/3pid')).toEqual({ threepids: [] })
    const [status] = await alice.fails('POST', `v3/account/3pid/${what}`, { body: { medium: 'pigeon' } })
    expect(status).toBe(400)
  })

  it.each(['protocol/irc', 'location/irc', 'user/irc', 'location?alias=%23a:b', 'user?userid=%40a:b'])(
    'GET thirdparty/%s finds nothing, and nothing for nobody',
    async (path) => {
      const [name = '', query = ''] = path.split('?')
      const init = { query: Object.fromEntries(new URLSearchParams(query)) }
      expect(await alice.fails('GET', `v3/thirdparty/${name}`, init)).toEqual([404, 'M_NOT_FOUND'])
      expect(await nobody.fails('GET', `v3/thirdparty/${name}`, init)).toEqual([401, 'M_MISSING_TOKEN'])
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

  it('is asked for above by each operation of its files', () => {
    const files = new Set(
      'administrative_contact third_party_lookup sso_login_redirect oauth_server_metadata'
        .split(' ')
        .map((name) => `data/api/client-server/${name}.yaml`),
    )
    const operations = createSpecValidator()
      .operations('client-server')
      .filter(({ file }) => files.has(file))
      .map(({ method, template }) => `${method} ${template}`)
    expect(operations.length).toBeGreaterThan(15)
    const unasked = operations.filter((name) => !coverage.has(name))
    expect(unasked).toEqual(['GET /_matrix/client/v3/thirdparty/protocols'])
  })
})

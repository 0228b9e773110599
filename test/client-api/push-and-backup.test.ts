/** Push rules, pushers and key backups by the Client-Server API. */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, clientOf, list, pick, text } from '../kit/api-client.ts'
import type { ApiClient } from '../kit/api-client.ts'
import { createTestNetwork } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'

describe('by the Client-Server API', () => {
  let network: TestNetwork
  let alice: Member
  let api: ApiClient
  let other: ApiClient

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'])
    const [first, second] = network.members as [Member, Member]
    alice = first
    api = await clientOf(alice)
    other = await clientOf(second)
  })
  afterEach(() => network.close())

  describe('push rules', () => {
    const rule = (kind: string, id: string): string => at`v3/pushrules/global/${kind}/${id}`
    const ids = async (kind: string): Promise<unknown[]> =>
      list(await api.ok('GET', 'v3/pushrules/'), 'global', kind).map(({ rule_id }) => rule_id)

    it('are put in their places', async () => {
      const body = { actions: ['notify'], conditions: [] }
      await api.ok('PUT', rule('override', 'one'), { body })
      await api.ok('PUT', rule('override', 'two'), { body })
      await api.ok('PUT', rule('override', 'before'), { body, query: { before: 'one' } })
      await api.ok('PUT', rule('override', 'after'), { body, query: { after: 'one' } })
      const found = await ids('override')
      expect(found.slice(0, 5)).toEqual(['.m.rule.master', 'two', 'before', 'one', 'after'])
      expect(found).toContain('.m.rule.suppress_notices')
      await api.ok('PUT', rule('override', 'after'), { body, query: { before: 'two' } })
      expect((await ids('override')).slice(0, 5)).toEqual(['.m.rule.master', 'after', 'two', 'before', 'one'])
      const lost = api.fails('PUT', rule('override', 'x'), { body, query: { before: 'none' } })
      expect(await lost).toEqual([404, 'M_NOT_FOUND'])
      const server = api.fails('PUT', rule('override', 'x'), { body, query: { after: '.m.rule.master' } })
      expect(await server).toEqual([404, 'M_NOT_FOUND'])
    })

    it('are changed, turned off and deleted, which sync shows', async () => {
      const since = text(await api.ok('GET', 'v3/sync'), 'next_batch')
      await api.ok('PUT', rule('content', 'cake'), {
        body: { pattern: 'cake', actions: ['notify', 'coalesce'] },
      })
      await api.ok('PUT', `${rule('content', 'cake')}/enabled`, { body: { enabled: false } })
      expect(await api.ok('GET', `${rule('content', 'cake')}/enabled`)).toEqual({ enabled: false })
      await api.ok('PUT', `${rule('content', 'cake')}/actions`, { body: { actions: ['dont_notify'] } })
      expect(await api.ok('GET', `${rule('content', 'cake')}/actions`)).toEqual({ actions: ['dont_notify'] })
      expect(await api.ok('GET', rule('content', 'cake'))).toEqual({
        rule_id: 'cake',
        default: false,
        enabled: false,
        actions: ['dont_notify'],
        pattern: 'cake',
      })
      const sync = await api.ok('GET', 'v3/sync', { query: { since } })
      expect(
        pick(list(sync, 'account_data', 'events')[0], 'content', 'global', 'content', 0, 'rule_id'),
      ).toBe('cake')
      await api.ok('DELETE', rule('content', 'cake'))
      expect(await ids('content')).toEqual([])
      expect(await api.ok('GET', 'v3/pushrules/global/')).toMatchObject({ content: [] })
    })

    it('of the server stay, but can be turned off', async () => {
      const path = rule('underride', '.m.rule.message')
      await api.ok('PUT', `${path}/enabled`, { body: { enabled: false } })
      expect(await api.ok('GET', path)).toMatchObject({ default: true, enabled: false })
      expect((await api.fails('DELETE', path))[0]).toBe(400)
    })

    it.each([
      ['underride', '.mine', { actions: [] }, 'M_INVALID_PARAM'],
      ['underride', 'a/b', { actions: [] }, 'M_INVALID_PARAM'],
      ['underride', 'a\\b', { actions: [] }, 'M_INVALID_PARAM'],
      ['nonsense', 'a', { actions: [] }, 'M_INVALID_PARAM'],
      ['content', 'a', { actions: [] }, 'M_MISSING_PARAM'],
      ['content', 'a', { actions: [], pattern: 'x'.repeat(300) }, 'M_INVALID_PARAM'],
      ['underride', 'a', {}, 'M_MISSING_PARAM'],
      ['underride', 'a', { actions: [{}] }, 'M_INVALID_PARAM'],
      ['underride', 'a', { actions: [], conditions: [{ kind: 7 }] }, 'M_INVALID_PARAM'],
    ])('refuse %s %j with %j', async (kind, id, body, errcode) => {
      expect(await api.fails('PUT', rule(kind, id), { body })).toEqual([400, errcode])
    })

    it.each(['', '/enabled', '/actions'])('that are not there are not found%s', async (suffix) => {
      expect(await api.fails('GET', `${rule('room', '!x:y')}${suffix}`)).toEqual([404, 'M_NOT_FOUND'])
    })

    it('are bounded in number', async () => {
      const { pushRules } = alice.node.engine.users
      const put = (index: number): Promise<void> =>
        pushRules.put(alice.user, 'room', `!${index}:x`, { actions: [] })
      for (let index = 0; index < 1_000; index += 1) await put(index)
      await expect(put(1_000)).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
      await put(7)
    })
  })

  it('pushers are kept and deleted', async () => {
    const pusher = {
      app_id: 'org.test',
      pushkey: 'key',
      kind: 'http',
      app_display_name: 'Test',
      device_display_name: 'Phone',
      lang: 'en',
      data: { url: 'https://push.example.org/_matrix/push/v1/notify' },
    }
    await api.ok('POST', 'v3/pushers/set', { body: pusher })
    expect(await api.ok('GET', 'v3/pushers')).toEqual({ pushers: [pusher] })
    await api.ok('POST', 'v3/pushers/set', { body: { app_id: 'org.test', pushkey: 'key', kind: null } })
    expect(await api.ok('GET', 'v3/pushers')).toEqual({ pushers: [] })
    expect((await api.fails('POST', 'v3/pushers/set', { body: { app_id: 'x' } }))[0]).toBe(400)
  })

  describe('key backups', () => {
    const AUTH = { public_key: 'abc', signatures: {} }
    const ALGORITHM = 'm.megolm_backup.v1.curve25519-aes-sha2'
    const create = async (): Promise<string> =>
      text(
        await api.ok('POST', 'v3/room_keys/version', { body: { algorithm: ALGORITHM, auth_data: AUTH } }),
        'version',
      )
    const session = (first: number, more: JsonObject = {}): JsonObject => ({
      first_message_index: first,
      forwarded_count: 0,
      is_verified: false,
      session_data: { ciphertext: 'x', ephemeral: 'y', mac: 'z' },
      ...more,
    })
    const KEYS = 'v3/room_keys/keys'

    it('are not there until one is made', async () => {
      expect(await api.fails('GET', 'v3/room_keys/version')).toEqual([404, 'M_NOT_FOUND'])
      expect(await api.fails('GET', 'v3/room_keys/version/1')).toEqual([404, 'M_NOT_FOUND'])
      expect(await api.fails('GET', KEYS, { query: { version: '1' } })).toEqual([404, 'M_NOT_FOUND'])
    })

    it('have versions, of which the newest is written to', async () => {
      const first = await create()
      const second = await create()
      expect(await api.ok('GET', 'v3/room_keys/version')).toEqual({
        algorithm: ALGORITHM,
        auth_data: AUTH,
        version: second,
        etag: '0',
        count: 0,
      })
      const body = { rooms: { '!r:x': { sessions: { s: session(0) } } } }
      const wrong = await api.ask('PUT', KEYS, { query: { version: first }, body })
      expect(wrong).toMatchObject({
        status: 403,
        body: { errcode: 'M_WRONG_ROOM_KEYS_VERSION', current_version: second },
      })
      expect(await api.ok('PUT', KEYS, { query: { version: second }, body })).toEqual({ etag: '1', count: 1 })
      const path = `v3/room_keys/version/${second}`
      await api.ok('PUT', path, { body: { algorithm: ALGORITHM, auth_data: { ...AUTH, public_key: 'def' } } })
      expect(pick(await api.ok('GET', path), 'auth_data', 'public_key')).toBe('def')
      expect(await api.fails('PUT', path, { body: { algorithm: 'other', auth_data: AUTH } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
      await api.ok('DELETE', path)
      expect(pick(await api.ok('GET', 'v3/room_keys/version'), 'version')).toBe(first)
      expect(await api.fails('GET', KEYS, { query: { version: second } })).toEqual([404, 'M_NOT_FOUND'])
      // A number is never used again.
      expect(Number(await create())).toBeGreaterThan(Number(second))
    })

    it('keep the better of two keys', async () => {
      const query = { version: await create() }
      const path = `${KEYS}/${encodeURIComponent('!r:x')}/s`
      const put = (key: JsonObject): Promise<JsonObject> => api.ok('PUT', path, { query, body: key })
      expect(await put(session(5))).toEqual({ etag: '1', count: 1 })
      expect(await put(session(7))).toEqual({ etag: '1', count: 1 })
      expect(await put(session(3))).toEqual({ etag: '2', count: 1 })
      expect(await put(session(9, { is_verified: true }))).toEqual({ etag: '3', count: 1 })
      expect(await put(session(0))).toEqual({ etag: '3', count: 1 })
      expect(await put(session(9, { is_verified: true, forwarded_count: 1 }))).toEqual({
        etag: '3',
        count: 1,
      })
      expect(await api.ok('GET', path, { query })).toEqual(session(9, { is_verified: true }))
    })

    it('are read and deleted whole, by room and by session', async () => {
      const query = { version: await create() }
      const rooms = {
        '!a:x': { sessions: { s: session(0), t: session(1) } },
        '!b:x': { sessions: { u: session(2) } },
      }
      const roomA = `${KEYS}/${encodeURIComponent('!a:x')}`
      expect(await api.ok('PUT', KEYS, { query, body: { rooms } })).toEqual({ etag: '1', count: 3 })
      expect(await api.ok('GET', KEYS, { query })).toEqual({ rooms })
      expect(await api.ok('GET', roomA, { query })).toEqual(rooms['!a:x'])
      expect(await api.ok('GET', `${roomA}/s`, { query })).toEqual(session(0))
      expect(await api.fails('GET', `${roomA}/none`, { query })).toEqual([404, 'M_NOT_FOUND'])
      expect(await api.ok('DELETE', `${roomA}/s`, { query })).toEqual({ etag: '2', count: 2 })
      expect(await api.ok('DELETE', roomA, { query })).toEqual({ etag: '3', count: 1 })
      expect(await api.ok('GET', roomA, { query })).toEqual({ sessions: {} })
      expect(await api.ok('PUT', roomA, { query, body: { sessions: { s: session(0) } } })).toEqual({
        etag: '4',
        count: 2,
      })
      expect(await api.ok('DELETE', KEYS, { query })).toEqual({ etag: '5', count: 0 })
      expect(await other.fails('GET', KEYS, { query })).toEqual([404, 'M_NOT_FOUND'])
    })

    it('refuse what is malformed', async () => {
      const query = { version: await create() }
      const path = `${KEYS}/r/s`
      expect(await api.fails('PUT', path, { body: session(0) })).toEqual([400, 'M_MISSING_PARAM'])
      const bad = session(0, { session_data: 'x' })
      expect(await api.fails('PUT', path, { query, body: bad })).toEqual([400, 'M_BAD_JSON'])
      const long = `${KEYS}/${'r'.repeat(300)}/s`
      expect(await api.fails('PUT', long, { query, body: session(0) })).toEqual([400, 'M_INVALID_PARAM'])
      const large = session(0, { session_data: { x: 'x'.repeat(70_000) } })
      expect(await api.fails('PUT', path, { query, body: large })).toEqual([413, 'M_TOO_LARGE'])
      expect(await api.fails('GET', path, { query: { version: '-1' } })).toEqual([404, 'M_NOT_FOUND'])
    })
  })
})

/** Keys, account data, push rules, profiles, backups and media by the Client-Server API. */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deviceKeysOf, oneTimeKeys, signatureOf, testKey } from '../engine/users-kit.ts'
import { at, clientOf, list, pick, text } from '../kit/api-client.ts'
import type { ApiClient, Coverage } from '../kit/api-client.ts'
import { createTestNetwork } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { bringIn, createRoom } from '../server-api/room.ts'

const FAR = 10 ** 9

describe('by the Client-Server API', () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member
  let api: ApiClient
  let other: ApiClient
  const coverage: Coverage = new Map()

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'])
    ;[alice, bob] = network.members as [Member, Member]
    api = await clientOf(alice, coverage)
    other = await clientOf(bob, coverage)
  })
  afterEach(async () => {
    const faults = network.members.flatMap(({ node }) => node.complaints)
    expect(faults.filter((line) => line.startsWith('error'))).toEqual([])
    await network.close()
  })

  describe('keys', () => {
    const upload = (client: ApiClient, member: Member): Promise<JsonObject> =>
      client.ok('POST', 'v3/keys/upload', {
        body: {
          device_keys: deviceKeysOf(member.user, member.deviceId, testKey(1)),
          one_time_keys: oneTimeKeys(2),
          fallback_keys: { 'signed_curve25519:F': { key: 'f', fallback: true, signatures: {} } },
        },
      })

    it('are uploaded, queried and claimed across nodes', async () => {
      expect(await upload(other, bob)).toEqual({ one_time_key_counts: { signed_curve25519: 2 } })
      const query = { device_keys: { [bob.user]: [], [alice.user]: [], nonsense: [] } }
      const found = await api.ok('POST', 'v3/keys/query', { body: query })
      expect(pick(found, 'device_keys', bob.user, bob.deviceId)).toEqual({
        ...deviceKeysOf(bob.user, bob.deviceId, testKey(1)),
        unsigned: { device_display_name: 'test' },
      })
      expect(pick(found, 'device_keys', alice.user)).toEqual({})
      const one_time_keys = {
        [bob.user]: { [bob.deviceId]: 'signed_curve25519', NOBODY: 'signed_curve25519' },
      }
      const claimed = await api.ok('POST', 'v3/keys/claim', { body: { one_time_keys, timeout: 5_000 } })
      expect(pick(claimed, 'one_time_keys', bob.user)).toEqual({ [bob.deviceId]: oneTimeKeys(1) })
    })

    it('of another device or user are refused', async () => {
      for (const keys of [
        deviceKeysOf(alice.user, 'OTHER', testKey(1)),
        deviceKeysOf(bob.user, alice.deviceId, testKey(1)),
      ]) {
        const refused = await api.fails('POST', 'v3/keys/upload', { body: { device_keys: keys } })
        expect(refused).toEqual([400, 'M_INVALID_PARAM'])
      }
    })

    it.each([
      ['v3/keys/upload', { one_time_keys: [] }],
      ['v3/keys/query', { device_keys: { '@a:b': 'c' } }],
      ['v3/keys/claim', { one_time_keys: { '@a:b': ['c'] } }],
      ['v3/keys/signatures/upload', { '@a:b': 7 }],
      ['v3/keys/device_signing/upload', { master_key: 'x' }],
    ])('%s refuses %j', async (path, body) => {
      expect(await api.fails('POST', path, { body })).toEqual([400, 'M_BAD_JSON'])
    })

    it('that are signed answer with the failures', async () => {
      const keys = deviceKeysOf(alice.user, alice.deviceId, testKey(1))
      const object = signatureOf(keys, alice.user, 'ed25519:X', testKey(2))
      const body = { [alice.user]: { [alice.deviceId]: object } }
      const { failures } = await api.ok('POST', 'v3/keys/signatures/upload', { body })
      expect(failures).toMatchObject({ [alice.user]: { [alice.deviceId]: { errcode: 'M_NOT_FOUND' } } })
    })

    it('that changed are named since a sync', async () => {
      const from = `s${alice.node.engine.committer.committed}_0`
      await upload(api, alice)
      const query = { from, to: `s${FAR}_0` }
      expect(await api.ok('GET', 'v3/keys/changes', { query })).toEqual({ changed: [alice.user], left: [] })
      expect(await api.fails('GET', 'v3/keys/changes', { query: { from: 'x', to: 'y' } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
      expect(await api.fails('GET', 'v3/keys/changes')).toEqual([400, 'M_MISSING_PARAM'])
    })
  })

  it('to-device messages are sent once', async () => {
    const body = { messages: { [bob.user]: { [bob.deviceId]: { n: 1 } } } }
    for (let time = 0; time < 2; time += 1) await api.ok('PUT', 'v3/sendToDevice/m.test/t1', { body })
    await network.settle()
    const sync = await other.ok('GET', 'v3/sync')
    expect(list(sync, 'to_device', 'events')).toEqual([
      { sender: alice.user, type: 'm.test', content: { n: 1 } },
    ])
    const wrong = { messages: { [bob.user]: { [bob.deviceId]: 'text' } } }
    expect(await api.fails('PUT', 'v3/sendToDevice/m.test/t2', { body: wrong })).toEqual([400, 'M_BAD_JSON'])
  })

  describe('account data', () => {
    const path = (type: string): string => at`v3/user/${alice.user}/account_data/${type}`

    it('is kept, shown by sync, and read', async () => {
      expect(await api.fails('GET', path('org.test'))).toEqual([404, 'M_NOT_FOUND'])
      await api.ok('PUT', path('org.test'), { body: { a: 1 } })
      expect(await api.ok('GET', path('org.test'))).toEqual({ a: 1 })
      const sync = await api.ok('GET', 'v3/sync')
      const events = list(sync, 'account_data', 'events')
      expect(events).toContainEqual({ type: 'org.test', content: { a: 1 } })
      expect(events.map(({ type }) => type)).toContain('m.push_rules')
      await api.ok('PUT', path('org.test'), { body: { a: 2 } })
      const next = await api.ok('GET', 'v3/sync', { query: { since: text(sync, 'next_batch') } })
      expect(list(next, 'account_data', 'events')).toEqual([{ type: 'org.test', content: { a: 2 } }])
    })

    it('of a room is apart from that of others', async () => {
      const roomId = await createRoom(alice)
      const inRoom = at`v3/user/${alice.user}/rooms/${roomId}/account_data/org.test`
      await api.ok('PUT', inRoom, { body: { room: true } })
      expect(await api.fails('GET', path('org.test'))).toEqual([404, 'M_NOT_FOUND'])
      expect(await api.ok('GET', inRoom)).toEqual({ room: true })
      const sync = await api.ok('GET', 'v3/sync')
      expect(list(sync, 'rooms', 'join', roomId, 'account_data', 'events')).toEqual([
        { type: 'org.test', content: { room: true } },
      ])
      const bad = at`v3/user/${alice.user}/rooms/${'nonsense'}/account_data/org.test`
      expect(await api.fails('PUT', bad, { body: {} })).toEqual([400, 'M_INVALID_PARAM'])
    })

    it('of others and of the server is not theirs to set', async () => {
      expect(await other.fails('GET', path('org.test'))).toEqual([403, 'M_FORBIDDEN'])
      expect(await other.fails('PUT', path('org.test'), { body: {} })).toEqual([403, 'M_FORBIDDEN'])
      for (const type of ['m.push_rules', 'm.fully_read']) {
        expect(await api.fails('PUT', path(type), { body: {} })).toEqual([405, 'M_BAD_JSON'])
      }
      expect(await api.fails('PUT', path('org.test'), { body: [] })).toEqual([400, 'M_BAD_JSON'])
      expect(await api.fails('PUT', path('org.test'), { body: { x: 'x'.repeat(600_000) } })).toEqual([
        413,
        'M_TOO_LARGE',
      ])
    })

    it('holds the tags of a room', async () => {
      const tags = at`v3/user/${alice.user}/rooms/${await createRoom(alice)}/tags`
      expect(await api.ok('GET', tags)).toEqual({ tags: {} })
      await api.ok('PUT', `${tags}/u.one`, { body: { order: 0.25 } })
      await api.ok('PUT', `${tags}/u.two`, { body: {} })
      await api.ok('DELETE', `${tags}/u.two`)
      await api.ok('DELETE', `${tags}/u.none`)
      expect(await api.ok('GET', tags)).toEqual({ tags: { 'u.one': { order: 0.25 } } })
      expect((await api.fails('PUT', `${tags}/u.one`, { body: { order: 2 } }))[0]).toBe(400)
    })
  })

  it('filters have one id each', async () => {
    const path = at`v3/user/${alice.user}/filter`
    const filter = { room: { timeline: { limit: 7 } } }
    const filter_id = text(await api.ok('POST', path, { body: filter }), 'filter_id')
    expect(await api.ok('POST', path, { body: filter })).toEqual({ filter_id })
    expect(await api.ok('GET', `${path}/${filter_id}`)).toEqual(filter)
    expect(await api.fails('GET', `${path}/none`)).toEqual([404, 'M_NOT_FOUND'])
    expect(await other.fails('POST', path, { body: {} })).toEqual([403, 'M_FORBIDDEN'])
  })

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
      expect(await api.ok('GET', `${rule('content', 'cake')}/actions`)).toEqual({ actions: [] })
      expect(await api.ok('GET', rule('content', 'cake'))).toEqual({
        rule_id: 'cake',
        default: false,
        enabled: false,
        actions: [],
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
    expect(await api.ok('GET', 'v3/notifications')).toEqual({ notifications: [] })
  })

  describe('profiles', () => {
    const field = (member: Member, name: string): string => at`v3/profile/${member.user}/${name}`
    const set = (name: string, value: unknown) =>
      api.ask('PUT', field(alice, name), { body: { [name]: value as string } })

    it('are set, read by all, and deleted', async () => {
      await set('displayname', 'Alice')
      await set('m.tz', 'Europe/Berlin')
      await set('org.example.job', { title: 'baker' })
      expect(await api.ok('GET', at`v3/profile/${alice.user}`)).toEqual({
        displayname: 'Alice',
        'm.tz': 'Europe/Berlin',
        'org.example.job': { title: 'baker' },
      })
      expect(await other.ok('GET', field(alice, 'displayname'))).toEqual({ displayname: 'Alice' })
      await api.ok('DELETE', field(alice, 'm.tz'))
      expect(await api.fails('GET', field(alice, 'm.tz'))).toEqual([404, 'M_NOT_FOUND'])
    })

    it('of others cannot be set, of unknown ones not read', async () => {
      const body = { displayname: 'Eve' }
      expect(await other.fails('PUT', field(alice, 'displayname'), { body })).toEqual([403, 'M_FORBIDDEN'])
      expect(await api.fails('GET', at`v3/profile/${alice.node.userId('nobody')}`)).toEqual([
        404,
        'M_NOT_FOUND',
      ])
      expect(await api.fails('GET', at`v3/profile/${bob.node.userId('nobody')}`)).toEqual([
        404,
        'M_NOT_FOUND',
      ])
      expect(await api.fails('GET', 'v3/profile/nonsense')).toEqual([400, 'M_INVALID_PARAM'])
    })

    it.each([
      ['displayname', 7, 'M_INVALID_PARAM'],
      ['displayname', 'x'.repeat(300), 'M_INVALID_PARAM'],
      ['avatar_url', [], 'M_INVALID_PARAM'],
      ['Nonsense', 'x', 'M_INVALID_PARAM'],
      [`a.${'x'.repeat(300)}`, 'x', 'M_KEY_TOO_LARGE'],
      ['org.example.big', 'x'.repeat(65_536), 'M_PROFILE_TOO_LARGE'],
    ])('refuse %s', async (name, value, errcode) => {
      expect((await set(name, value)).body).toMatchObject({ errcode })
    })

    it('that lack the field are refused', async () => {
      expect(await api.fails('PUT', field(alice, 'displayname'), { body: {} })).toEqual([
        400,
        'M_MISSING_PARAM',
      ])
    })

    it('go into the rooms of their user', async () => {
      const roomId = await createRoom(alice)
      await bringIn(alice, bob, roomId)
      await network.settle()
      await set('displayname', 'Alice A')
      await set('avatar_url', 'mxc://x/y')
      await network.settle()
      const member = await other.ok('GET', at`v3/rooms/${roomId}/state/m.room.member/${alice.user}`)
      expect(member).toEqual({ membership: 'join', displayname: 'Alice A', avatar_url: 'mxc://x/y' })
      await set('avatar_url', '')
      await network.settle()
      const after = await other.ok('GET', at`v3/rooms/${roomId}/state/m.room.member/${alice.user}`)
      expect(after).toEqual({ membership: 'join', displayname: 'Alice A' })
      // While their server is away, the room says who they are.
      network.loopback.offline(alice.node.name)
      expect(await other.ok('GET', at`v3/profile/${alice.user}`)).toEqual({ displayname: 'Alice A' })
    })

    it('are found in the directory by those who share a room', async () => {
      await set('displayname', 'Alice in Wonderland')
      const search = (client: ApiClient, search_term: string) =>
        client.ok('POST', 'v3/user_directory/search', { body: { search_term } })
      expect(list(await search(other, 'wonder'), 'results')).toEqual([])
      await bringIn(alice, bob, await createRoom(alice))
      await network.settle()
      await set('displayname', 'Alice in Wonderland!')
      await network.settle()
      expect(await search(other, 'wonder')).toEqual({
        results: [{ user_id: alice.user, display_name: 'Alice in Wonderland!' }],
        limited: false,
      })
    })
  })

  it('presence is told as it was set', async () => {
    const path = at`v3/presence/${alice.user}/status`
    expect(await api.ok('GET', path)).toEqual({ presence: 'offline' })
    await api.ok('PUT', path, { body: { presence: 'online', status_msg: 'here' } })
    expect(await api.ok('GET', path)).toMatchObject({
      presence: 'online',
      status_msg: 'here',
      currently_active: true,
    })
    expect(await api.fails('GET', at`v3/presence/${bob.user}/status`)).toEqual([404, 'M_NOT_FOUND'])
    expect((await api.fails('PUT', path, { body: { presence: 'busy' } }))[0]).toBe(400)
    expect(await other.fails('PUT', path, { body: { presence: 'online' } })).toEqual([403, 'M_FORBIDDEN'])
  })

  it('small things have their answers', async () => {
    expect(await api.ok('GET', 'v3/thirdparty/protocols')).toEqual({})
    const token = await api.ok('POST', at`v3/user/${alice.user}/openid/request_token`, { body: {} })
    expect(token).toMatchObject({ token_type: 'Bearer', matrix_server_name: alice.node.name })
    const { openId } = alice.node.engine.users
    expect(openId.userOf(text(token, 'access_token'))).toBe(alice.user)
    await network.clock.advance(3_600_000)
    expect(openId.userOf(text(token, 'access_token'))).toBeUndefined()
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

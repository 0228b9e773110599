/** Keys, account data, filters, profiles and presence by the Client-Server API. */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deviceKeysOf, oneTimeKeys, signatureOf, testKey } from '../engine/users-kit.ts'
import { at, clientOf, list, pick, text } from '../kit/api-client.ts'
import type { ApiClient } from '../kit/api-client.ts'
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

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'])
    ;[alice, bob] = network.members as [Member, Member]
    api = await clientOf(alice)
    other = await clientOf(bob)
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
    // They share no room.
    expect(await api.fails('GET', at`v3/presence/${bob.user}/status`)).toEqual([403, 'M_FORBIDDEN'])
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
})

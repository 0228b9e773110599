/** spec: client-server-api "User Data", "Filtering", modules/account_data.md, tags.md, presence.md */
import { serverOf, type JsonObject } from '@plexus/core'
import { beforeAll, describe, expect, it } from 'vitest'
import { at, list, text, type ApiClient } from '../../kit/api-client.ts'
import { createRoom, sharedRoom } from '../../kit/rooms.ts'
import { alice, bob, carol, network, newcomer } from './world.ts'

export function userData(): void {
  let mallory: ApiClient

  beforeAll(async () => {
    mallory = await newcomer('mallory')
  })

  describe('account data', () => {
    const path = (type: string): string => at`v3/user/${mallory.userId}/account_data/${type}`

    it('is kept, shown by sync, and read', async () => {
      expect(await mallory.fails('GET', path('org.test'))).toEqual([404, 'M_NOT_FOUND'])
      await mallory.ok('PUT', path('org.test'), { body: { a: 1 } })
      expect(await mallory.ok('GET', path('org.test'))).toEqual({ a: 1 })
      const sync = await mallory.ok('GET', 'v3/sync')
      const events = list(sync, 'account_data', 'events')
      expect(events).toContainEqual({ type: 'org.test', content: { a: 1 } })
      expect(events.map(({ type }) => type)).toContain('m.push_rules')
      await mallory.ok('PUT', path('org.test'), { body: { a: 2 } })
      const next = await mallory.ok('GET', 'v3/sync', { query: { since: text(sync, 'next_batch') } })
      expect(list(next, 'account_data', 'events')).toEqual([{ type: 'org.test', content: { a: 2 } }])
    })

    it('of a room is apart from that of others', async () => {
      const roomId = await createRoom(mallory)
      const inRoom = at`v3/user/${mallory.userId}/rooms/${roomId}/account_data/org.room`
      expect(await mallory.fails('GET', inRoom)).toEqual([404, 'M_NOT_FOUND'])
      await mallory.ok('PUT', inRoom, { body: { room: true } })
      expect(await mallory.fails('GET', path('org.room'))).toEqual([404, 'M_NOT_FOUND'])
      expect(await mallory.ok('GET', inRoom)).toEqual({ room: true })
      const sync = await mallory.ok('GET', 'v3/sync')
      expect(list(sync, 'rooms', 'join', roomId, 'account_data', 'events')).toEqual([
        { type: 'org.room', content: { room: true } },
      ])
      const bad = at`v3/user/${mallory.userId}/rooms/${'nonsense'}/account_data/org.test`
      expect(await mallory.fails('PUT', bad, { body: {} })).toEqual([400, 'M_INVALID_PARAM'])
    })

    it('of others and of the server is not theirs to set', async () => {
      expect(await bob.fails('GET', path('org.test'))).toEqual([403, 'M_FORBIDDEN'])
      expect(await bob.fails('PUT', path('org.test'), { body: {} })).toEqual([403, 'M_FORBIDDEN'])
      for (const type of ['m.push_rules', 'm.fully_read']) {
        expect(await mallory.fails('PUT', path(type), { body: {} })).toEqual([405, 'M_BAD_JSON'])
      }
      expect(await mallory.fails('PUT', path('org.test'), { body: [] })).toEqual([400, 'M_BAD_JSON'])
      expect(await mallory.fails('PUT', path('org.test'), { body: { x: 'x'.repeat(600_000) } })).toEqual([
        413,
        'M_TOO_LARGE',
      ])
    })

    it('holds the tags of a room', async () => {
      const tags = at`v3/user/${mallory.userId}/rooms/${await createRoom(mallory)}/tags`
      expect(await mallory.ok('GET', tags)).toEqual({ tags: {} })
      await mallory.ok('PUT', `${tags}/u.one`, { body: { order: 0.25 } })
      await mallory.ok('PUT', `${tags}/u.two`, { body: {} })
      await mallory.ok('DELETE', `${tags}/u.two`)
      await mallory.ok('DELETE', `${tags}/u.none`)
      expect(await mallory.ok('GET', tags)).toEqual({ tags: { 'u.one': { order: 0.25 } } })
      expect((await mallory.fails('PUT', `${tags}/u.one`, { body: { order: 2 } }))[0]).toBe(400)
      expect(await bob.fails('GET', tags)).toEqual([403, 'M_FORBIDDEN'])
      expect(await bob.fails('DELETE', `${tags}/u.one`)).toEqual([403, 'M_FORBIDDEN'])
    })
  })

  it('filters have one id each', async () => {
    const path = at`v3/user/${mallory.userId}/filter`
    const filter = { room: { timeline: { limit: 7 } } }
    const filter_id = text(await mallory.ok('POST', path, { body: filter }), 'filter_id')
    expect(await mallory.ok('POST', path, { body: filter })).toEqual({ filter_id })
    expect(await mallory.ok('GET', `${path}/${filter_id}`)).toEqual(filter)
    expect(await mallory.fails('GET', `${path}/none`)).toEqual([404, 'M_NOT_FOUND'])
    expect(await bob.fails('POST', path, { body: {} })).toEqual([403, 'M_FORBIDDEN'])
  })

  profiles(() => mallory)

  it('presence is told as it was set', async () => {
    const path = at`v3/presence/${mallory.userId}/status`
    expect(await mallory.ok('PUT', path, { body: { presence: 'online', status_msg: 'here' } })).toEqual({})
    expect(await mallory.ok('GET', path)).toMatchObject({
      presence: 'online',
      status_msg: 'here',
      currently_active: true,
    })
    // They share no room.
    expect(await mallory.fails('GET', at`v3/presence/${carol.userId}/status`)).toEqual([403, 'M_FORBIDDEN'])
    expect((await mallory.fails('PUT', path, { body: { presence: 'busy' } }))[0]).toBe(400)
    expect(await bob.fails('PUT', path, { body: { presence: 'online' } })).toEqual([403, 'M_FORBIDDEN'])
  })
}

function profiles(user: () => ApiClient): void {
  describe('profiles', () => {
    const field = (name: string): string => at`v3/profile/${user().userId}/${name}`
    const set = (name: string, value: unknown) =>
      user().ask('PUT', field(name), { body: { [name]: value as string } })

    it('are set, read by all, and deleted', async () => {
      await set('displayname', 'Mallory')
      await set('m.tz', 'Europe/Berlin')
      await set('org.example.job', { title: 'baker' })
      expect(await user().ok('GET', at`v3/profile/${user().userId}`)).toEqual({
        displayname: 'Mallory',
        'm.tz': 'Europe/Berlin',
        'org.example.job': { title: 'baker' },
      })
      expect(await bob.ok('GET', field('displayname'))).toEqual({ displayname: 'Mallory' })
      await user().ok('DELETE', field('m.tz'))
      expect(await user().fails('GET', field('m.tz'))).toEqual([404, 'M_NOT_FOUND'])
    })

    it('of others cannot be set, of unknown ones not read', async () => {
      const body = { displayname: 'Eve' }
      expect(await bob.fails('PUT', field('displayname'), { body })).toEqual([403, 'M_FORBIDDEN'])
      expect(await bob.fails('DELETE', field('displayname'))).toEqual([403, 'M_FORBIDDEN'])
      for (const server of [serverOf(user().userId), serverOf(bob.userId)])
        expect(await user().fails('GET', at`v3/profile/${`@nobody:${server}`}`)).toEqual([404, 'M_NOT_FOUND'])
      expect(await user().fails('GET', 'v3/profile/nonsense')).toEqual([400, 'M_INVALID_PARAM'])
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
      expect(await user().fails('PUT', field('displayname'), { body: {} })).toEqual([400, 'M_MISSING_PARAM'])
    })

    it('go into the rooms of their user, and the directory of those who share one', async () => {
      const search = (search_term: string) =>
        bob.ok('POST', 'v3/user_directory/search', { body: { search_term } })
      expect(list(await search('wonder'), 'results')).toEqual([])
      const roomId = await sharedRoom(network, user(), bob, { name: 'Tea' })
      await set('displayname', 'Mallory in Wonderland')
      await set('avatar_url', 'mxc://x/y')
      await network.settle()
      const path = at`v3/rooms/${roomId}/state/m.room.member/${user().userId}`
      const profile = { displayname: 'Mallory in Wonderland', avatar_url: 'mxc://x/y' }
      expect(await bob.ok('GET', path)).toEqual({ membership: 'join', ...profile })
      await set('avatar_url', '')
      await network.settle()
      expect(await bob.ok('GET', path)).toEqual({ membership: 'join', displayname: profile.displayname })
      expect(await search('wonder')).toEqual({
        results: [{ user_id: user().userId, display_name: profile.displayname }],
        limited: false,
      })
      const long = { body: { search_term: 'x'.repeat(300) } }
      expect((await bob.fails('POST', 'v3/user_directory/search', long))[0]).toBe(400)
      // While their server is away, the room says who they are.
      network.loopback.offline(serverOf(user().userId))
      expect(await bob.ok('GET', at`v3/profile/${user().userId}`)).toEqual({
        displayname: profile.displayname,
      })
      network.loopback.offline(serverOf(user().userId), false)
    })

    it('are found in the directory by whoever may join or read a room with their user', async () => {
      const stranger = await newcomer('stranger')
      const search = async (): Promise<readonly unknown[]> =>
        list(
          await stranger.ok('POST', 'v3/user_directory/search', { body: { search_term: 'TABLES' } }),
          'results',
        )
      const id = await sharedRoom(network, alice, bob)
      const member = { user_id: bob.userId, display_name: 'Bobby Tables' }
      await bob.ok('PUT', at`v3/rooms/${id}/state/m.room.member/${bob.userId}`, {
        body: { membership: 'join', displayname: member.display_name },
      })
      await network.settle()
      const set = (type: string, content: JsonObject) =>
        alice.ok('PUT', at`v3/rooms/${id}/state/${type}`, { body: content })
      expect(await search()).toEqual([])
      await set('m.room.join_rules', { join_rule: 'public' })
      expect(await search()).toEqual([member])
      await set('m.room.join_rules', { join_rule: 'invite' })
      expect(await search()).toEqual([])
      await set('m.room.history_visibility', { history_visibility: 'world_readable' })
      expect(await search()).toEqual([member])
    })
  })
}

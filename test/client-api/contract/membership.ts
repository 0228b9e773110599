import type { JsonObject } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { at, list, text, type ApiClient } from '../../kit/api-client.ts'
import { sharedRoom } from '../../kit/rooms.ts'
import { alice, bob, carol, network, newcomer, roomId, ownRoom, UNKNOWN_ROOM } from './world.ts'

export function membership(): void {
  describe('membership', () => {
    const membership = (user: ApiClient, id: string): Promise<JsonObject> =>
      alice.ok('GET', at`v3/rooms/${id}/state/m.room.member/${user.userId}`)

    it('POST invite, join and leave', async () => {
      const id = await ownRoom()
      await alice.ok('POST', at`v3/rooms/${id}/invite`, { body: { user_id: carol.userId, reason: 'come' } })
      expect(await membership(carol, id)).toMatchObject({ membership: 'invite', reason: 'come' })
      await network.settle()
      expect(await carol.ok('POST', at`v3/rooms/${id}/join`, { body: {} })).toEqual({ room_id: id })
      await network.settle()
      expect(await membership(carol, id)).toMatchObject({ membership: 'join' })
      expect(await carol.ok('POST', at`v3/join/${id}`, { body: {} })).toEqual({ room_id: id })
      expect(await carol.ok('GET', 'v3/joined_rooms')).toEqual({ joined_rooms: [id] })
      await carol.ok('POST', at`v3/rooms/${id}/leave`, { body: { reason: 'late' } })
      await network.settle()
      expect(await membership(carol, id)).toMatchObject({ membership: 'leave', reason: 'late' })
      expect(await carol.ok('POST', at`v3/rooms/${id}/leave`, { body: {} })).toEqual({})
      expect(await carol.fails('POST', at`v3/rooms/${roomId}/leave`, { body: {} })).toEqual([
        403,
        'M_FORBIDDEN',
      ])
    })

    it('POST invite refuses strangers, members and third-party ids', async () => {
      const body = { user_id: carol.userId }
      expect(await carol.fails('POST', at`v3/rooms/${roomId}/invite`, { body })).toEqual([404, 'M_NOT_FOUND'])
      expect(
        await alice.fails('POST', at`v3/rooms/${roomId}/invite`, { body: { user_id: bob.userId } }),
      ).toEqual([403, 'M_FORBIDDEN'])
      expect(await alice.fails('POST', at`v3/rooms/${roomId}/invite`, { body: {} })).toEqual([
        400,
        'M_MISSING_PARAM',
      ])
      const email = { id_server: 'x', id_access_token: 'x', medium: 'email', address: 'a@b.c' }
      expect(await alice.fails('POST', at`v3/rooms/${roomId}/invite`, { body: email })).toEqual([
        400,
        'M_THREEPID_NOT_FOUND',
      ])
    })

    it('POST join refuses a closed room, an unknown one and no id at all', async () => {
      const id = await ownRoom()
      const via = alice.userId.slice(alice.userId.indexOf(':') + 1)
      expect(await carol.fails('POST', at`v3/join/${id}`, { query: { via }, body: {} })).toEqual([
        403,
        'M_FORBIDDEN',
      ])
      expect(await carol.fails('POST', at`v3/rooms/${UNKNOWN_ROOM}/join`, { body: {} })).toEqual([
        404,
        'M_NOT_FOUND',
      ])
      expect(await carol.fails('POST', 'v3/join/nonsense', { body: {} })).toEqual([400, 'M_INVALID_PARAM'])
      expect(await carol.fails('POST', at`v3/join/${id}`, { query: { via: 'a b' }, body: {} })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
    })

    it('POST kick, ban and unban', async () => {
      const id = await sharedRoom(network, alice, bob, { name: 'Strict', preset: 'public_chat' })
      const body = { user_id: bob.userId, reason: 'out' }
      expect(await bob.fails('POST', at`v3/rooms/${id}/kick`, { body: { user_id: alice.userId } })).toEqual([
        403,
        'M_FORBIDDEN',
      ])
      await alice.ok('POST', at`v3/rooms/${id}/kick`, { body })
      expect(await membership(bob, id)).toEqual({ membership: 'leave', reason: 'out' })
      expect(await alice.fails('POST', at`v3/rooms/${id}/kick`, { body })).toEqual([403, 'M_FORBIDDEN'])
      expect(await alice.fails('POST', at`v3/rooms/${id}/unban`, { body })).toEqual([403, 'M_FORBIDDEN'])
      await alice.ok('POST', at`v3/rooms/${id}/ban`, { body })
      expect(await membership(bob, id)).toMatchObject({ membership: 'ban' })
      await network.settle()
      const via = alice.userId.slice(alice.userId.indexOf(':') + 1)
      expect((await bob.fails('POST', at`v3/join/${id}`, { query: { via }, body: {} }))[0]).toBe(403)
      await alice.ok('POST', at`v3/rooms/${id}/unban`, { body: { user_id: bob.userId } })
      expect(await membership(bob, id)).toEqual({ membership: 'leave' })
      expect(await alice.fails('POST', at`v3/rooms/${id}/ban`, { body: {} })).toEqual([
        400,
        'M_MISSING_PARAM',
      ])
    })

    it('POST knock on a room that lets people knock', async () => {
      const id = await ownRoom({
        initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
      })
      const nora = await newcomer('nora')
      const path = at`v3/knock/${id}`
      expect(await nora.ok('POST', path, { body: { reason: 'please' } })).toEqual({ room_id: id })
      expect(await membership(nora, id)).toMatchObject({ membership: 'knock', reason: 'please' })
      expect(await carol.fails('POST', at`v3/knock/${UNKNOWN_ROOM}`, { body: {} })).toEqual([
        404,
        'M_NOT_FOUND',
      ])
      expect(await alice.fails('POST', at`v3/knock/${roomId}`, { body: {} })).toEqual([403, 'M_FORBIDDEN'])
    })

    it('POST forget works once the room is left, and ends all reading', async () => {
      const id = await sharedRoom(network, alice, bob, { name: 'Forgettable' })
      expect(await bob.fails('POST', at`v3/rooms/${id}/forget`)).toEqual([400, 'M_UNKNOWN'])
      await bob.ok('POST', at`v3/rooms/${id}/leave`, { body: {} })
      await network.settle()
      expect(
        list(await bob.ok('GET', at`v3/rooms/${id}/messages`, { query: { dir: 'b' } }), 'chunk'),
      ).not.toEqual([])
      await bob.ok('POST', at`v3/rooms/${id}/forget`)
      expect(await bob.fails('GET', at`v3/rooms/${id}/messages`, { query: { dir: 'b' } })).toEqual([
        403,
        'M_FORBIDDEN',
      ])
    })

    it('as state does the same as the endpoints', async () => {
      const id = await ownRoom()
      const path = at`v3/rooms/${id}/state/m.room.member/${carol.userId}`
      const invited = await alice.ok('PUT', path, { body: { membership: 'invite' } })
      expect(text(invited, 'event_id')).toMatch(/^\$/)
      await network.settle()
      const own = at`v3/rooms/${id}/state/m.room.member/${carol.userId}`
      await carol.ok('PUT', own, { body: { membership: 'join', displayname: 'C' } })
      await network.settle()
      expect(await membership(carol, id)).toEqual({ membership: 'join', displayname: 'C' })
      await carol.ok('PUT', own, { body: { membership: 'leave' } })
      await network.settle()
      expect(await membership(carol, id)).toEqual({ membership: 'leave' })
      expect(await alice.fails('PUT', path, { body: {} })).toEqual([400, 'M_BAD_JSON'])
      expect(
        await alice.fails('PUT', at`v3/rooms/${id}/state/m.room.member/x`, { body: { membership: 'ban' } }),
      ).toEqual([400, 'M_INVALID_PARAM'])
    })
  })
}

import type { JsonObject } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { at, list, text } from '../../kit/api-client.ts'
import { joinFrom } from '../../kit/rooms.ts'
import { alice, bob, carol, nobody, network, roomId, ownRoom, UNKNOWN_ROOM } from './world.ts'

export function directory(): void {
  describe('directory', () => {
    const aliasOf = (name: string): string => `#${name}:${alice.userId.slice(alice.userId.indexOf(':') + 1)}`

    it('PUT, GET, DELETE room aliases, and join by one', async () => {
      const id = await ownRoom({ preset: 'public_chat' })
      const alias = aliasOf('pub')
      const path = at`v3/directory/room/${alias}`
      await alice.ok('PUT', path, { body: { room_id: id } })
      expect(await alice.fails('PUT', path, { body: { room_id: id } })).toEqual([409, 'M_UNKNOWN'])
      expect(await nobody.ok('GET', path)).toMatchObject({ room_id: id })
      expect(await alice.ok('GET', at`v3/rooms/${id}/aliases`)).toEqual({ aliases: [alias] })
      await alice.ok('PUT', at`v3/rooms/${id}/state/m.room.canonical_alias`, { body: { alias } })
      await alice.ok('DELETE', path)
      expect(await nobody.fails('GET', path)).toEqual([404, 'M_NOT_FOUND'])
      expect(await alice.fails('DELETE', path)).toEqual([404, 'M_NOT_FOUND'])
      expect(await alice.fails('PUT', at`v3/directory/room/nonsense`, { body: { room_id: id } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
      expect(
        await alice.fails('PUT', at`v3/directory/room/${'#a:else.where'}`, { body: { room_id: id } }),
      ).toEqual([400, 'M_INVALID_PARAM'])
    })

    it('PUT and GET the visibility, and list what is public', async () => {
      const id = await ownRoom({ visibility: 'public', name: 'Open house', topic: 'All welcome' })
      const path = at`v3/directory/list/room/${id}`
      expect(await nobody.ok('GET', path)).toEqual({ visibility: 'public' })
      const listed = await nobody.ok('GET', 'v3/publicRooms', { query: { limit: '10' } })
      expect(list(listed, 'chunk')).toContainEqual(
        expect.objectContaining({
          room_id: id,
          name: 'Open house',
          num_joined_members: 1,
          join_rule: 'public',
        }),
      )
      const found = await alice.ok('POST', 'v3/publicRooms', {
        body: { filter: { generic_search_term: 'WELCOME' } },
      })
      expect(list(found, 'chunk').map((room) => room['room_id'])).toEqual([id])
      expect(
        await alice.ok('POST', 'v3/publicRooms', { body: { filter: { room_types: ['m.space'] } } }),
      ).toMatchObject({
        chunk: [],
      })
      await alice.ok('PUT', path, { body: { visibility: 'private' } })
      expect(await nobody.ok('GET', path)).toEqual({ visibility: 'private' })
      expect(await nobody.fails('GET', at`v3/directory/list/room/${UNKNOWN_ROOM}`)).toEqual([
        404,
        'M_NOT_FOUND',
      ])
      expect(await alice.fails('PUT', at`v3/directory/list/room/${UNKNOWN_ROOM}`, { body: {} })).toEqual([
        404,
        'M_NOT_FOUND',
      ])
      const elsewhere = { query: { server: 'else.where' } }
      expect(await nobody.fails('GET', 'v3/publicRooms', elsewhere)).toEqual([401, 'M_MISSING_TOKEN'])
      expect(await alice.fails('GET', 'v3/publicRooms', elsewhere)).toEqual([502, 'M_UNKNOWN'])
      expect(await nobody.fails('GET', 'v3/publicRooms', { query: { since: 'x' } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
      expect(await alice.fails('POST', 'v3/publicRooms', { body: { limit: 'x' } })).toEqual([
        400,
        'M_BAD_JSON',
      ])
    })

    it('join through an alias of another node', async () => {
      const id = await ownRoom({ preset: 'public_chat', room_alias_name: 'door' })
      expect(await carol.ok('POST', at`v3/join/${aliasOf('door')}`, { body: {} })).toEqual({ room_id: id })
      await joinFrom(network, carol, alice, id)
    })
  })

  describe('summaries', () => {
    it('GET room_summary of what one may know of', async () => {
      const open = await ownRoom({
        preset: 'public_chat',
        name: 'Open',
        initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
      })
      expect(await alice.ok('GET', at`v1/room_summary/${open}`)).toMatchObject({
        room_id: open,
        name: 'Open',
        membership: 'join',
        encryption: 'm.megolm.v1.aes-sha2',
        room_version: '12',
      })
      expect((await nobody.ok('GET', at`v1/room_summary/${open}`))['membership']).toBeUndefined()
      expect(await nobody.fails('GET', at`v1/room_summary/${roomId}`)).toEqual([404, 'M_NOT_FOUND'])
      expect(await carol.fails('GET', at`v1/room_summary/${UNKNOWN_ROOM}`)).toEqual([404, 'M_NOT_FOUND'])
      expect(await carol.fails('GET', 'v1/room_summary/nonsense')).toEqual([400, 'M_INVALID_PARAM'])
    })

    it('GET hierarchy of a space, depth first and in order', async () => {
      const space = await ownRoom({ name: 'Space', creation_content: { type: 'm.space' } })
      const inner = await ownRoom({ name: 'Inner', creation_content: { type: 'm.space' } })
      const [a, b] = [await ownRoom({ name: 'A' }), await ownRoom({ name: 'B' })]
      const put = async (parent: string, child: string, content: JsonObject): Promise<void> => {
        await network.clock.advance(1)
        await alice.ok('PUT', at`v3/rooms/${parent}/state/m.space.child/${child}`, {
          body: { via: ['x.y'], ...content },
        })
      }
      await put(space, a, {})
      await put(space, inner, { order: 'a', suggested: true })
      await put(inner, b, {})
      // A loop, a room that nobody knows, and one that was removed.
      await put(inner, space, {})
      await put(space, UNKNOWN_ROOM, {})
      await alice.ok('PUT', at`v3/rooms/${space}/state/m.space.child/${roomId}`, { body: {} })
      const namesOf = (answer: JsonObject): unknown[] => list(answer, 'rooms').map(({ name }) => name)
      const path = at`v1/rooms/${space}/hierarchy`
      const all = await alice.ok('GET', path)
      expect(namesOf(all)).toEqual(['Space', 'Inner', 'B', 'A'])
      expect(list(all, 'rooms', 0, 'children_state').map((child) => child['state_key'])).toEqual([
        inner,
        a,
        UNKNOWN_ROOM,
      ])
      expect(namesOf(await alice.ok('GET', path, { query: { max_depth: '1' } }))).toEqual([
        'Space',
        'Inner',
        'A',
      ])
      expect(namesOf(await alice.ok('GET', path, { query: { suggested_only: 'true' } }))).toEqual([
        'Space',
        'Inner',
      ])
      const first = await alice.ok('GET', path, { query: { limit: '3' } })
      const from = text(first, 'next_batch')
      expect(namesOf(await alice.ok('GET', path, { query: { limit: '3', from } }))).toEqual(['A'])
      expect(await alice.fails('GET', path, { query: { from, max_depth: '1' } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
      expect(await carol.fails('GET', path)).toEqual([403, 'M_FORBIDDEN'])
    })

    it('GET mutual_rooms', async () => {
      const mutual = await alice.ok('GET', 'v1/mutual_rooms', { query: { user_id: bob.userId } })
      expect(mutual['joined']).toContain(roomId)
      expect(await alice.ok('GET', 'v1/mutual_rooms', { query: { user_id: '@no:one' } })).toEqual({
        joined: [],
        count: 0,
      })
      for (const user_id of ['@:one', '@ü:one', 'nobody'])
        expect(await alice.fails('GET', 'v1/mutual_rooms', { query: { user_id } })).toEqual([
          400,
          'M_INVALID_PARAM',
        ])
      expect(await alice.fails('GET', 'v1/mutual_rooms', { query: { user_id: alice.userId } })).toEqual([
        400,
        'M_INVALID_PARAM',
      ])
    })
  })
}

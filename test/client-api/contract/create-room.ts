import type { JsonObject } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { at, list, pick, text } from '../../kit/api-client.ts'
import { sharedRoom } from '../../kit/rooms.ts'
import { alice, bob, carol, network, ownRoom } from './world.ts'

const stateOf = async (id: string, type: string): Promise<JsonObject> =>
  alice.ok('GET', at`v3/rooms/${id}/state/${type}`)

export function createRoom(): void {
  describe('POST createRoom', () => {
    it.each([
      ['private_chat', 'invite', 'can_join'],
      ['trusted_private_chat', 'invite', 'can_join'],
      ['public_chat', 'public', 'forbidden'],
    ])('makes what the preset %s says', async (preset, joinRule, guestAccess) => {
      const id = await ownRoom({ preset })
      expect(await stateOf(id, 'm.room.join_rules')).toEqual({ join_rule: joinRule })
      expect(await stateOf(id, 'm.room.history_visibility')).toEqual({ history_visibility: 'shared' })
      const access = await alice.ask('GET', at`v3/rooms/${id}/state/m.room.guest_access`)
      // spec: client-server-api/modules/guest_access.md: none may join where there is no such event
      expect(access.status === 404 ? 'forbidden' : access.body['guest_access']).toEqual(guestAccess)
      const levels = await stateOf(id, 'm.room.power_levels')
      expect(levels['users']).toEqual({})
      expect(levels['invite']).toBe(preset === 'public_chat' ? 50 : 0)
      expect(pick(levels, 'events', 'm.room.tombstone')).toBeGreaterThan(Number(levels['state_default']))
    })

    it('sends its events in the order of the specification', async () => {
      const id = await ownRoom({
        name: 'Name',
        topic: 'Topic',
        room_alias_name: 'ordered',
        initial_state: [
          { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
          { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } },
        ],
        invite: [bob.userId],
        is_direct: true,
      })
      const page = await alice.ok('GET', at`v3/rooms/${id}/messages`, { query: { dir: 'f', limit: '50' } })
      expect(list(page, 'chunk').map(({ type }) => type)).toEqual([
        'm.room.create',
        'm.room.member',
        'm.room.power_levels',
        'm.room.canonical_alias',
        'm.room.join_rules',
        'm.room.guest_access',
        'm.room.encryption',
        'm.room.history_visibility',
        'm.room.name',
        'm.room.topic',
        'm.room.member',
      ])
      expect(list(page, 'chunk').at(-1)).toMatchObject({ content: { membership: 'invite', is_direct: true } })
      expect(await stateOf(id, 'm.room.history_visibility')).toEqual({ history_visibility: 'joined' })
      expect(await stateOf(id, 'm.room.topic')).toMatchObject({ topic: 'Topic' })
    })

    it('makes the invited people of a trusted private chat creators', async () => {
      const id = await ownRoom({ preset: 'trusted_private_chat', invite: [bob.userId] })
      expect(await stateOf(id, 'm.room.create')).toMatchObject({ additional_creators: [bob.userId] })
    })

    it.each(['1', '6', '11'])(
      'makes a room of version %s, with its creators among the power levels',
      async (version) => {
        const id = await ownRoom({
          room_version: version,
          preset: 'trusted_private_chat',
          invite: [bob.userId],
        })
        const create = await stateOf(id, 'm.room.create')
        expect(create).toMatchObject({ room_version: version })
        expect(create['creator']).toBe(version === '11' ? undefined : alice.userId)
        expect(create).not.toHaveProperty('additional_creators')
        expect(await stateOf(id, 'm.room.power_levels')).toMatchObject({
          users: { [alice.userId]: 100, [bob.userId]: 100 },
          events: { 'm.room.tombstone': 100 },
        })
      },
    )

    it('merges the power levels that are asked for, and the creation content', async () => {
      const id = await ownRoom({
        power_level_content_override: { events_default: 10, users: { [bob.userId]: 60 } },
        creation_content: { type: 'm.space', room_version: '1' },
      })
      expect(await stateOf(id, 'm.room.power_levels')).toMatchObject({
        events_default: 10,
        users: { [bob.userId]: 60 },
        ban: 50,
      })
      expect(await stateOf(id, 'm.room.create')).toMatchObject({ type: 'm.space', room_version: '12' })
    })

    it.each<[JsonObject, number, string]>([
      [{ room_version: '99' }, 400, 'M_UNSUPPORTED_ROOM_VERSION'],
      [{ preset: 'nonsense' }, 400, 'M_BAD_JSON'],
      [{ name: 1 }, 400, 'M_BAD_JSON'],
      [{ invite: ['bob'] }, 400, 'M_INVALID_PARAM'],
      [{ room_alias_name: 'a:b' }, 400, 'M_INVALID_PARAM'],
      [{ initial_state: [{ type: 'm.x' }] }, 400, 'M_MISSING_PARAM'],
      [{ initial_state: [{ type: 'm.room.create', content: {} }] }, 400, 'M_INVALID_ROOM_STATE'],
      [{ invite_3pid: [{ medium: 'email', address: 'a@b.c' }] }, 400, 'M_THREEPID_NOT_FOUND'],
    ])('refuses %j', async (body, status, errcode) => {
      expect(await alice.fails('POST', 'v3/createRoom', { body })).toEqual([status, errcode])
    })

    it('refuses power levels that list a creator', async () => {
      const body = { power_level_content_override: { users: { [alice.userId]: 100 } } }
      expect(await alice.fails('POST', 'v3/createRoom', { body })).toEqual([400, 'M_INVALID_ROOM_STATE'])
    })

    it('refuses an alias that is taken', async () => {
      await ownRoom({ room_alias_name: 'taken' })
      expect(await alice.fails('POST', 'v3/createRoom', { body: { room_alias_name: 'taken' } })).toEqual([
        400,
        'M_ROOM_IN_USE',
      ])
    })
  })

  describe('POST upgrade', () => {
    it('keeps the creators above all others in a room in which they must be listed', async () => {
      const highest = Number.MAX_SAFE_INTEGER
      const old = await ownRoom({
        room_version: '12',
        creation_content: { additional_creators: [bob.userId] },
        power_level_content_override: { users: { [carol.userId]: highest, '@d:x': 30 } },
      })
      // This version has no additional creators: the field has no effect.
      const body = { new_version: '10', additional_creators: ['@e:x'] }
      const made = text(await alice.ok('POST', at`v3/rooms/${old}/upgrade`, { body }), 'replacement_room')
      const { users } = await stateOf(made, 'm.room.power_levels')
      const below = { [carol.userId]: highest - 1, '@d:x': 30 }
      expect(users).toEqual({ [alice.userId]: highest, [bob.userId]: highest, ...below })
      const back = { body: { new_version: '12' } }
      const again = text(await alice.ok('POST', at`v3/rooms/${made}/upgrade`, back), 'replacement_room')
      expect((await stateOf(again, 'm.room.power_levels'))['users']).toEqual({
        [bob.userId]: highest,
        ...below,
      })
    })

    it('makes a room like the old one, leads there, and closes the old one', async () => {
      const server = alice.userId.slice(alice.userId.indexOf(':') + 1)
      const old = await sharedRoom(network, alice, bob, {
        name: 'Old',
        room_alias_name: 'upgraded',
        visibility: 'public',
        power_level_content_override: { users: { [bob.userId]: 60 } },
      })
      await network.clock.advance(1)
      const body = { new_version: '12', additional_creators: [bob.userId] }
      expect(await bob.fails('POST', at`v3/rooms/${old}/upgrade`, { body })).toEqual([403, 'M_FORBIDDEN'])
      expect(await carol.fails('POST', at`v3/rooms/${old}/upgrade`, { body })).toEqual([403, 'M_FORBIDDEN'])
      expect(await alice.fails('POST', at`v3/rooms/${old}/upgrade`, { body: { new_version: '99' } })).toEqual(
        [400, 'M_UNSUPPORTED_ROOM_VERSION'],
      )
      const replacement = text(
        await alice.ok('POST', at`v3/rooms/${old}/upgrade`, { body }),
        'replacement_room',
      )
      expect(await alice.ok('GET', at`v3/rooms/${replacement}/state/m.room.create`)).toMatchObject({
        predecessor: { room_id: old },
        additional_creators: [bob.userId],
      })
      expect(await alice.ok('GET', at`v3/rooms/${replacement}/state/m.room.name`)).toEqual({ name: 'Old' })
      expect(await alice.ok('GET', at`v3/rooms/${replacement}/state/m.room.power_levels`)).toMatchObject({
        users: {},
      })
      expect(await alice.ok('GET', at`v3/rooms/${old}/state/m.room.tombstone`)).toMatchObject({
        replacement_room: replacement,
      })
      expect(await alice.ok('GET', at`v3/rooms/${old}/state/m.room.power_levels`)).toMatchObject({
        events_default: 50,
        invite: 50,
      })
      expect(await alice.ok('GET', at`v3/directory/room/${`#upgraded:${server}`}`)).toMatchObject({
        room_id: replacement,
      })
      expect(await alice.ok('GET', at`v3/directory/list/room/${replacement}`)).toEqual({
        visibility: 'public',
      })
    })
  })
}

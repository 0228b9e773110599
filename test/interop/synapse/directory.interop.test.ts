/** What a Plexus node and Synapse tell each other of rooms and people: aliases, public rooms, spaces, profiles. */
import { expect, it } from 'vitest'
import { at, list, text } from '../../kit/api-client.ts'
import { createRoom, join, setState } from './person.ts'
import { scenario } from './scenario.ts'

scenario('directories', (room) => {
  it('finds rooms by alias and in the list of public rooms', async () => {
    const name = `public-${room.version}-${room.owner.home.kind}`
    const roomId = await createRoom(room.owner, room.version, {
      room_alias_name: name,
      visibility: 'public',
      name,
    })
    const alias = `#${name}:${room.owner.home.name}`
    const found = await room.guest.ok('GET', at`v3/directory/room/${alias}`)
    expect(text(found, 'room_id')).toBe(roomId)
    expect(found['servers']).toContain(room.owner.home.name)
    // Synapse keeps another server's list for half a minute, for each limit.
    const limit = `${90 + Number(room.version)}`
    const listOf = { query: { server: room.owner.home.name, limit } }
    for (const rooms of [
      await room.guest.ok('GET', 'v3/publicRooms', listOf),
      await room.guest.ok('POST', 'v3/publicRooms', {
        ...listOf,
        body: { filter: { generic_search_term: name } },
      }),
    ])
      expect(list(rooms, 'chunk')).toContainEqual(
        expect.objectContaining({ room_id: roomId, name, canonical_alias: alias, num_joined_members: 1 }),
      )
    const joined = await room.guest.ok('POST', at`v3/join/${alias}`, { body: {} })
    expect(joined['room_id']).toBe(roomId)
  })

  it('shows what is in a space', async () => {
    const child = await createRoom(room.owner, room.version, { name: 'child' })
    const space = await createRoom(room.owner, room.version, { creation_content: { type: 'm.space' } })
    await setState(room.owner, space, 'm.space.child', { via: [room.owner.home.name] }, child)
    await join(room.guest, space, [room.owner])
    const rooms = await room.guest.until('the child', async () => {
      const found = list(await room.guest.ok('GET', at`v1/rooms/${space}/hierarchy`), 'rooms')
      return found.length === 2 ? found : undefined
    })
    expect(rooms.map((each) => each['room_id'])).toEqual([space, child])
    expect(rooms[1]?.['name']).toBe('child')
  })

  it('knows the profiles of the other side', async () => {
    const displayname = `Owner of ${room.version}`
    await room.owner.ok('PUT', at`v3/profile/${room.owner.userId}/displayname`, { body: { displayname } })
    expect((await room.guest.ok('GET', at`v3/profile/${room.owner.userId}`))['displayname']).toBe(displayname)
  })
})

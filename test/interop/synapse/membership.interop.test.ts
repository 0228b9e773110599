/** Who is in a room of a Plexus node and Synapse: joining, inviting, leaving, kicking, banning, knocking, restricted joins, power. */
import { expect, it } from 'vitest'
import { agree, createRoom, isOut, join, listed, moderate, reads, say, sees, setState } from './person.ts'
import { scenario } from './scenario.ts'

scenario('memberships', (room) => {
  it('lets people join, leave and come back', async () => {
    const roomId = await createRoom(room.owner, room.version)
    await join(room.guest, roomId, [room.owner])
    await agree(room.owner, room.guest, roomId)
    await room.guest.ok('POST', `v3/rooms/${encodeURIComponent(roomId)}/leave`, { body: {} })
    await sees(room.owner, roomId, room.guest, 'leave')
    await say(room.owner, roomId, 'while you were away')
    await join(room.guest, roomId, [room.owner])
    await reads(room.owner, roomId, await say(room.guest, roomId, 'back'))
    await agree(room.owner, room.guest, roomId)
  })

  it('lets people invite each other, and refuse', async () => {
    const roomId = await createRoom(room.owner, room.version, { preset: 'private_chat' })
    expect((await moderate(room.owner, 'invite', roomId, room.guest)).status).toBe(200)
    await listed(room.guest, 'invite', roomId)
    await room.guest.ok('POST', `v3/rooms/${encodeURIComponent(roomId)}/leave`, { body: {} })
    await sees(room.owner, roomId, room.guest, 'leave')
    expect((await moderate(room.owner, 'invite', roomId, room.guest)).status).toBe(200)
    await listed(room.guest, 'invite', roomId)
    await join(room.guest, roomId, [room.owner])
    await agree(room.owner, room.guest, roomId)
  })

  it('kicks, bans and unbans', async () => {
    const roomId = await createRoom(room.owner, room.version)
    await join(room.guest, roomId, [room.owner])
    expect((await moderate(room.owner, 'kick', roomId, room.guest)).status).toBe(200)
    await isOut(room.guest, roomId)
    await join(room.guest, roomId, [room.owner])
    expect((await moderate(room.owner, 'ban', roomId, room.guest)).status).toBe(200)
    await isOut(room.guest, roomId)
    const path = `v3/join/${encodeURIComponent(roomId)}?via=${room.owner.home.name}`
    expect((await room.guest.ask('POST', path, { body: {} })).status).toBe(403)
    expect((await moderate(room.owner, 'unban', roomId, room.guest)).status).toBe(200)
    await join(room.guest, roomId, [room.owner])
    await agree(room.owner, room.guest, roomId)
  })

  it('lets people knock', async () => {
    const roomId = await createRoom(room.owner, room.version, {
      initial_state: [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }],
    })
    await room.guest.ok('POST', `v3/knock/${encodeURIComponent(roomId)}?via=${room.owner.home.name}`, {
      body: {},
    })
    await sees(room.owner, roomId, room.guest, 'knock')
    await listed(room.guest, 'knock', roomId)
    expect((await moderate(room.owner, 'invite', roomId, room.guest)).status).toBe(200)
    await listed(room.guest, 'invite', roomId)
    await join(room.guest, roomId, [room.owner])
    await agree(room.owner, room.guest, roomId)
  })

  it('lets members of one room into another', async () => {
    const club = await createRoom(room.owner, room.version)
    const restricted = { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: club }] }
    const roomId = await createRoom(room.owner, room.version, {
      initial_state: [{ type: 'm.room.join_rules', state_key: '', content: restricted }],
    })
    const path = `v3/join/${encodeURIComponent(roomId)}?via=${room.owner.home.name}`
    expect((await room.guest.ask('POST', path, { body: {} })).status).toBe(403)
    await join(room.guest, club, [room.owner])
    await join(room.guest, roomId, [room.owner])
    await agree(room.owner, room.guest, roomId)
  })

  it('obeys power levels of both sides', async () => {
    const roomId = await createRoom(room.owner, room.version)
    await join(room.guest, roomId, [room.owner])
    expect((await setState(room.guest, roomId, 'm.room.topic', { topic: 'mine' })).status).toBe(403)
    const levels = await room.owner.ok(
      'GET',
      `v3/rooms/${encodeURIComponent(roomId)}/state/m.room.power_levels/`,
    )
    const users = { ...(levels['users'] as object), [room.guest.userId]: 50 }
    expect((await setState(room.owner, roomId, 'm.room.power_levels', { ...levels, users })).status).toBe(200)
    await room.guest.until('power', async () =>
      (await setState(room.guest, roomId, 'm.room.topic', { topic: 'mine' })).status === 200
        ? true
        : undefined,
    )
    await agree(room.owner, room.guest, roomId)
  })
})

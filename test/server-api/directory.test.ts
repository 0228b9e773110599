/** Rooms of other servers as their members have never been there see them: public rooms, spaces, summaries, events at a time. */
import type { JsonObject, RoomId } from '@plexus/core'
import { MAX_REMEMBERED_LENGTH, MAX_TOLD_CHILDREN, MAX_WALK_REQUESTS } from '@plexus/engine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, createApiClient, list, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createRoom, joinFrom, say } from '../kit/rooms.ts'

describe('rooms of another server', { timeout: 60_000 }, () => {
  let network: TestNetwork
  let alice: ApiClient
  let bob: ApiClient
  let home: Member
  let away: Member

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'], 81)
    ;[home, away] = network.members as [Member, Member]
    alice = createApiClient(home.node.clientApi, await home.node.signUp('anna'))
    bob = createApiClient(away.node.clientApi, await away.node.signUp('ben'))
  })
  afterEach(() => network.close())

  const asked = (path: string): number => network.loopback.log.filter(({ uri }) => uri.includes(path)).length
  const child = (client: ApiClient, space: string, id: string, content: JsonObject) =>
    client.ok('PUT', at`v3/rooms/${space}/state/m.space.child/${id}`, { body: content })

  it('are listed, page by page and by what one looks for', async () => {
    for (const name of ['Tea', 'Coffee', 'Tea too'])
      await createRoom(alice, { name, visibility: 'public', preset: 'public_chat' })
    const server = home.node.name
    const query = { server, limit: '2' }
    const first = await bob.ok('GET', 'v3/publicRooms', { query })
    expect(list(first, 'chunk')).toHaveLength(2)
    const next = { ...query, since: text(first, 'next_batch') }
    expect(list(await bob.ok('GET', 'v3/publicRooms', { query: next }), 'chunk')).toHaveLength(1)
    const body = { filter: { generic_search_term: 'tea' } }
    const found = await bob.ok('POST', 'v3/publicRooms', { query: { server }, body })
    expect(list(found, 'chunk').map((room) => room['name'])).toEqual(
      expect.arrayContaining(['Tea', 'Tea too']),
    )
    expect(list(found, 'chunk')).toHaveLength(2)
  })

  it('are found in a space on both servers, each once, and asked for once', async () => {
    const space = await createRoom(alice, { preset: 'public_chat', creation_content: { type: 'm.space' } })
    const open = await createRoom(alice, { name: 'Open', preset: 'public_chat' })
    const hidden = await createRoom(alice, { name: 'Hidden' })
    const below = await createRoom(alice, { preset: 'public_chat', creation_content: { type: 'm.space' } })
    const deep = await createRoom(alice, { name: 'Deep', preset: 'public_chat' })
    const nowhere = `!${'z'.repeat(43)}`
    await child(alice, space, open, { via: [home.node.name], order: 'b' })
    await child(alice, space, hidden, { via: [home.node.name], order: 'a' })
    await child(alice, space, below, { via: [home.node.name], order: 'c', suggested: true })
    await child(alice, space, nowhere, { via: ['nowhere.example'] })
    await child(alice, below, deep, { via: [home.node.name] })
    const own = await createRoom(bob, { creation_content: { type: 'm.space' } })
    await child(bob, own, space, { via: [home.node.name] })

    const path = at`v1/rooms/${own}/hierarchy`
    const idsOf = async (query: Record<string, string> = {}) =>
      list(await bob.ok('GET', path, { query }), 'rooms').map((room) => room['room_id'])
    expect(await idsOf()).toEqual([own, space, open, below, deep])
    const requests = asked('/hierarchy/')
    expect(await idsOf({ max_depth: '2' })).toEqual([own, space, open, below])
    expect(asked('/hierarchy/')).toBe(requests)
    // The node that was told of it does not ask for the hidden room, and who is invited to it may see it.
    expect(network.loopback.log.some(({ uri }) => uri.includes(encodeURIComponent(hidden)))).toBe(false)
    await alice.ok('POST', at`v3/rooms/${hidden}/invite`, { body: { user_id: bob.userId } })
    await network.clock.advance(600_000)
    expect(await idsOf()).toEqual([own, space, hidden, open, below, deep])
  })

  it('are asked for so often for one walk, and told so many of one space', async () => {
    const space = await createRoom(alice, { preset: 'public_chat', creation_content: { type: 'm.space' } })
    const own = await createRoom(bob, { creation_content: { type: 'm.space' } })
    const via = [home.node.name]
    for (let count = 0; count <= MAX_TOLD_CHILDREN; count += 1) {
      await network.clock.advance(1)
      const id = await createRoom(alice, { preset: 'public_chat' })
      await child(alice, space, id, { via })
      await child(bob, own, id, { via })
    }
    const { children } = await away.node.engine.federation.hierarchy(home.node.name, space as RoomId)
    expect(children).toHaveLength(MAX_TOLD_CHILDREN)
    const before = asked('/hierarchy/')
    const walk = await bob.ok('GET', at`v1/rooms/${own}/hierarchy`, { query: { limit: '100' } })
    expect(asked('/hierarchy/') - before).toBe(MAX_WALK_REQUESTS)
    expect(list(walk, 'rooms')).toHaveLength(MAX_WALK_REQUESTS + 1)
  })

  it('are remembered where that takes little memory', async () => {
    const long = 'x'.repeat(MAX_REMEMBERED_LENGTH)
    for (const name of ['short', long]) {
      const room = await createRoom(alice, { preset: 'public_chat', name })
      const query = { via: home.node.name }
      const describe = () => bob.ok('GET', at`v1/room_summary/${room}`, { query })
      for (let round = 0; round < 3; round += 1) expect(await describe()).toMatchObject({ name })
      expect(asked(`/hierarchy/${encodeURIComponent(room)}`)).toBe(name === long ? 3 : 1)
    }
  })

  it('are not asked for again soon where their server is overloaded', async () => {
    const room = await createRoom(alice, { preset: 'public_chat' })
    let count = 0
    const body = Buffer.from(JSON.stringify({ errcode: 'M_LIMIT_EXCEEDED', error: 'too many' }))
    network.loopback.connect(home.node.name, async () => {
      count += 1
      return { status: 429, contentType: 'application/json', body }
    })
    const describe = () => bob.ask('GET', at`v1/room_summary/${room}`, { query: { via: home.node.name } })
    for (let round = 0; round < 3; round += 1) expect((await describe()).status).toBe(404)
    expect(count).toBe(1)
  })

  it('are described to who may see them', async () => {
    const open = await createRoom(alice, { name: 'Open', preset: 'public_chat' })
    const hidden = await createRoom(alice, { name: 'Hidden' })
    const query = { via: home.node.name }
    const summary = await bob.ok('GET', at`v1/room_summary/${open}`, { query })
    expect(summary).toMatchObject({ room_id: open, name: 'Open', num_joined_members: 1, join_rule: 'public' })
    expect((await bob.ask('GET', at`v1/room_summary/${hidden}`, { query })).status).toBe(404)
  })

  it('of a restricted one members of the other room learn, and nobody else', async () => {
    const club = await createRoom(alice, { preset: 'public_chat' })
    const allow = [{ type: 'm.room_membership', room_id: club }]
    const rules = { type: 'm.room.join_rules', content: { join_rule: 'restricted', allow } }
    const inner = await createRoom(alice, { name: 'Inner', initial_state: [rules] })
    const ask = () => bob.ask('GET', at`v1/room_summary/${inner}`, { query: { via: home.node.name } })
    expect((await ask()).status).toBe(404)
    await joinFrom(network, bob, alice, club)
    expect(await ask()).toMatchObject({ status: 200, body: { name: 'Inner', allowed_room_ids: [club] } })
  })

  it('have events from before one came, found by their time and fetched', async () => {
    const id = await createRoom(alice, { preset: 'public_chat' })
    await network.clock.advance(1_000)
    const early = await say(alice, id, 'early')
    const ts = network.clock.now()
    await network.clock.advance(100_000)
    for (let count = 0; count < 150; count += 1) await say(alice, id, `later ${count}`)
    await joinFrom(network, bob, alice, id)
    const path = at`v1/rooms/${id}/timestamp_to_event`
    const at1 = { ts: String(ts + 1), dir: 'b' }
    expect(await bob.ok('GET', path, { query: at1 })).toEqual({ event_id: early, origin_server_ts: ts })
    expect(asked('/timestamp_to_event/')).toBe(1)
    expect(await bob.ok('GET', at`v3/rooms/${id}/context/${early}`)).toMatchObject({
      event: { event_id: early },
    })
    // What is held is not asked for again.
    await bob.ok('GET', path, { query: at1 })
    expect(asked('/timestamp_to_event/')).toBe(1)
    expect((await bob.ask('GET', path, { query: { ts: '5', dir: 'b' } })).status).toBe(404)
  })
})

/** Restricted rooms across servers. spec: server-server-api.md "Restricted rooms" */
import { memberKey, stateKey, type JsonObject, type RoomId, type UserId } from '@plexus/core'
import { MAX_CONDITIONS } from '@plexus/engine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, createApiClient, type ApiClient } from '../kit/api-client.ts'
import { createFakePeer } from '../kit/fake-peer.ts'
import { createTestNetwork, type TestNetwork, type TestNode } from '../kit/node.ts'
import { createRoom, joinFrom } from '../kit/rooms.ts'

const V1 = '/_matrix/federation/v1'
const SEED = 91

describe('a restricted room', { timeout: 60_000 }, () => {
  let network: TestNetwork
  let nodes: readonly [TestNode, TestNode, TestNode]
  let alice: ApiClient
  let bob: ApiClient
  let carol: ApiClient
  let club: string
  let inner: string

  const clientOf = async (node: TestNode, name: string): Promise<ApiClient> =>
    createApiClient(node.clientApi, await node.signUp(name))

  beforeEach(async () => {
    network = await createTestNetwork(['x', 'y', 'z'], SEED)
    nodes = network.members.map(({ node }) => node) as unknown as typeof nodes
    alice = await clientOf(nodes[0], 'alice')
    bob = await clientOf(nodes[1], 'bob')
    carol = await clientOf(nodes[2], 'carol')
    club = await createRoom(alice, { preset: 'public_chat' })
    inner = await createRoom(alice, { initial_state: [rules(club)] })
  })
  afterEach(() => network.close())

  const rules = (...rooms: readonly string[]): JsonObject => ({
    type: 'm.room.join_rules',
    content: {
      join_rule: 'restricted',
      allow: rooms.map((room) => ({ type: 'm.room_membership', room_id: room })),
    },
  })
  const join = (client: ApiClient, room: string, ...via: readonly TestNode[]) =>
    client.ask('POST', at`v3/join/${room}`, { query: { via: via.map(({ name }) => name) }, body: {} })
  const memberOf = async (client: ApiClient, room: string, user: string) =>
    (await client.ask('GET', at`v3/rooms/${room}/state/m.room.member/${user}`)).body
  const asked = (part: string, to: TestNode): number =>
    network.loopback.log.filter(({ uri, to: name }) => name === to.name && uri.includes(part)).length
  const authoriser = 'join_authorised_via_users_server'

  it('lets in the members of another one, by the word of a user who may invite, signed by both servers', async () => {
    expect((await join(bob, inner, nodes[0])).body).toMatchObject({ errcode: 'M_FORBIDDEN' })
    await joinFrom(network, bob, alice, club)
    expect(await join(bob, inner, nodes[0])).toMatchObject({ status: 200, body: { room_id: inner } })
    await network.settle()
    for (const client of [alice, bob])
      expect(await memberOf(client, inner, bob.userId)).toMatchObject({ [authoriser]: alice.userId })
    const snapshot = await nodes[1].engine.rooms.snapshot(inner as RoomId)
    const state = await nodes[1].engine.rooms.stateEvents(snapshot?.state ?? new Map())
    const event = state.find(({ pdu }) => pdu.state_key === bob.userId)
    expect(Object.keys(event?.pdu.signatures ?? {}).toSorted()).toEqual(
      [nodes[0].name, nodes[1].name].toSorted(),
    )
  })

  it('is not what a client says', async () => {
    await joinFrom(network, bob, alice, club)
    await join(bob, inner, nodes[0])
    await network.settle()
    const ben = await clientOf(nodes[1], 'ben')
    const body = { membership: 'join', [authoriser]: alice.userId }
    const path = at`v3/rooms/${inner}/state/m.room.member/${ben.userId}`
    expect((await ben.ask('PUT', path, { body })).status).toBe(403)
    expect(await memberOf(alice, inner, ben.userId)).toMatchObject({ errcode: 'M_NOT_FOUND' })
  })

  it('of which a server knows no condition sends its users on to the next', async () => {
    await joinFrom(network, bob, alice, club)
    await join(bob, inner, nodes[0])
    await bob.ok('POST', at`v3/rooms/${club}/leave`, { body: {} })
    await network.settle()
    await joinFrom(network, carol, alice, club)
    const path = `${V1}/make_join/${encodeURIComponent(inner)}`
    expect((await join(carol, inner, nodes[1], nodes[0])).status).toBe(200)
    expect([asked(path, nodes[1]), asked(path, nodes[0])]).toEqual([1, 2])
    expect(await memberOf(carol, inner, carol.userId)).toMatchObject({ [authoriser]: alice.userId })
  })

  it('takes a user whose own server may let nobody in through one that may', async () => {
    await alice.ok('PUT', at`v3/rooms/${inner}/state/m.room.power_levels/`, {
      body: { invite: 50 },
    })
    await joinFrom(network, bob, alice, club)
    await join(bob, inner, nodes[0])
    const ben = await clientOf(nodes[1], 'ben')
    await ben.ok('POST', at`v3/join/${club}`, { body: {} })
    await network.settle()
    expect((await join(ben, inner)).status).toBe(200)
    await network.settle()
    expect(await memberOf(alice, inner, ben.userId)).toMatchObject({ [authoriser]: alice.userId })
    // Others that ask the same server are told to go on.
    await joinFrom(network, carol, alice, club)
    const refused = await join(carol, inner, nodes[1])
    expect(refused).toMatchObject({ status: 502, body: { errcode: 'M_UNABLE_TO_GRANT_JOIN' } })
  })

  it('tells who knows no room that would do', async () => {
    const far = await createRoom(carol, { preset: 'public_chat' })
    await alice.ok('PUT', at`v3/rooms/${inner}/state/m.room.join_rules/`, {
      body: rules(far)['content'] ?? {},
    })
    const refused = await join(bob, inner, nodes[0])
    expect(refused).toMatchObject({ status: 502, body: { errcode: 'M_UNABLE_TO_AUTHORISE_JOIN' } })
  })

  it('has a bound to the rooms that are looked at', async () => {
    await joinFrom(network, bob, alice, club)
    const others = Array.from({ length: MAX_CONDITIONS }, () => inner)
    const path = at`v3/rooms/${inner}/state/m.room.join_rules/`
    await alice.ok('PUT', path, { body: rules(...others, club)['content'] ?? {} })
    expect((await join(bob, inner, nodes[0])).body).toMatchObject({ errcode: 'M_UNABLE_TO_AUTHORISE_JOIN' })
    await alice.ok('PUT', path, { body: rules(...others.slice(1), club)['content'] ?? {} })
    expect((await join(bob, inner, nodes[0])).status).toBe(200)
  })

  it('lets in users of the same server, and nobody else of it', async () => {
    const anna = await clientOf(nodes[0], 'anna')
    expect((await join(anna, inner)).status).toBe(403)
    await anna.ok('POST', at`v3/join/${club}`, { body: {} })
    expect((await join(anna, inner)).status).toBe(200)
    expect(await memberOf(alice, inner, anna.userId)).toMatchObject({ [authoriser]: alice.userId })
  })

  it('is not opened by a join that claims to be authorised', async () => {
    const fake = createFakePeer({ loopback: network.loopback, clock: network.clock, seed: SEED + 20 })
    const mallory = `@mallory:${fake.name}` as UserId
    const snapshot = await nodes[0].engine.rooms.snapshot(inner as RoomId)
    if (snapshot === undefined) throw new Error('no room')
    const keys = [
      stateKey('m.room.power_levels', ''),
      stateKey('m.room.join_rules', ''),
      memberKey(alice.userId),
    ]
    const { id, pdu } = await fake.build(snapshot.version, {
      template: {
        type: 'm.room.member',
        sender: mallory,
        stateKey: mallory,
        content: { membership: 'join', [authoriser]: alice.userId },
      },
      roomId: inner as RoomId,
      prevEvents: snapshot.heads.map((reference) => ({ reference, depth: 10 })),
      authEvents: keys.flatMap((key) => snapshot.state.get(key) ?? []),
      now: network.clock.now(),
    })
    const uri = `/_matrix/federation/v2/send_join/${encodeURIComponent(inner)}/${encodeURIComponent(id)}`
    const { status, body } = await fake.ask(nodes[0].name, { method: 'PUT', uri, content: pdu })
    expect({ status, body }).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    const template = await fake.ask(nodes[0].name, {
      method: 'GET',
      uri: `${V1}/make_join/${encodeURIComponent(inner)}/${encodeURIComponent(mallory)}?ver=${snapshot.version.id}`,
    })
    expect(template.status).toBe(403)
  })
})

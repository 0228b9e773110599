/** Rooms with a policy server. spec: server-server-api.md "Policy Servers" */
import { ed25519 } from '@noble/curves/ed25519.js'
import {
  encodeBase64,
  requiredSigners,
  signingBytes,
  type EventId,
  type JsonObject,
  type Pdu,
  type RoomId,
  type RoomVersion,
  type UserId,
} from '@plexus/core'
import { MAX_POLICY_ASKS } from '@plexus/engine/testing'
import type { CarrierResponse } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { at, createApiClient, type ApiClient } from '../kit/api-client.ts'
import { createFakePeer, type FakePeer } from '../kit/fake-peer.ts'
import { createTestNetwork, type TestNetwork, type TestNode } from '../kit/node.ts'
import { createRoom, joinFrom, say } from '../kit/rooms.ts'

const SEED = 101
const SECRET = new Uint8Array(32).fill(77)
const KEY = encodeBase64(ed25519.getPublicKey(SECRET))

describe('a room with a policy server', { timeout: 60_000 }, () => {
  let network: TestNetwork
  let nodes: readonly [TestNode, TestNode, TestNode]
  let alice: ApiClient
  let bob: ApiClient
  let carol: ApiClient
  let room: string
  let version: RoomVersion
  /** Events that the policy server was asked to sign. */
  let asked: Pdu[]
  let verdict: (event: Pdu) => JsonObject | number

  const json = (status: number, body: JsonObject): CarrierResponse => ({
    status,
    contentType: 'application/json',
    body: new TextEncoder().encode(JSON.stringify(body)),
  })
  const sign = (event: Pdu): JsonObject => ({
    [nodes[2].name]: {
      'ed25519:policy_server': encodeBase64(ed25519.sign(signingBytes(version, event), SECRET)),
    },
  })

  beforeEach(async () => {
    network = await createTestNetwork(['x', 'y', 'z'], SEED)
    nodes = network.members.map(({ node }) => node) as unknown as typeof nodes
    alice = createApiClient(nodes[0].clientApi, await nodes[0].signUp('alice'))
    bob = createApiClient(nodes[1].clientApi, await nodes[1].signUp('bob'))
    carol = createApiClient(nodes[2].clientApi, await nodes[2].signUp('policy'))
    room = await createRoom(alice, { preset: 'public_chat' })
    await joinFrom(network, bob, alice, room)
    await joinFrom(network, carol, alice, room)
    const snapshot = await nodes[0].engine.rooms.snapshot(room as RoomId)
    if (snapshot === undefined) throw new Error('no room')
    version = snapshot.version
    asked = []
    verdict = sign
    // Carol's server becomes one that does nothing but sign.
    network.loopback.connect(nodes[2].name, async (enveloped) => {
      const { uri, content } = enveloped.request as { uri: string; content: JsonObject }
      if (uri.startsWith('/_matrix/federation/v1/send/')) return json(200, { pdus: {} })
      if (uri !== '/_matrix/policy/v1/sign') return json(404, { errcode: 'M_UNRECOGNIZED', error: '' })
      asked.push(content as unknown as Pdu)
      const answer = verdict(content as unknown as Pdu)
      return typeof answer === 'number'
        ? json(answer, { errcode: 'M_FORBIDDEN', error: 'spam' })
        : json(200, answer)
    })
    const body = { via: nodes[2].name, public_keys: { ed25519: KEY } }
    await alice.ok('PUT', at`v3/rooms/${room}/state/m.room.policy/`, { body })
    await network.settle()
  })
  afterEach(() => network.close())

  const typesOf = () => asked.map(({ type }) => type)
  const sees = async (client: ApiClient, id: string): Promise<boolean> =>
    (await client.ask('GET', at`v3/rooms/${room}/event/${id}`)).status === 200

  it('is told by its state alone: the policy itself needs no signature', () => {
    expect(typesOf()).toEqual([])
  })

  it('has each event signed before it is sent on', async () => {
    const id = await say(alice, room, 'hello')
    await network.settle()
    expect(typesOf()).toEqual(['m.room.message'])
    expect(await sees(bob, id)).toBe(true)
    const record = await nodes[1].engine.rooms.event(id as never)
    expect(record?.pdu.signatures[nodes[2].name as never]).toHaveProperty('ed25519:policy_server')
    expect(requiredSigners(version, record?.pdu as Pdu)).toEqual([nodes[0].name])
  })

  it('has no event that the policy server refuses, and the client is told why', async () => {
    verdict = () => 400
    const path = at`v3/rooms/${room}/send/m.room.message/1`
    const body = { msgtype: 'm.text', body: 'buy' }
    expect(await alice.ask('PUT', path, { body })).toMatchObject({
      status: 400,
      body: { errcode: 'M_FORBIDDEN', error: 'spam' },
    })
    await network.settle()
    const page = await bob.ok('GET', at`v3/rooms/${room}/messages`, { query: { dir: 'b' } })
    expect(JSON.stringify(page)).not.toContain('buy')
  })

  it.each([
    ['nothing', () => ({})],
    ['another signature', (event: Pdu) => sign({ ...event, depth: event.depth + 1 })],
  ])('takes no %s for a signature', async (_, made) => {
    verdict = made
    const path = at`v3/rooms/${room}/send/m.room.message/1`
    const { status, body } = await alice.ask('PUT', path, { body: { msgtype: 'm.text', body: 'x' } })
    expect({ status, body }).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  it('has invites, kicks and joins signed too', async () => {
    const anna = createApiClient(nodes[0].clientApi, await nodes[0].signUp('anna'))
    await alice.ok('POST', at`v3/rooms/${room}/invite`, { body: { user_id: anna.userId } })
    await anna.ok('POST', at`v3/join/${room}`, { body: {} })
    await alice.ok('POST', at`v3/rooms/${room}/kick`, { body: { user_id: anna.userId } })
    await network.settle()
    expect(asked.map(({ content }) => content['membership'])).toEqual(['invite', 'join', 'leave'])
    const member = await bob.ok('GET', at`v3/rooms/${room}/state/m.room.member/${anna.userId}`)
    expect(member).toMatchObject({ membership: 'leave' })
  })

  describe('and a member that does not ask it', () => {
    let fake: FakePeer
    const unsigned = async (body: string, after?: { id: EventId }) => {
      const snapshot = await nodes[0].engine.rooms.snapshot(room as RoomId)
      const keys = [...(snapshot?.state ?? [])]
        .filter(([key]) => String(key).includes('power_levels') || String(key).includes(bob.userId))
        .map(([, id]) => id)
      return fake.build(version, {
        template: { type: 'm.room.message', sender: bob.userId, content: { body } },
        roomId: room as RoomId,
        prevEvents: (after === undefined ? (snapshot?.heads ?? []) : [after.id]).map((reference) => ({
          reference,
          depth: 20,
        })),
        authEvents: keys,
        now: network.clock.now(),
      })
    }
    const deliver = async ({ pdu }: { pdu: Pdu }) => {
      await fake.send(nodes[0].name, { origin: fake.name, pdus: [pdu] })
      await network.settle()
    }
    const verdictOf = async (id: string) => (await nodes[0].engine.rooms.event(id as never))?.verdict

    beforeEach(() => {
      fake = createFakePeer({ loopback: network.loopback, clock: network.clock, seed: SEED + 1 })
      expect(fake.name).toBe(nodes[1].name)
    })

    it('has its event signed by who gets it, where the policy server is willing', async () => {
      const event = await unsigned('late')
      await deliver(event)
      expect(await verdictOf(event.id)).toBe('accepted')
      expect(asked).toHaveLength(1)
    })

    it('has signed too what is fetched since nobody sent it', async () => {
      const missed = await unsigned('missed')
      const event = await unsigned('late', missed)
      network.loopback.connect(fake.name, async ({ request }) =>
        request.uri.startsWith('/_matrix/federation/v1/get_missing_events/')
          ? json(200, { events: [missed.pdu] })
          : json(404, { errcode: 'M_NOT_FOUND', error: '' }),
      )
      await deliver(event)
      expect(await verdictOf(missed.id)).toBe('accepted')
      expect(await verdictOf(event.id)).toBe('accepted')
      expect(asked).toHaveLength(2)
    })

    it('has no more events of one transaction signed than there may be', async () => {
      const events = await Promise.all(
        Array.from({ length: MAX_POLICY_ASKS + 2 }, (_, n) => unsigned(`m${n}`)),
      )
      await fake.send(nodes[0].name, { origin: fake.name, pdus: events.map(({ pdu }) => pdu) })
      await network.settle()
      expect(asked).toHaveLength(MAX_POLICY_ASKS)
      const verdicts = await Promise.all(events.map(({ id }) => verdictOf(id)))
      expect(verdicts.filter((one) => one === 'accepted')).toHaveLength(MAX_POLICY_ASKS)
    })

    it('is not heard where it is not', async () => {
      verdict = () => 400
      const event = await unsigned('spam')
      await deliver(event)
      expect(await verdictOf(event.id)).toBe('softFailed')
      expect(await sees(alice, event.id)).toBe(false)
    })

    it('causes no second question by what was decided', async () => {
      verdict = () => 400
      const event = await unsigned('spam')
      for (let round = 0; round < 3; round += 1) await deliver(event)
      expect(asked).toHaveLength(1)
    })

    it('is not heard while the policy server is away', async () => {
      network.loopback.offline(nodes[2].name)
      const event = await unsigned('spam')
      await deliver(event)
      expect(await verdictOf(event.id)).toBe('softFailed')
    })
  })

  it('asks it about nothing that is brought by who is not in the room', async () => {
    const fake = createFakePeer({ loopback: network.loopback, clock: network.clock, seed: SEED + 50 })
    const snapshot = await nodes[0].engine.rooms.snapshot(room as RoomId)
    const { id, pdu } = await fake.build(version, {
      template: { type: 'm.room.message', sender: `@out:${fake.name}` as UserId, content: { body: 'spam' } },
      roomId: room as RoomId,
      prevEvents: (snapshot?.heads ?? []).map((reference) => ({ reference, depth: 20 })),
      authEvents: [],
      now: network.clock.now(),
    })
    const { body } = await fake.send(nodes[0].name, { origin: fake.name, pdus: [pdu] })
    expect(body).toMatchObject({ pdus: { [id]: { error: expect.any(String) } } })
    expect(asked).toEqual([])
  })

  it('is an ordinary one again once the policy server has left', async () => {
    await alice.ok('POST', at`v3/rooms/${room}/kick`, { body: { user_id: carol.userId } })
    await network.settle()
    asked = []
    verdict = () => 400
    const id = await say(alice, room, 'free')
    await network.settle()
    expect(asked).toEqual([])
    expect(await sees(bob, id)).toBe(true)
  })
})

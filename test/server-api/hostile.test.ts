/** A member's own server that cheats: it signs well, and what it signs is wrong. */
import type { BuildInput, EventId, JsonObject, RoomId, UserId } from '@plexus/core'
import { ROOM_VERSIONS, roomVersion, stateKey, type RoomVersion, type StateKey } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFakePeer, type FakePeer } from '../kit/fake-peer.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { bringIn, createRoom, membershipAt, read, say } from './room.ts'

const version = roomVersion(ROOM_VERSIONS.at(-1) ?? '') as RoomVersion
const V1 = '/_matrix/federation/v1'
const V2 = '/_matrix/federation/v2'
const enc = encodeURIComponent
const SEED = 31

describe('a cheating server', { timeout: 30_000 }, () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member
  let mallory: Member
  /** Mallory's server, as it behaves in these tests. */
  let fake: FakePeer
  let roomId: RoomId

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob', 'mallory'], SEED)
    ;[alice, bob, mallory] = network.members as [Member, Member, Member]
    fake = createFakePeer({ loopback: network.loopback, clock: network.clock, seed: SEED + 2 })
    expect(fake.name).toBe(mallory.node.name)
    roomId = await createRoom(alice)
    await bringIn(alice, bob, roomId)
    await bringIn(alice, mallory, roomId)
    await network.settle()
  })

  afterEach(async () => {
    const faults = network.members.flatMap(({ node }) => node.complaints)
    expect(faults.filter((line) => line.startsWith('error'))).toEqual([])
    await network.close()
  })

  const keys = (sender: UserId): StateKey[] => [
    stateKey('m.room.power_levels', ''),
    stateKey('m.room.member', sender),
  ]

  /** An event that follows the room's heads and names the right auth events, as far as the test leaves it be. */
  const input = async (
    template: BuildInput['template'],
    more: readonly StateKey[] = [],
  ): Promise<BuildInput> => {
    const { rooms } = alice.node.engine
    const snapshot = await rooms.snapshot(roomId)
    const heads = await rooms.events(snapshot?.heads ?? [])
    const authEvents = [...keys(template.sender), ...more].flatMap((key) => snapshot?.state.get(key) ?? [])
    return {
      template,
      roomId,
      prevEvents: heads.flatMap((head) =>
        head === undefined ? [] : [{ reference: head.id, depth: head.pdu.depth }],
      ),
      authEvents: [...new Set(authEvents)],
      now: network.clock.now(),
    }
  }

  const text = (sender: UserId, body: string): BuildInput['template'] => ({
    type: 'm.room.message',
    sender,
    content: { msgtype: 'm.text', body },
  })

  it('is heard when it does not cheat, so that the refusals below mean something', async () => {
    const { id, pdu } = await fake.build(version, await input(text(mallory.user, 'honest')))
    const { status, body } = await fake.send(alice.node.name, { pdus: [pdu] })
    await network.settle()
    expect({ status, body }).toEqual({ status: 200, body: { pdus: { [id]: {} } } })
    expect(await read(alice, roomId)).toEqual(['honest'])
  })

  it.each<[string, () => Promise<JsonObject>]>([
    [
      'in the name of another',
      async () => (await fake.build(version, await input(text(bob.user, 'lie')))).pdu,
    ],
    [
      'without a signature',
      async () => (await fake.build(version, await input(text(mallory.user, 'lie')), false)).pdu,
    ],
    [
      'with the signature of another event',
      async () => {
        const other = await fake.build(version, await input(text(mallory.user, 'other')))
        const { pdu } = await fake.build(version, await input(text(mallory.user, 'lie')), false)
        return { ...pdu, signatures: other.pdu.signatures }
      },
    ],
    [
      'as an administrator',
      async () => {
        const content = { users: { [mallory.user]: 100 } }
        const template = { type: 'm.room.power_levels', sender: mallory.user, stateKey: '', content }
        return (await fake.build(version, await input(template))).pdu
      },
    ],
    [
      'of another room',
      async () => {
        const elsewhere = await createRoom(bob)
        return (await fake.build(version, { ...(await input(text(mallory.user, 'lie'))), roomId: elsewhere }))
          .pdu
      },
    ],
  ])('says nothing %s', async (_, make) => {
    const before = await alice.node.engine.rooms.snapshot(roomId)
    const { status } = await fake.send(alice.node.name, { pdus: [await make()] })
    await network.settle()
    expect(status).toBe(200)
    expect(await read(alice, roomId)).toEqual([])
    expect([...((await alice.node.engine.rooms.snapshot(roomId))?.state ?? [])]).toEqual([
      ...(before?.state ?? []),
    ])
  })

  it('does not change what was said', async () => {
    const { pdu } = await fake.build(version, await input(text(mallory.user, 'said')))
    const changed = { ...pdu, content: { msgtype: 'm.text', body: 'changed' } }
    await fake.send(alice.node.name, { pdus: [changed] })
    await network.settle()
    expect(await read(alice, roomId)).toEqual([undefined])
    await fake.send(alice.node.name, { pdus: [pdu] })
    await network.settle()
    expect(await read(alice, roomId)).toEqual(['said'])
  })

  it('breaks nothing by nonsense', async () => {
    const nonsense: JsonObject[] = [
      {},
      { room_id: roomId },
      { room_id: 7, type: [] },
      { room_id: roomId, type: 'm.room.message', sender: mallory.user, content: null, signatures: 'x' },
      JSON.parse(`{"room_id":"${roomId}","content":${'['.repeat(100)}${']'.repeat(100)}}`) as JsonObject,
    ]
    const edus: JsonObject[] = [
      {},
      { edu_type: 7 },
      ...[
        'm.typing',
        'm.receipt',
        'm.direct_to_device',
        'm.device_list_update',
        'm.signing_key_update',
        'm.presence',
        'x',
      ].flatMap((type) =>
        [{}, { [roomId]: 7 }, { room_id: roomId, user_id: 7, typing: 'x' }, { messages: [] }].map(
          (content) => ({ edu_type: type, content }),
        ),
      ),
    ]
    expect((await fake.send(alice.node.name, { pdus: nonsense, edus })).status).toBe(200)
    expect((await fake.send(alice.node.name, { pdus: [], edus }, edus.length)).status).toBe(200)
    await network.settle()
    await say(alice, roomId, 'still here')
    await network.settle()
    for (const member of [alice, bob]) expect(await read(member, roomId)).toEqual(['still here'])
  })

  it('sends no message to a device in the name of another, and skips none', async () => {
    const edu = (sender: UserId, id: string): JsonObject => ({
      edu_type: 'm.direct_to_device',
      content: {
        sender,
        type: 'm.test',
        message_id: id,
        messages: { [alice.user]: { [alice.deviceId]: { id } } },
      },
    })
    const inbox = async (): Promise<unknown[]> => {
      const { users, committer } = alice.node.engine
      const caller = { userId: alice.user, deviceId: alice.deviceId as never }
      const { events } = await users.toDevice.inbox(caller, 0, committer.committed, 100)
      return events.map(
        ({ sender, content }) => `${sender === mallory.user ? 'mallory' : sender} ${content['id'] as string}`,
      )
    }
    const forged = await fake.send(alice.node.name, { pdus: [], edus: [edu(bob.user, 'forged')] }, 1)
    expect(forged.response.acknowledgement).toMatchObject({ committed: 1 })
    const gap = await fake.send(alice.node.name, { pdus: [], edus: [edu(mallory.user, 'three')] }, 3)
    expect(gap.response.acknowledgement).toMatchObject({ committed: 1 })
    await fake.send(alice.node.name, { pdus: [], edus: [edu(mallory.user, 'two')] }, 2)
    await fake.send(alice.node.name, { pdus: [], edus: [edu(mallory.user, 'two again')] }, 2)
    const three = await fake.send(alice.node.name, { pdus: [], edus: [edu(mallory.user, 'three')] }, 3)
    expect(three.response.acknowledgement).toMatchObject({ committed: 3 })
    expect(await inbox()).toEqual(['mallory two', 'mallory three'])
  })

  it('types and reads for its own users only', async () => {
    const message = await say(alice, roomId, 'read this')
    await network.settle()
    const typing = (user: UserId): JsonObject => ({
      edu_type: 'm.typing',
      content: { room_id: roomId, user_id: user, typing: true },
    })
    const receipt = (user: UserId): JsonObject => ({
      edu_type: 'm.receipt',
      content: { [roomId]: { 'm.read': { [user]: { event_ids: [message], data: { ts: 1 } } } } },
    })
    await fake.send(alice.node.name, {
      pdus: [],
      edus: [typing(bob.user), receipt(bob.user), typing(mallory.user), receipt(mallory.user)],
    })
    const { typing: types, receipts } = alice.node.engine
    expect(types.users(roomId)).toEqual([mallory.user])
    const read = (await receipts.ofRoom(roomId)).map(({ userId }) => userId)
    expect(read).toContain(mallory.user)
    expect(read).not.toContain(bob.user)
  })

  const inviteEvent = async (
    target: UserId,
    sender: UserId,
    signed = true,
  ): Promise<{ id: EventId; pdu: JsonObject }> => {
    const template = { type: 'm.room.member', sender, stateKey: target, content: { membership: 'invite' } }
    return fake.build(version, await input(template, [stateKey('m.room.join_rules', '')]), signed)
  }

  const putInvite = async (made: { id: EventId; pdu: JsonObject }) => {
    const create = (await alice.node.engine.rooms.snapshot(roomId))?.create
    const content = { room_version: version.id, event: made.pdu, invite_room_state: [create ?? {}] }
    return fake.ask(alice.node.name, {
      method: 'PUT',
      uri: `${V2}/invite/${enc(roomId)}/${enc(made.id)}`,
      content,
    })
  }

  it('gets no signature under what this node did not agree to', async () => {
    const someone = alice.node.userId('someone')
    const signed = (body: JsonObject): boolean =>
      JSON.stringify(body).includes(`"${alice.node.name}":{"ed25519`)
    const good = await putInvite(await inviteEvent(someone, mallory.user))
    expect({ status: good.status, signed: signed(good.body) }).toEqual({ status: 200, signed: true })
    const bad = [
      await putInvite(await inviteEvent(someone, mallory.user, false)),
      await putInvite(await inviteEvent(someone, bob.user)),
      await putInvite(await inviteEvent(someone, alice.user)),
      await putInvite(await inviteEvent(bob.user, mallory.user)),
      await putInvite({ ...(await inviteEvent(someone, mallory.user)), id: good.body['id'] as EventId }),
    ]
    for (const { status, body } of bad) {
      expect([400, 403]).toContain(status)
      expect(signed(body)).toBe(false)
    }
  })

  it('joins, leaves and knocks for nobody else', async () => {
    const put = async (kind: string, api: string, user: UserId, signed = true) => {
      const template = { type: 'm.room.member', sender: user, stateKey: user, content: { membership: kind } }
      const { id, pdu } = await fake.build(version, await input(template), signed)
      return fake.ask(alice.node.name, {
        method: 'PUT',
        uri: `${api}/send_${kind}/${enc(roomId)}/${enc(id)}`,
        content: pdu,
      })
    }
    const outcomes = [
      await put('leave', V2, bob.user),
      await put('join', V2, bob.user),
      await put('knock', V1, bob.user),
      await put('leave', V2, mallory.user, false),
      await put('join', V2, mallory.node.userId('uninvited')),
    ]
    for (const { status } of outcomes) expect([400, 403]).toContain(status)
    await network.settle()
    expect(await membershipAt(alice, roomId, bob.user)).toBe('join')
    expect(await membershipAt(alice, roomId, mallory.user)).toBe('join')
  })

  it('gains nothing by a request that it captured', async () => {
    const captured = network.loopback.log.filter(({ to }) => to === alice.node.name)
    expect(captured.length).toBeGreaterThan(2)
    for (const { enveloped, uri } of captured) {
      const { status, body } = await fake.bring(enveloped)
      // A transaction may come again: it tells nothing and changes nothing.
      if (uri.includes('/v1/send/')) expect(status).toBe(200)
      else expect({ status, body }).toMatchObject({ status: 401, body: { errcode: 'M_UNAUTHORIZED' } })
    }
  })

  it('opens no invite link without its secret', async () => {
    const link = await alice.node.engine.control.createInvite(roomId, alice.user)
    const stranger = mallory.node.userId('stranger')
    const secret = Buffer.alloc(32, 9).toString('base64url')
    const opened = mallory.node.engine.control.openInvite({ ...link, secret }, stranger)
    await expect(opened).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    expect(await membershipAt(alice, roomId, stranger)).toBeUndefined()
    await bob.node.engine.control.openInvite(link, bob.node.userId('friend'))
    expect(await membershipAt(alice, roomId, bob.node.userId('friend'))).toBe('invite')
  })

  it('is not heard once the server ACL denies it', async () => {
    await alice.node.engine.rooms.send(roomId, {
      type: 'm.room.server_acl',
      sender: alice.user,
      stateKey: '',
      content: { allow: ['*'], deny: [mallory.node.name] },
    })
    await network.settle()
    const { id, pdu } = await fake.build(version, await input(text(mallory.user, 'denied')))
    const typing = { edu_type: 'm.typing', content: { room_id: roomId, user_id: mallory.user, typing: true } }
    const receipt = {
      edu_type: 'm.receipt',
      content: { [roomId]: { 'm.read': { [mallory.user]: { event_ids: [id], data: { ts: 1 } } } } },
    }
    const { body } = await fake.send(alice.node.name, { pdus: [pdu], edus: [typing, receipt] })
    await network.settle()
    expect(body).toEqual({ pdus: { [id]: { error: expect.any(String) as string } } })
    expect(await read(alice, roomId)).toEqual([])
    expect(alice.node.engine.typing.users(roomId)).toEqual([])
    expect((await alice.node.engine.receipts.ofRoom(roomId)).map(({ userId }) => userId)).not.toContain(
      mallory.user,
    )
    const join = await fake.ask(alice.node.name, {
      method: 'GET',
      uri: `${V1}/make_join/${enc(roomId)}/${enc(mallory.user)}?ver=12`,
    })
    expect(join).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })
})

/** Device lists of other servers: followed by updates, fetched again after a gap, never fed by strangers. */
import { memberKey, type EventId, type JsonObject, type RoomId, type UserId } from '@plexus/core'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestNetwork } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { bringIn, createRoom, membershipAt } from '../server-api/room.ts'
import { applyEdu, callerOf, crossSigningKey, deviceKeysOf, testKey } from './users-kit.ts'

const FAR = 10 ** 9

describe('device lists', () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member
  let roomId: RoomId

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'])
    ;[alice, bob] = network.members as [Member, Member]
    roomId = await createRoom(alice)
    await bringIn(alice, bob, roomId)
    await upload(bob)
    await network.settle()
  })
  afterEach(() => network.close())

  const upload = (member: Member, deviceId = member.deviceId): Promise<unknown> =>
    member.node.engine.users.keys.upload(
      { userId: member.user, deviceId },
      { deviceKeys: deviceKeysOf(member.user, deviceId, testKey(1)) },
    )
  /** The devices of Bob as Alice's node tells them. */
  const devices = async (): Promise<readonly string[]> => {
    const answer = await alice.node.engine.users.keys.query(alice.user, { [bob.user]: [] })
    return Object.keys(answer.device_keys[bob.user] ?? {})
  }
  const fetches = (): number =>
    network.loopback.log.filter(({ uri }) => uri.includes('/user/devices/')).length
  const changedSince = async (position: number): Promise<readonly UserId[]> =>
    (await alice.node.engine.users.deviceLists.changes(alice.user, position, FAR)).changed
  const position = (): number => alice.node.engine.committer.committed
  /** An update of Bob's list as his server could send it. */
  const update = (streamId: number, previous: readonly number[], more: JsonObject = {}): JsonObject => ({
    user_id: bob.user,
    device_id: 'NEW',
    stream_id: streamId,
    prev_id: previous,
    keys: deviceKeysOf(bob.user, 'NEW', testKey(2)),
    ...more,
  })
  const streamId = async (): Promise<number> => {
    const list = await bob.node.engine.users.queries.devices(alice.node.name, bob.user)
    return list['stream_id'] as number
  }
  const receive = (content: JsonObject, origin: string = bob.node.name): Promise<boolean> =>
    applyEdu(alice, 'm.device_list_update', origin, content)

  it('are fetched once and then followed', async () => {
    expect(await devices()).toEqual([bob.deviceId])
    expect(await devices()).toEqual([bob.deviceId])
    const before = fetches()
    const from = position()
    await bob.node.engine.users.accounts.openSession(bob.user, { deviceId: 'SECOND' })
    await upload(bob, 'SECOND')
    await network.settle()
    expect(await changedSince(from)).toEqual([bob.user])
    expect(await devices()).toEqual([bob.deviceId, 'SECOND'].toSorted())
    await bob.node.engine.users.devices.delete(bob.user, ['SECOND'])
    await network.settle()
    expect(await devices()).toEqual([bob.deviceId])
    expect(fetches()).toBe(before)
    expect(before).toBe(1)
  })

  it('follow updates that come in one commit', async () => {
    await devices()
    const last = await streamId()
    const { edus } = alice.node.engine.users
    const contents = [update(last + 1, [last]), update(last + 2, [last + 1], { deleted: true })]
    const effects = await Promise.all(contents.map((one) => edus['m.device_list_update'](bob.node.name, one)))
    await alice.node.engine.committer.submit({
      writes: (at) => effects.flatMap((effect) => effect?.writes(at) ?? []),
    })
    expect(await devices()).toEqual([bob.deviceId])
    expect(fetches()).toBe(1)
  })

  it('are fetched again when an update was missed', async () => {
    await devices()
    const last = await streamId()
    const from = position()
    await receive(update(last + 9, [last + 8]))
    expect(await changedSince(from)).toEqual([bob.user])
    await network.settle()
    expect(fetches()).toBe(2)
    // What the update said is not believed before the list is known again.
    expect(await devices()).toEqual([bob.deviceId])
  })

  it('stay as they were while a gap cannot be closed, and say so', async () => {
    await devices()
    const last = await streamId()
    network.loopback.offline(bob.node.name)
    await receive(update(last + 9, [last + 8]))
    await network.settle()
    const answer = await alice.node.engine.users.keys.query(alice.user, { [bob.user]: [] })
    expect(Object.keys(answer.device_keys[bob.user] ?? {})).toEqual([bob.deviceId])
    expect(Object.keys(answer.failures)).toEqual([bob.node.name])
    network.loopback.offline(bob.node.name, false)
    const again = await alice.node.engine.users.keys.query(alice.user, { [bob.user]: [] })
    expect(again.failures).toEqual({})
  })

  it('take an update once', async () => {
    await devices()
    const last = await streamId()
    await receive(update(last + 1, [last]))
    expect(await devices()).toEqual([bob.deviceId, 'NEW'].toSorted())
    await receive(update(last + 2, [last + 1], { deleted: true }))
    const from = position()
    await receive(update(last + 1, [last]))
    expect(await devices()).toEqual([bob.deviceId])
    expect(await changedSince(from)).toEqual([])
    expect(fetches()).toBe(1)
  })

  it('are not changed for anybody by a new device without keys, but by its keys', async () => {
    const from = position()
    await receive(update((await streamId()) + 1, [], { keys: {} }))
    expect(await changedSince(from)).toEqual([])
    await devices()
    const last = await streamId()
    await receive(update(last + 1, [last], { keys: {} }))
    expect(await changedSince(from)).toEqual([])
    await receive(update(last + 2, [last + 1]))
    expect(await changedSince(from)).toEqual([bob.user])
    expect(await devices()).toEqual([bob.deviceId, 'NEW'].toSorted())
    expect(fetches()).toBe(1)
  })

  it('survive a restart, with the place in the sequence', async () => {
    await devices()
    const last = await streamId()
    alice = await network.restart(alice)
    await receive(update(last + 1, [last]))
    expect(await devices()).toEqual([bob.deviceId, 'NEW'].toSorted())
    expect(fetches()).toBe(1)
  })

  it('that were fetched before the users stopped sharing a room are not trusted after', async () => {
    await devices()
    const { rooms } = bob.node.engine
    await rooms.leave(bob.user, roomId)
    await network.settle()
    await bob.node.engine.users.accounts.openSession(bob.user, { deviceId: 'SECOND' })
    await upload(bob, 'SECOND')
    await bringIn(alice, bob, roomId)
    await network.settle()
    expect(await devices()).toEqual([bob.deviceId, 'SECOND'].toSorted())
  })

  it('stay right while their users take other names', async () => {
    await devices()
    for (const member of [alice, bob])
      await member.node.engine.users.profiles.set(member.user, 'displayname', 'Somebody')
    await network.settle()
    expect(await devices()).toEqual([bob.deviceId])
    expect(fetches()).toBe(1)
  })

  it('stay right when the history shows where their users came', async () => {
    await upload(alice)
    const devicesOfAlice = async (): Promise<readonly string[]> => {
      const answer = await bob.node.engine.users.keys.query(bob.user, { [alice.user]: [] })
      return Object.keys(answer.device_keys[alice.user] ?? {})
    }
    expect(await devicesOfAlice()).toEqual([alice.deviceId])
    const before = fetches()
    await bob.node.engine.rooms.backfill(roomId, -(2 ** 50), 1_000)
    const memberEvent = (await bob.node.engine.rooms.snapshot(roomId))?.state.get(memberKey(alice.user))
    expect((await bob.node.engine.rooms.event(memberEvent as EventId))?.order).toBeLessThan(0)
    expect(await devicesOfAlice()).toEqual([alice.deviceId])
    expect(fetches()).toBe(before)
  })

  it('are fetched again by who left and came back, unseen by who lets it in', async () => {
    await devices()
    network.loopback.decideFate(({ uri }) => (uri.includes('/v1/send/') ? { lose: 'request' } : {}))
    await alice.node.engine.rooms.leave(alice.user, roomId)
    await alice.node.engine.rooms.join(alice.user, roomId, { via: [bob.node.name] })
    const memberEvent = (await alice.node.engine.rooms.snapshot(roomId))?.state.get(memberKey(alice.user))
    const { replaced } = (await alice.node.engine.rooms.event(memberEvent as EventId)) ?? {}
    const before = await alice.node.engine.rooms.event(replaced as EventId)
    expect(before?.pdu.content['membership']).toBe('join')
    await devices()
    expect(fetches()).toBe(2)
  })

  it('are not trusted by who did not believe an update because of a kick that came to nothing', async () => {
    const others = await createTestNetwork(['alice', 'bob', 'carol', 'dave'])
    const [host, guest, kicker, viewer] = others.members as [Member, Member, Member, Member]
    const room = await createRoom(host)
    for (const member of [guest, kicker, viewer]) await bringIn(host, member, room)
    const setPower = (level: number): Promise<unknown> =>
      host.node.engine.rooms.send(room, {
        type: 'm.room.power_levels',
        sender: host.user,
        stateKey: '',
        content: { users: { [kicker.user]: level } },
      })
    await setPower(50)
    await upload(guest)
    await others.settle()
    const query = () => viewer.node.engine.users.keys.query(viewer.user, { [guest.user]: [] })
    await query()
    others.loopback.partition(new Map([[host.node.name, 1]]))
    await setPower(0)
    await kicker.node.engine.rooms.send(room, {
      type: 'm.room.member',
      sender: kicker.user,
      stateKey: guest.user,
      content: { membership: 'leave' },
    })
    await others.settle()
    expect(await membershipAt(viewer, room, guest.user)).toBe('leave')
    const told = update(FAR, [], { user_id: guest.user, keys: deviceKeysOf(guest.user, 'NEW', testKey(2)) })
    await applyEdu(viewer, 'm.device_list_update', guest.node.name, told)
    others.loopback.offline(guest.node.name)
    others.loopback.partition(new Map())
    await others.pass(60_000)
    expect(await membershipAt(viewer, room, guest.user)).toBe('join')
    expect(Object.keys((await query()).failures)).toEqual([guest.node.name])
    await others.close()
  })

  it('of users who share no room are asked for, and not kept', async () => {
    await bob.node.engine.rooms.leave(bob.user, roomId)
    await network.settle()
    const before = fetches()
    expect(await devices()).toEqual([bob.deviceId])
    expect(await devices()).toEqual([bob.deviceId])
    expect(fetches()).toBe(before + 2)
    expect(await receive(update(FAR, []))).toBe(false)
    expect(await receive(update(FAR, []), alice.node.name)).toBe(false)
  })

  it('are changed by their own server alone', async () => {
    await devices()
    const last = await streamId()
    expect(await receive(update(last + 1, [last]), 'evil.example.org')).toBe(false)
    expect(await devices()).toEqual([bob.deviceId])
  })

  it('ignore what is malformed', async () => {
    await devices()
    const last = await streamId()
    const from = position()
    const bad: readonly JsonObject[] = [
      {},
      update(-1, []),
      update(last + 1, [last], { stream_id: 0.5 }),
      update(last + 1, [last], { device_id: '' }),
      update(last + 1, [last], { prev_id: ['x'] }),
      update(
        last + 1,
        Array.from({ length: 1_000 }, () => last),
      ),
      update(last + 1, [last], { keys: deviceKeysOf(alice.user, 'NEW', testKey(2)) }),
      update(last + 1, [last], { keys: 7 }),
      update(last + 1, [last], { user_id: 'bob' }),
    ]
    for (const content of bad) expect(await receive(content)).toBe(false)
    expect(await changedSince(from)).toEqual([])
  })

  it('never throw, whatever another server sends', async () => {
    await devices()
    const json = fc.jsonValue({ maxDepth: 3 })
    const content = fc.record(
      {
        user_id: fc.oneof(json, fc.constant(bob.user)),
        device_id: fc.oneof(json, fc.string()),
        stream_id: fc.oneof(json, fc.nat()),
        prev_id: fc.oneof(json, fc.array(fc.nat())),
        keys: json,
        master_key: json,
        self_signing_key: json,
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(content, async (value) => {
        await applyEdu(alice, 'm.device_list_update', bob.node.name, value)
        await applyEdu(alice, 'm.signing_key_update', bob.node.name, value)
      }),
      { numRuns: 50 },
    )
  })

  it('that are too long or malformed are not believed', async () => {
    const { queries } = bob.node.engine.users
    const device = (id: string): JsonObject => ({ device_id: id, keys: {} })
    const answers: readonly JsonObject[] = [
      { user_id: bob.user, stream_id: 1, devices: Array.from({ length: 501 }, (_, i) => device(`D${i}`)) },
      { user_id: alice.user, stream_id: 1, devices: [] },
      { user_id: bob.user, stream_id: 'x', devices: [] },
      { user_id: bob.user, stream_id: 1, devices: {} },
    ]
    for (const answer of answers) {
      queries.devices = () => Promise.resolve(answer)
      const { failures } = await alice.node.engine.users.keys.query(alice.user, { [bob.user]: [] })
      expect(Object.keys(failures)).toEqual([bob.node.name])
    }
  })

  it('take cross-signing keys as they change', async () => {
    await devices()
    const from = position()
    await bob.node.engine.users.keys.uploadCrossSigning(bob.user, {
      master: crossSigningKey(bob.user, 'master', testKey(5)),
    })
    await network.settle()
    expect(await changedSince(from)).toEqual([bob.user])
    const answer = await alice.node.engine.users.keys.query(alice.user, { [bob.user]: [] })
    expect(answer.master_keys[bob.user]).toEqual(crossSigningKey(bob.user, 'master', testKey(5)))
    expect(fetches()).toBe(1)
    const forged = { user_id: bob.user, master_key: crossSigningKey(bob.user, 'master', testKey(6)) }
    expect(await applyEdu(alice, 'm.signing_key_update', 'evil.example.org', forged)).toBe(false)
    const ofAnother = { user_id: bob.user, master_key: crossSigningKey(alice.user, 'master', testKey(6)) }
    expect(await applyEdu(alice, 'm.signing_key_update', bob.node.name, ofAnother)).toBe(false)
  })

  describe('changes', () => {
    it('name who comes to share a room, and who no longer does', async () => {
      const { deviceLists } = alice.node.engine.users
      // A room's id covers the time of its creation.
      await network.clock.advance(1)
      const other = await createRoom(alice)
      const start = position()
      await bringIn(alice, bob, other)
      await network.settle()
      expect(await deviceLists.changes(alice.user, start, FAR)).toEqual({ changed: [bob.user], left: [] })
      const both = position()
      await bob.node.engine.rooms.leave(bob.user, other)
      await network.settle()
      // They still share the first room.
      expect((await deviceLists.changes(alice.user, both, FAR)).left).toEqual([])
      const one = position()
      await bob.node.engine.rooms.leave(bob.user, roomId)
      await network.settle()
      expect(await deviceLists.changes(alice.user, one, FAR)).toEqual({ changed: [], left: [bob.user] })
    })

    it('name all members of a room to who joins it, and who leaves all of them behind', async () => {
      const { deviceLists } = bob.node.engine.users
      const joined = await deviceLists.changes(bob.user, 0, FAR)
      expect(joined.changed).toEqual([alice.user, bob.user].toSorted())
      const before = bob.node.engine.committer.committed
      await bob.node.engine.rooms.leave(bob.user, roomId)
      await network.settle()
      expect((await deviceLists.changes(bob.user, before, FAR)).left).toEqual([alice.user])
    })

    it('name the members of a room whose servers had no cause to tell of them anew', async () => {
      // Another user of Bob's node shares a room with Alice, so that her list comes to that node already.
      const { node } = bob
      const { userId: dave } = await node.signUp('dave')
      await alice.node.engine.rooms.invite(alice.user, roomId, dave)
      await network.settle()
      await node.engine.rooms.join(dave, roomId, { via: [] })
      await node.engine.rooms.leave(bob.user, roomId)
      await network.clock.advance(1)
      const other = await createRoom(alice)
      await network.settle()
      const before = node.engine.committer.committed
      await bringIn(alice, bob, other)
      await network.settle()
      const { changed } = await node.engine.users.deviceLists.changes(bob.user, before, FAR)
      expect(changed).toContain(alice.user)
    })

    it('of own devices are named, those of strangers are not', async () => {
      const from = position()
      await upload(alice)
      await network.settle()
      expect(await changedSince(from)).toEqual([alice.user])
      expect(await changedSince(position())).toEqual([])
      await alice.node.engine.rooms.leave(alice.user, roomId)
      const left = bob.node.engine.committer.committed
      await alice.node.engine.users.devices.rename(callerOf(alice), 'unseen')
      await network.settle()
      const seen = await bob.node.engine.users.deviceLists.changes(bob.user, left, FAR)
      expect(seen.changed).toEqual([])
    })
  })

  it('go to every server that shares a room, durably', async () => {
    network.loopback.offline(alice.node.name)
    await bob.node.engine.users.devices.rename(callerOf(bob), 'new name')
    bob = await network.restart(bob)
    network.loopback.offline(alice.node.name, false)
    const from = position()
    bob.node.engine.control.peerAppeared(alice.node.name)
    await network.settle()
    expect(await changedSince(from)).toEqual([bob.user])
  })
})

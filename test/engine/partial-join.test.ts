/** A room that is entered without its members: usable at once, whole soon, and right in the end. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { encodeBase64, memberKey, roomVersion, signingBytes, stateKey } from '@plexus/core'
import type { EventId, JsonObject, Pdu, RoomId, RoomVersion, ServerName, UserId } from '@plexus/core'
import { nameOfKey } from '@plexus/core/names'
import { CarrierError, FederationError } from '@plexus/engine/ports'
import { LIMITED_PAUSE_MS, MAX_STATE_EVENTS, MAX_UNPROVEN_SERVERS } from '@plexus/engine/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { testSigner } from '../kit/keys.ts'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { createLargeRoom, isPartial, type LargeRoom } from './large-room-kit.ts'
import { bodies, initialState, make, nowhere, say, setTopic, stateText } from './rooms-kit.ts'

const version = roomVersion('12') as RoomVersion

describe('a room that is entered without its members', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let roomId: RoomId
  let join: LargeRoom['join']
  let withhold: LargeRoom['withhold']
  let lie: LargeRoom['lie']

  beforeEach(async () => {
    ;({ network, alice, bob, carol, roomId, join, withhold, lie } = await createLargeRoom())
  })

  it('is whole soon, and as others see it', async () => {
    await join()
    expect(await isPartial(bob, roomId)).toBe(true)
    await network.settle()
    expect(await isPartial(bob, roomId)).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect((await bob.rooms.snapshot(roomId))?.joinedMembers).toHaveLength(63)
  })

  it('can be talked in at once, with all that are said to be there', async () => {
    const tell = withhold()
    await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    await say(bob, roomId, 'here already')
    await network.settle()
    await say(carol, roomId, 'welcome')
    await network.settle()
    // Nobody told Bob of this member yet.
    const unknown = `@user33:${alice.name}` as UserId
    expect((await bob.rooms.snapshot(roomId))?.state.has(memberKey(unknown))).toBe(false)
    const content = { msgtype: 'm.text', body: 'and from me' }
    await alice.rooms.send(roomId, { type: 'm.room.message', sender: unknown, content })
    await network.settle()
    expect(await isPartial(bob, roomId)).toBe(true)
    const said = ['here already', 'welcome', 'and from me']
    for (const node of [alice, bob, carol]) expect(await bodies(node, roomId)).toEqual(said)
    expect((await bob.rooms.snapshot(roomId))?.joinedMembers).toContain(unknown)
    expect((await bob.rooms.snapshot(roomId))?.state.has(memberKey(carol.user))).toBe(true)
    tell()
    await network.pass(10_000)
    expect(await isPartial(bob, roomId)).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect(await bodies(bob, roomId)).toEqual(said)
  })

  const restartBob = async (): Promise<void> => {
    bob.completion.close()
    bob.staging.close()
    bob.outbox.close()
    bob = await network.add('bob', { seed: 2, store: bob.store })
    await bob.staging.resume()
    bob.outbox.resume()
    await bob.completion.resume()
  }

  it('goes on after a restart from where it was', async () => {
    const tell = withhold()
    await join()
    await say(bob, roomId, 'before')
    await setTopic(alice, roomId, 'topic')
    await network.settle()
    await restartBob()
    await network.settle()
    expect(await isPartial(bob, roomId)).toBe(true)
    await say(bob, roomId, 'after')
    tell()
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect(await bodies(bob, roomId)).toEqual(['before', 'after'])
    expect(await bodies(carol, roomId)).toEqual(['before', 'after'])
    await restartBob()
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it('is told by another member when the one that it was entered through is gone', async () => {
    const tell = withhold()
    await join()
    await network.settle()
    network.offline.add(alice.name)
    tell()
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(carol, roomId))
  })

  it('is fetched event by event where no answer holds it, as slowly as its server wants', async () => {
    withhold()
    await join()
    await network.settle()
    let asked = 0
    // Time passes only while Bob waits for it, or it would run out on a busy machine.
    let waits = true
    network.cheats.set(alice.name, {
      stateIds: async (_to, room, id) => {
        waits = false
        const { stateIds, authChainIds } = await alice.rooms.stateFor(bob.name, room, id)
        return { pduIds: stateIds, authChainIds }
      },
      state: async () => {
        throw new CarrierError('refused', 'the answer is too large')
      },
      event: async (_to, id) => {
        asked += 1
        const isLimited = asked % 10 === 0
        waits ||= isLimited
        if (isLimited)
          throw new FederationError({ status: 429, errcode: 'M_LIMIT_EXCEEDED', error: 'slowly' })
        return { pdus: [structuredClone(await alice.rooms.eventFor(bob.name, id))] }
      },
    })
    while (await isPartial(bob, roomId)) {
      const until = network.clock.now() + 2 * LIMITED_PAUSE_MS
      while (waits && network.clock.fire(until)) continue
      waits = asked === 0 && waits
      await new Promise(setImmediate)
    }
    expect(asked).toBeGreaterThan(60)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it('is whole in the end where the own return came with the events of others', async () => {
    const tell = withhold()
    await join()
    const content = { membership: 'leave' }
    const kick = { type: 'm.room.member', stateKey: bob.user, sender: alice.user, content }
    const kicked = await alice.rooms.send(roomId, kick)
    await network.pass(60_000)
    expect((await bob.rooms.snapshot(roomId))?.joinedServers).not.toContain(bob.name)
    tell()
    const { state } = (await alice.rooms.snapshot(roomId)) ?? { state: new Map() }
    const rules = [stateKey('m.room.power_levels', ''), stateKey('m.room.join_rules', '')]
    const auth = [...rules.flatMap((key) => state.get(key) ?? []), kicked]
    const returning = { type: 'm.room.member', stateKey: bob.user, content: { membership: 'join' }, auth }
    const { pdu } = await make(bob, alice, roomId, returning)
    await alice.rooms.receive(bob.name, [pdu])
    await bob.rooms.receive(alice.name, [pdu])
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it('is not taken of a server that tells more than any room has', async () => {
    const tell = withhold()
    await join()
    await network.settle()
    tell()
    const [own] = (await bob.rooms.snapshot(roomId))?.heads ?? []
    const { stateIds } = await alice.rooms.stateFor(bob.name, roomId, own as EventId)
    const pduIds = [...Array.from({ length: MAX_STATE_EVENTS - 10 }, () => nowhere(1)), ...stateIds]
    network.cheats.set(alice.name, { stateIds: async () => ({ pduIds, authChainIds: [] }) })
    network.offline.add(carol.name)
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(true)
    network.offline.clear()
    bob.completion.kick(alice.name)
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(carol, roomId))
  })

  it('is asked for again and again, and for as long as it takes', async () => {
    const tell = withhold()
    await join()
    await network.pass(6 * 3_600_000)
    expect(await isPartial(bob, roomId)).toBe(true)
    const attempts = (): number =>
      network.complaints.filter((line) => line.includes('are still missing')).length
    const before = attempts()
    expect(before).toBeGreaterThan(20)
    expect(before).toBeLessThan(80)
    // Who appears is asked soon, but not more often for coming and going.
    for (let second = 0; second < 30; second += 1) {
      bob.completion.kick(alice.name)
      await network.pass(1_000)
    }
    expect(attempts() - before).toBeGreaterThan(0)
    expect(attempts() - before).toBeLessThan(6)
    tell()
    bob.completion.kick(alice.name)
    await network.pass(10_000)
    expect(await isPartial(bob, roomId)).toBe(false)
  })

  it('reaches members whose servers were kept back', async () => {
    // Nobody has to stand for its name.
    await alice.rooms.send(roomId, {
      type: 'm.room.name',
      stateKey: '',
      sender: alice.user,
      content: { name: 'r' },
    })
    await network.settle()
    const tell = withhold()
    lie((told) => ({ ...told, serversInRoom: [alice.name] }))
    await join()
    const id = await say(bob, roomId, 'for all')
    await network.settle()
    expect(await bob.outbox.outbox.delivery(roomId, id)).toMatchObject({ members: 1 })
    network.offline.add(alice.name)
    tell()
    network.cheats.clear()
    await network.pass(1_000)
    network.offline.clear()
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
    expect(await bodies(carol, roomId)).toEqual(['for all'])
    expect(await bob.outbox.outbox.delivery(roomId, id)).toMatchObject({ members: 2, delivered: 2 })
  })

  const nameStrangers = async (count: number): Promise<readonly ServerName[]> => {
    // One key, since it takes time to see that it is one.
    const { publicKey } = testSigner(99)
    const names = Array.from({ length: count }, (_, index) => nameOfKey(publicKey, `s${index}.example`))
    lie((told) => ({ ...told, serversInRoom: [...names, alice.name, carol.name] }))
    await join()
    return names
  }

  it('tells only so many servers what is said until its members are known', async () => {
    withhold()
    const names = await nameStrangers(MAX_UNPROVEN_SERVERS + 5)
    const { joinedServers = [] } = (await bob.rooms.snapshot(roomId)) ?? {}
    expect(joinedServers.filter((name) => names.includes(name))).toHaveLength(MAX_UNPROVEN_SERVERS - 1)
    // Itself and whom it was entered through are in it, whatever is said.
    expect(joinedServers).toEqual(expect.arrayContaining([alice.name, bob.name]))
  })

  it('tells nothing more to servers that turn out not to be there', async () => {
    const tell = withhold()
    const names = await nameStrangers(5)
    const toStrangers = (): number =>
      bob.calls.filter((call) => names.some((name) => call.endsWith(name))).length
    await network.settle()
    expect(toStrangers()).toBeGreaterThan(0)
    tell()
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
    const servers = [alice, bob, carol].map(({ name }) => name).toSorted()
    expect((await bob.rooms.snapshot(roomId))?.joinedServers).toEqual(servers)
    const before = toStrangers()
    await say(bob, roomId, 'for those who are there')
    await network.pass(3_600_000)
    expect(toStrangers()).toBe(before)
  })

  it('keeps nobody out of another room for not being known yet', async () => {
    const allow = [{ type: 'm.room_membership', room_id: roomId }]
    const inner = await bob.rooms.create({
      creator: bob.user,
      initialState: [
        ...initialState(bob.user).slice(0, 2),
        { type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'restricted', allow } },
      ],
    })
    // No hero, whom a server would name.
    const unknown = `@user33:${alice.name}` as UserId
    const tell = withhold()
    await join()
    const ask = () => bob.rooms.makeMembership('join', alice.name, inner, unknown, ['12'])
    await expect(ask()).rejects.toMatchObject({ errcode: 'M_UNABLE_TO_AUTHORISE_JOIN' })
    tell()
    await network.pass(60_000)
    expect((await ask()).event).toMatchObject({ sender: unknown })
  })

  it('has a policy server where only the list of servers tells that this is in the room', async () => {
    const secret = new Uint8Array(32).fill(7)
    const state = (type: string, content: JsonObject): Promise<EventId> =>
      alice.rooms.send(roomId, { type, stateKey: '', sender: alice.user, content })
    await state('m.room.name', { name: 'no heroes' })
    const key = encodeBase64(ed25519.getPublicKey(secret))
    await state('m.room.policy', { via: carol.name, public_keys: { ed25519: key } })
    await network.settle()
    withhold()
    network.cheats.set(carol.name, {
      ...network.cheats.get(carol.name),
      signByPolicy: async (_to, pdu) => {
        const signature = ed25519.sign(signingBytes(version, pdu as unknown as Pdu), secret)
        return { [carol.name]: { 'ed25519:policy_server': encodeBase64(signature) } }
      },
    })
    await join()
    expect((await bob.rooms.snapshot(roomId))?.joinedMembers).not.toContain(carol.user)
    const id = await say(bob, roomId, 'signed')
    expect((await bob.rooms.event(id))?.pdu.signatures).toHaveProperty([carol.name])
  })

  it('tells others no state that lacks members', async () => {
    const dave = await network.add('dave')
    withhold()
    await join()
    await network.settle()
    const own = (await bob.rooms.snapshot(roomId))?.heads[0]
    const partial = { errcode: 'M_UNABLE_DUE_TO_PARTIAL_STATE' }
    await expect(bob.rooms.stateFor(carol.name, roomId, own as never)).rejects.toMatchObject(partial)
    const versions = ['12']
    for (const kind of ['join', 'leave', 'knock'] as const)
      await expect(
        bob.rooms.makeMembership(kind, dave.name, roomId, dave.user, versions),
      ).rejects.toMatchObject(partial)
    const { pdu } = await make(dave, alice, roomId, {
      type: 'm.room.member',
      stateKey: dave.user,
      content: { membership: 'join' },
    })
    await expect(
      bob.rooms.acceptMembership(
        'join',
        dave.name,
        roomId,
        pdu.room_id as never,
        pdu as unknown as JsonObject,
      ),
    ).rejects.toMatchObject(partial)
  })

  it('can be left, and entered again', async () => {
    const tell = withhold()
    await join()
    await network.settle()
    await bob.rooms.leave(bob.user, roomId)
    await network.pass(3_600_000)
    expect((await alice.rooms.snapshot(roomId))?.joinedMembers).not.toContain(bob.user)
    const asked = (): number => bob.calls.filter((call) => call.startsWith('state_ids')).length
    const before = asked()
    await network.pass(3_600_000)
    expect(asked()).toBe(before)
    tell()
    await say(alice, roomId, 'missed')
    await join()
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })
})

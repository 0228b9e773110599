/** A room that is entered without its members: usable at once, whole soon, and right in the end. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { encodeBase64, eventIdOf, memberKey, roomVersion, signingBytes, stateKey } from '@plexus/core'
import type { EventId, JsonObject, Pdu, RoomId, RoomVersion, ServerName, UserId } from '@plexus/core'
import { nameOfKey } from '@plexus/core/names'
import { CarrierError, FederationError, type Federation } from '@plexus/engine/ports'
import { LIMITED_PAUSE_MS, MAX_STATE_EVENTS, MAX_UNPROVEN_SERVERS } from '@plexus/engine/testing'
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { testSigner } from '../kit/keys.ts'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import {
  bodies,
  createRoom,
  initialState,
  make,
  nowhere,
  populate,
  say,
  setTopic,
  stateText,
} from './rooms-kit.ts'

const version = roomVersion('12') as RoomVersion

describe('a room that is entered without its members', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    network = createBareNetwork()
    alice = await network.add('alice')
    bob = await network.add('bob')
    carol = await network.add('carol')
    roomId = await createRoom(alice, 'public')
    await populate(alice, roomId, 60)
    await carol.rooms.join(carol.user, roomId, { via: [alice.name] })
    await network.settle()
  })

  const isPartial = async (node = bob): Promise<boolean> =>
    (await node.rooms.snapshot(roomId))?.isPartial === true

  /** Until this is called nobody tells Bob the state. */
  const withhold = (): (() => void) => {
    const never = async (): Promise<never> => {
      throw new Error('not now')
    }
    for (const { name } of [alice, carol]) network.cheats.set(name, { stateIds: never, state: never })
    return () => network.cheats.clear()
  }

  it('is whole soon, and as others see it', async () => {
    await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    expect(await isPartial()).toBe(true)
    await network.settle()
    expect(await isPartial()).toBe(false)
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
    expect(await isPartial()).toBe(true)
    const said = ['here already', 'welcome', 'and from me']
    for (const node of [alice, bob, carol]) expect(await bodies(node, roomId)).toEqual(said)
    expect((await bob.rooms.snapshot(roomId))?.joinedMembers).toContain(unknown)
    expect((await bob.rooms.snapshot(roomId))?.state.has(memberKey(carol.user))).toBe(true)
    tell()
    await network.pass(10_000)
    expect(await isPartial()).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect(await bodies(bob, roomId)).toEqual(said)
  })

  type Told = Awaited<ReturnType<Federation['sendJoin']>>

  /** Alice answers to Bob's join otherwise. */
  const lie = (change: (told: Told) => Told): void => {
    network.cheats.set(alice.name, {
      ...network.cheats.get(alice.name),
      sendJoin: async (_to, room, id, event) =>
        change(
          structuredClone(
            await alice.rooms.acceptMembership('join', bob.name, room, id, event, { omitMembers: true }),
          ),
        ),
    })
  }
  const join = (): Promise<void> => bob.rooms.join(bob.user, roomId, { via: [alice.name] })
  const membership = (node: BareNode, target: BareNode, is: string): Promise<unknown> =>
    node.rooms.send(roomId, {
      type: 'm.room.member',
      stateKey: target.user,
      sender: node.user,
      content: { membership: is },
    })
  const stateEvent = async (node: BareNode, target: BareNode): Promise<JsonObject> => {
    const id = (await node.rooms.snapshot(roomId))?.state.get(memberKey(target.user))
    const record = id === undefined ? undefined : await node.rooms.event(id)
    if (record === undefined) throw new Error('no member event')
    return structuredClone(record.pdu) as JsonObject
  }
  const sorted = async (node: BareNode): Promise<readonly string[]> =>
    (await bodies(node, roomId)).map(String).toSorted()
  const levelsOf = async (node: BareNode): Promise<readonly EventId[]> => {
    const id = (await node.rooms.snapshot(roomId))?.state.get(stateKey('m.room.power_levels', ''))
    return id === undefined ? [] : [id]
  }
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
    expect(await isPartial()).toBe(true)
    await say(bob, roomId, 'after')
    tell()
    await network.pass(60_000)
    expect(await isPartial()).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect(await bodies(bob, roomId)).toEqual(['before', 'after'])
    expect(await bodies(carol, roomId)).toEqual(['before', 'after'])
    await restartBob()
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  /** Dave's store stops for good once the first of several batches was decided again. */
  const killableDave = async () => {
    let kills = 0
    const disk = createMemoryDisk({
      fault: ({ writes }) => {
        // The mark names the state once the first of several batches is committed.
        const hasBegun = writes.some(
          ({ map, value }) => map === 'partial' && value?.includes('"whole"') === true,
        )
        if (!hasBegun || kills > 0) return 'none'
        kills += 1
        return 'crash-after'
      },
    })
    const start = async (): Promise<BareNode> =>
      network.add('dave', { seed: 4, store: await openMemoryStore(disk) })
    const first = await start()
    return {
      first,
      restarted: async (): Promise<BareNode> => {
        expect(kills).toBe(1)
        for (const part of [first.completion, first.staging, first.outbox]) part.close()
        const second = await start()
        expect(await isPartial(second)).toBe(true)
        return second
      },
    }
  }

  it('is the same after a kill in the middle of deciding again', async () => {
    const { first, restarted } = await killableDave()
    const tell = withhold()
    await first.rooms.join(first.user, roomId, { via: [alice.name] })
    await network.settle()
    for (let index = 0; index < 250; index += 1) await say(alice, roomId, `m${index}`)
    await network.settle()
    tell()
    await network.pass(10_000)
    const dave = await restarted()
    expect(await bodies(dave, roomId)).toHaveLength(250)
    const asked = dave.calls.length
    await dave.completion.resume()
    await network.settle()
    expect(await isPartial(dave)).toBe(false)
    // It goes on with the state that it had.
    expect(dave.calls.slice(asked).filter((call) => call.startsWith('state'))).toEqual([])
    expect(await stateText(dave, roomId)).toBe(await stateText(alice, roomId))
    expect(await bodies(dave, roomId)).toEqual(await bodies(alice, roomId))
  })

  it('is told by another member when the one that it was entered through is gone', async () => {
    const tell = withhold()
    await join()
    await network.settle()
    network.offline.add(alice.name)
    tell()
    await network.pass(60_000)
    expect(await isPartial()).toBe(false)
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
    while (await isPartial()) {
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
    expect(await isPartial()).toBe(false)
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
    expect(await isPartial()).toBe(true)
    network.offline.clear()
    bob.completion.kick()
    await network.pass(60_000)
    expect(await isPartial()).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(carol, roomId))
  })

  it('is asked for again and again, and for as long as it takes', async () => {
    const tell = withhold()
    await join()
    await network.pass(6 * 3_600_000)
    expect(await isPartial()).toBe(true)
    const attempts = (): number =>
      network.complaints.filter((line) => line.includes('are still missing')).length
    const before = attempts()
    expect(before).toBeGreaterThan(20)
    expect(before).toBeLessThan(80)
    // Who appears is asked soon, but not more often for coming and going.
    for (let second = 0; second < 30; second += 1) {
      bob.completion.kick()
      await network.pass(1_000)
    }
    expect(attempts() - before).toBeGreaterThan(0)
    expect(attempts() - before).toBeLessThan(6)
    tell()
    bob.completion.kick()
    await network.pass(10_000)
    expect(await isPartial()).toBe(false)
  })

  /** Bob enters a room from which Dave, who may redact, is banned, and is told that Dave is in it. */
  const enterPastBan = async () => {
    const dave = await network.add('dave')
    await dave.rooms.join(dave.user, roomId, { via: [alice.name] })
    const content = { users: { [dave.user]: 50 } }
    const levels = { type: 'm.room.power_levels', stateKey: '', sender: alice.user, content }
    await alice.rooms.send(roomId, levels)
    await network.settle()
    const joined = (await dave.rooms.snapshot(roomId))?.state.get(memberKey(dave.user))
    await membership(alice, dave, 'ban')
    await network.settle()
    const tell = withhold()
    lie(({ serversInRoom = [], authChain, ...told }) => ({
      ...told,
      authChain: [...authChain, daveJoin],
      serversInRoom: [...serversInRoom, dave.name],
    }))
    const daveJoin = structuredClone((await dave.rooms.event(joined as never))?.pdu) as unknown as JsonObject
    await join()
    await network.settle()
    const byDave = async (more: Parameters<typeof make>[3]) =>
      make(dave, bob, roomId, { auth: [joined, ...(await levelsOf(bob))] as EventId[], ...more })
    return { dave, byDave, tell }
  }

  it('shows no longer what a banned member said whose ban was hidden', async () => {
    const { dave, byDave, tell } = await enterPastBan()
    const spam = await byDave({ body: 'spam' })
    await bob.rooms.receive(dave.name, [spam.pdu])
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['spam'])
    tell()
    await network.pass(60_000)
    expect(await isPartial()).toBe(false)
    expect(await bodies(bob, roomId)).toEqual([])
    expect(await bob.rooms.event(spam.id)).toMatchObject({ verdict: 'rejected' })
    expect((await bob.rooms.snapshot(roomId))?.joinedMembers).not.toContain(dave.user)
    await say(alice, roomId, 'gone')
    await network.settle()
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect(await bodies(bob, roomId)).toEqual(['gone'])
  })

  it('has what such a member redacted, and not what another did', async () => {
    const { dave, byDave, tell } = await enterPastBan()
    const redaction = (redacts: EventId, more: Parameters<typeof make>[3] = {}) => ({
      type: 'm.room.redaction',
      content: { redacts },
      ...more,
    })
    const stolen = await say(alice, roomId, 'stolen')
    const withdrawn = await say(alice, roomId, 'withdrawn')
    const twice = await say(alice, roomId, 'twice')
    // Bob has the redaction of it first.
    const late = await make(alice, alice, roomId, { body: 'late' })
    await network.settle()
    for (const target of [stolen, twice, late.id]) {
      const { pdu } = await byDave(redaction(target))
      await bob.rooms.receive(dave.name, [pdu])
    }
    for (const target of [withdrawn, twice])
      await alice.rooms.send(roomId, { ...redaction(target), sender: alice.user })
    await network.settle()
    for (const node of [alice, bob]) await node.rooms.receive(alice.name, [late.pdu])
    await network.settle()
    expect(await isPartial()).toBe(true)
    expect((await bodies(bob, roomId)).filter((body) => body !== undefined)).toEqual([])
    tell()
    await network.pass(60_000)
    expect(await isPartial()).toBe(false)
    expect(await sorted(bob)).toEqual(await sorted(alice))
    expect(await sorted(bob)).toEqual(['late', 'stolen', 'undefined', 'undefined'])
    // Nothing of what was taken out is left behind.
    expect(await bob.store.range('unredacted', '', '\u00ff')).toEqual([])
  })

  it('shows what a member said who was wrongly said to be banned', async () => {
    await membership(alice, carol, 'ban')
    const ban = await stateEvent(alice, carol)
    await membership(alice, carol, 'leave')
    await network.settle()
    await carol.rooms.join(carol.user, roomId, { via: [alice.name] })
    await network.settle()
    const tell = withhold()
    lie((told) => ({ ...told, state: [...told.state, ban] }))
    await join()
    await network.settle()
    await say(carol, roomId, 'let me in')
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual([])
    await say(alice, roomId, 'hello')
    tell()
    await network.pass(60_000)
    expect(await isPartial()).toBe(false)
    expect(await sorted(bob)).toEqual(['hello', 'let me in'])
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    const heads = async (node: BareNode): Promise<unknown> => (await node.rooms.snapshot(roomId))?.heads
    expect(await heads(bob)).toEqual(await heads(alice))
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
    expect(await isPartial()).toBe(false)
    expect(await bodies(carol, roomId)).toEqual(['for all'])
    expect(await bob.outbox.outbox.delivery(roomId, id)).toMatchObject({ members: 2, delivered: 2 })
  })

  /** Takes the second of two events of Carol from her before the first, which nobody gives; two tell the state. */
  const takeSecondFirst = async (node: BareNode) => {
    const [joined] = (await alice.rooms.snapshot(roomId))?.heads ?? []
    const first = await make(carol, alice, roomId, { body: 'first' })
    const second = await make(carol, alice, roomId, { prev: [first.id], body: 'second' })
    const notFound = async (): Promise<never> => {
      throw new FederationError({ status: 404, errcode: 'M_NOT_FOUND', error: 'no' })
    }
    const known: Partial<Federation> = {
      event: notFound,
      state: notFound,
      getMissingEvents: async () => ({ events: [] }),
      backfill: async () => ({ pdus: [] }),
      stateIds: async (_to, room, before) => {
        if (before !== second.id) return notFound()
        const { state } = await alice.rooms.stateFor(node.name, room, joined as EventId)
        const records = await node.rooms.events(state.map((pdu) => eventIdOf(version, pdu)))
        return { pduIds: records.flatMap((record) => record?.id ?? []), authChainIds: [] }
      },
    }
    for (const { name } of [alice, carol]) network.cheats.set(name, known)
    await node.rooms.receive(carol.name, [second.pdu])
    await network.pass(10_000)
    expect(await bodies(node, roomId)).toEqual(['second'])
    return { first, second }
  }

  it('is right also after events that came before those that they follow', async () => {
    const tell = withhold()
    await join()
    await network.settle()
    const { first, second } = await takeSecondFirst(bob)
    await bob.rooms.receive(carol.name, [first.pdu])
    await alice.rooms.receive(carol.name, [first.pdu, second.pdu])
    await network.settle()
    expect(await isPartial()).toBe(true)
    tell()
    await network.pass(60_000)
    expect(await isPartial()).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect(await sorted(bob)).toEqual(['first', 'second'])
    expect((await bob.rooms.snapshot(roomId))?.heads).toEqual([second.id])
    expect((await bob.rooms.stateAfter(second.id))?.size).toBe(
      (await alice.rooms.stateAfter(second.id))?.size,
    )
  })

  it('has no head that others follow after a kill in the middle of that', async () => {
    const { first: killed, restarted } = await killableDave()
    const tell = withhold()
    await killed.rooms.join(killed.user, roomId, { via: [alice.name] })
    await network.settle()
    const { first, second } = await takeSecondFirst(killed)
    await killed.rooms.receive(carol.name, [first.pdu])
    await alice.rooms.receive(carol.name, [first.pdu, second.pdu])
    await network.settle()
    for (let index = 0; index < 150; index += 1) await say(alice, roomId, `m${index}`)
    await network.settle()
    tell()
    await network.pass(60_000)
    const dave = await restarted()
    await dave.completion.resume()
    await network.settle()
    expect(await isPartial(dave)).toBe(false)
    const heads = async (node: BareNode): Promise<unknown> => (await node.rooms.snapshot(roomId))?.heads
    expect(await heads(dave)).toEqual(await heads(alice))
  })

  /** Bob is told that servers are in the room which nobody has heard of. */
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
    expect(await isPartial()).toBe(false)
    const servers = [alice, bob, carol].map(({ name }) => name).toSorted()
    expect((await bob.rooms.snapshot(roomId))?.joinedServers).toEqual(servers)
    const before = toStrangers()
    await say(bob, roomId, 'for those who are there')
    await network.pass(3_600_000)
    expect(toStrangers()).toBe(before)
  })

  it('comes to the same state whatever happens while it becomes whole', async () => {
    await join()
    const work: Promise<unknown>[] = []
    for (let round = 0; round < 20; round += 1) {
      work.push(
        say(alice, roomId, `a${round}`),
        say(bob, roomId, `b${round}`),
        setTopic(alice, roomId, `${round}`),
      )
      if (round % 5 === 0) work.push(populate(carol, roomId, round))
      await Promise.resolve()
    }
    await Promise.all(work)
    await network.pass(60_000)
    await say(alice, roomId, 'end')
    await network.pass(60_000)
    expect(await isPartial()).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    expect(await sorted(bob)).toEqual(await sorted(alice))
    expect(await sorted(bob)).toHaveLength(41)
  })

  it('takes what needs members that are not known yet once they are', async () => {
    const second = `@second:${bob.name}` as UserId
    await alice.rooms.send(roomId, {
      type: 'm.room.join_rules',
      stateKey: '',
      sender: alice.user,
      content: { join_rule: 'invite' },
    })
    await alice.rooms.invite(alice.user, roomId, bob.user)
    await alice.rooms.invite(alice.user, roomId, second)
    const third = `@third:${bob.name}` as UserId
    await alice.rooms.invite(alice.user, roomId, third)
    await network.settle()
    const tell = withhold()
    await join()
    const refused = bob.rooms.leave(third, roomId)
    const joined = bob.rooms.join(second, roomId, { via: [alice.name] })
    await network.settle()
    expect(await isPartial()).toBe(true)
    tell()
    await network.pass(5_000)
    await joined
    await refused
    expect((await bob.rooms.snapshot(roomId))?.joinedMembers).toContain(second)
    expect(await bob.rooms.membership(third, roomId)).toMatchObject({ membership: 'leave' })
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
    expect(await isPartial()).toBe(false)
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })
})

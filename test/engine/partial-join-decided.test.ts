/** What was decided while the members of a room were not known is right once they are. */
import { eventIdOf, memberKey, roomVersion, stateKey } from '@plexus/core'
import type { EventId, JsonObject, RoomId, RoomVersion, UserId } from '@plexus/core'
import { FederationError, type Federation } from '@plexus/engine/ports'
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import type { BareNetwork, BareNode } from '../kit/bare-rooms.ts'
import { createLargeRoom, isPartial, type LargeRoom } from './large-room-kit.ts'
import { bodies, make, populate, say, setTopic, stateText } from './rooms-kit.ts'

const version = roomVersion('12') as RoomVersion

describe('what was decided before the members were known', { timeout: 30_000 }, () => {
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
        expect(await isPartial(second, roomId)).toBe(true)
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
    expect(await isPartial(dave, roomId)).toBe(false)
    // It goes on with the state that it had.
    expect(dave.calls.slice(asked).filter((call) => call.startsWith('state'))).toEqual([])
    expect(await stateText(dave, roomId)).toBe(await stateText(alice, roomId))
    expect(await bodies(dave, roomId)).toEqual(await bodies(alice, roomId))
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
    expect(await isPartial(bob, roomId)).toBe(false)
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
    expect(await isPartial(bob, roomId)).toBe(true)
    expect((await bodies(bob, roomId)).filter((body) => body !== undefined)).toEqual([])
    tell()
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
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
    expect(await isPartial(bob, roomId)).toBe(false)
    expect(await sorted(bob)).toEqual(['hello', 'let me in'])
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
    const heads = async (node: BareNode): Promise<unknown> => (await node.rooms.snapshot(roomId))?.heads
    expect(await heads(bob)).toEqual(await heads(alice))
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
    expect(await isPartial(bob, roomId)).toBe(true)
    tell()
    await network.pass(60_000)
    expect(await isPartial(bob, roomId)).toBe(false)
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
    expect(await isPartial(dave, roomId)).toBe(false)
    const heads = async (node: BareNode): Promise<unknown> => (await node.rooms.snapshot(roomId))?.heads
    expect(await heads(dave)).toEqual(await heads(alice))
  })

  /** Bob is told that servers are in the room which nobody has heard of. */
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
    expect(await isPartial(bob, roomId)).toBe(false)
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
    expect(await isPartial(bob, roomId)).toBe(true)
    tell()
    await network.pass(5_000)
    await joined
    await refused
    expect((await bob.rooms.snapshot(roomId))?.joinedMembers).toContain(second)
    expect(await bob.rooms.membership(third, roomId)).toMatchObject({ membership: 'leave' })
  })
})

/**
 * DESIGN section 4: "State fetched for a gap is the claim of one member, perhaps a hostile one: every event in it is
 * checked, … and it reaches our current state only through resolution." The same holds for what a resident server tells
 * of a room that is joined through it: others are heard, and their word counts as much.
 */
import {
  encodeBase64,
  eventIdOf,
  memberKey,
  roomVersion,
  signingBytes,
  stateKey,
  withSignature,
} from '@plexus/core'
import type { EventId, JsonObject, KeyId, Pdu, RoomId, RoomVersion, UserId } from '@plexus/core'
import { MAX_SECOND_MEMBERS, SECOND_MEMBER_MS } from '@plexus/engine/testing'
import { FederationError, type Federation } from '@plexus/engine/ports'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, make, nowhere, say, setTopic, stateText } from '../engine/rooms-kit.ts'

const version = roomVersion('12') as RoomVersion
const LEVELS = stateKey('m.room.power_levels', '')
const TOPIC = stateKey('m.room.topic', '')

describe('the state that one resident tells', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let mallory: BareNode
  let roomId: RoomId
  /** When Mallory had power, and the state then. */
  let old: ReadonlyMap<string, EventId>

  const power = (users: JsonObject): Promise<EventId> =>
    alice.rooms.send(roomId, {
      type: 'm.room.power_levels',
      stateKey: '',
      sender: alice.user,
      content: { users },
    })

  beforeEach(async () => {
    network = createBareNetwork()
    alice = await network.add('alice')
    bob = await network.add('bob')
    carol = await network.add('carol')
    mallory = await network.add('mallory')
    roomId = await createRoom(alice, 'public')
    await bringIn(network, alice, carol, roomId)
    await bringIn(network, alice, mallory, roomId)
    await power({ [mallory.user]: 90 })
    await setTopic(alice, roomId, 'old')
    await network.settle()
    old = new Map((await mallory.rooms.snapshot(roomId))?.state)
    await power({})
    await setTopic(alice, roomId, 'new')
    await network.settle()
  })

  /** Mallory's server helps to join, and tells a state of its own making. */
  const resident = (change: (state: ReadonlyMap<string, Pdu>) => ReadonlyMap<string, Pdu>): void => {
    const keyOf = (pdu: Pdu): string => stateKey(pdu.type, pdu.state_key ?? '')
    network.cheats.set(mallory.name, {
      sendJoin: async (_to, room, id, event) => {
        const told = await mallory.rooms.acceptMembership('join', bob.name, room, id, event)
        const honest = new Map(told.state.map((pdu) => [keyOf(pdu), pdu]))
        const oldEvents = (await mallory.rooms.events([...old.values()])).map((record) => record?.pdu as Pdu)
        const state = [...change(honest).values()]
        return structuredClone({ state, authChain: [...told.authChain, ...oldEvents, ...honest.values()] })
      },
    })
  }

  const joinThroughMallory = async (): Promise<void> => {
    await bob.rooms.join(bob.user, roomId, { via: [mallory.name] })
  }

  /** An event that Mallory's server makes on the authority that it once had. */
  const backdated = async (type: string, key: string, content: JsonObject): Promise<Pdu> => {
    const auth = [LEVELS, memberKey(mallory.user)].flatMap((each) => old.get(each) ?? [])
    const { pdu } = await make(mallory, mallory, roomId, { type, stateKey: key, content, auth })
    return pdu
  }

  const expectTruth = async (): Promise<void> => {
    await network.pass(120_000)
    await say(carol, roomId, 'from who knows better')
    await network.pass(120_000)
    expect(await bodies(bob, roomId)).toContain('from who knows better')
    expect(await stateText(bob, roomId)).toBe(await stateText(carol, roomId))
    const state = (await bob.rooms.snapshot(roomId))?.state
    expect((await bob.rooms.event(state?.get(TOPIC) as EventId))?.pdu.content).toEqual({ topic: 'new' })
    const levels = (await bob.rooms.event(state?.get(LEVELS) as EventId))?.pdu
    expect(levels).toMatchObject({ sender: alice.user, content: { users: {} } })
    expect(state?.has(memberKey(carol.user))).toBe(true)
  }

  it('that is an old one gives way to what others know', async () => {
    const events = (await mallory.rooms.events([...old.values()])).map((record) => record?.pdu as Pdu)
    resident(() => new Map(events.map((pdu) => [stateKey(pdu.type, pdu.state_key ?? ''), pdu])))
    await joinThroughMallory()
    await expectTruth()
  })

  it('that raises its own power on old authority gives way to what others know', async () => {
    const mine = await backdated('m.room.power_levels', '', { users: { [mallory.user]: 90 }, ban: 60 })
    resident((honest) => new Map([...honest, [LEVELS, mine]]))
    await joinThroughMallory()
    await expectTruth()
  })

  it('that claims a ban on old authority gives way to what others know', async () => {
    const ban = await backdated('m.room.member', carol.user, { membership: 'ban' })
    resident((honest) => new Map([...honest, [memberKey(carol.user), ban]]))
    await joinThroughMallory()
    await expectTruth()
    expect((await bob.rooms.snapshot(roomId))?.joinedMembers).toContain(carol.user)
  })

  it('that claims a ban without any authority is not believed for a moment', async () => {
    const { pdu } = await make(mallory, mallory, roomId, {
      type: 'm.room.member',
      stateKey: carol.user,
      content: { membership: 'ban' },
    })
    resident((honest) => new Map([...honest, [memberKey(carol.user), pdu]]))
    await joinThroughMallory()
    const state = (await bob.rooms.snapshot(roomId))?.state
    expect(state?.get(memberKey(carol.user))).not.toBe(eventIdOf(version, pdu))
    await expectTruth()
  })

  it('that hides a ban gives way to what others know', async () => {
    const member = memberKey(carol.user)
    const before = (await alice.rooms.snapshot(roomId))?.state.get(member) as EventId
    const joined = (await alice.rooms.event(before))?.pdu as Pdu
    const dave = await network.add('dave')
    await bringIn(network, alice, dave, roomId)
    await alice.rooms.send(roomId, {
      type: 'm.room.member',
      stateKey: carol.user,
      sender: alice.user,
      content: { membership: 'ban' },
    })
    await network.settle()
    resident((honest) => new Map([...honest, [member, joined]]))
    await joinThroughMallory()
    await network.pass(120_000)
    await say(dave, roomId, 'she is banned')
    await network.pass(120_000)
    expect(await stateText(bob, roomId)).toBe(await stateText(dave, roomId))
    expect((await bob.rooms.snapshot(roomId))?.joinedMembers).not.toContain(carol.user)
  })

  it('that leaves out all other members gives way to what the creator knows', async () => {
    resident(
      (honest) => new Map([...honest].filter(([key]) => !key.includes('@') || key.includes('mallory'))),
    )
    await joinThroughMallory()
    expect(await stateText(bob, roomId)).toContain(carol.user)
    await expectTruth()
  })

  it('takes no place of what is known in a room that a user of the node is in', async () => {
    await power({ [mallory.user]: 90 })
    const restricted = {
      join_rule: 'restricted',
      allow: [{ type: 'm.room_membership', room_id: `!${'q'.repeat(43)}` }],
    }
    const sent = { type: 'm.room.join_rules', stateKey: '', sender: alice.user, content: restricted }
    await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
    await alice.rooms.send(roomId, sent)
    await network.settle()
    old = new Map((await mallory.rooms.snapshot(roomId))?.state)
    await power({})
    await setTopic(alice, roomId, 'newest')
    await network.settle()
    const truth = await stateText(carol, roomId)
    const ben = `@ben:${bob.name}` as UserId
    const authEvents = [LEVELS, stateKey('m.room.join_rules', ''), memberKey(mallory.user)].map(
      (key) => old.get(key) as EventId,
    )
    const event = {
      content: { membership: 'join', join_authorised_via_users_server: mallory.user },
      prev_events: [nowhere(1)],
      auth_events: authEvents,
      depth: 50,
    }
    const state = (await mallory.rooms.events([...old.values()])).map((record) => record?.pdu as Pdu)
    network.cheats.set(mallory.name, {
      makeMembership: async () => ({ roomVersion: '12', event }),
      sendJoin: async (_to, _room, _id, given) => {
        const join = given as unknown as Pdu
        const bytes = await mallory.signer.sign(signingBytes(version, join))
        const signed = withSignature(join, mallory.name, mallory.signer.keyId as KeyId, encodeBase64(bytes))
        return structuredClone({ event: signed, state, authChain: [] })
      },
    })
    await expect(bob.rooms.join(ben, roomId, { via: [mallory.name] })).rejects.toMatchObject({
      errcode: 'M_UNKNOWN',
    })
    expect(await stateText(bob, roomId)).toBe(truth)
  })

  it('is taken as it is where nobody else answers, and in time', async () => {
    const servers = [alice, carol, ...(await more(MAX_SECOND_MEMBERS))].map(({ name }) => name)
    for (const name of servers)
      network.cheats.set(name, { sendTransaction: () => new Promise(() => undefined) })
    resident((honest) => honest)
    let joined = false
    const timers = network.clock.waiting
    const join = joinThroughMallory().then(() => (joined = true))
    while (network.clock.waiting === timers) await new Promise((resolve) => setImmediate(resolve))
    expect(joined).toBe(false)
    while (network.clock.fire(network.clock.now() + SECOND_MEMBER_MS)) continue
    await join
    expect(await stateText(bob, roomId)).toContain(bob.user)
  })

  it('costs others a bounded number of questions', async () => {
    const asked: string[] = []
    const refuse: Federation['sendTransaction'] = async (_to, { txnId }) => {
      asked.push(txnId)
      throw new FederationError({ status: 403, errcode: 'M_FORBIDDEN', error: 'no' })
    }
    for (const { name } of [alice, carol, ...(await more(MAX_SECOND_MEMBERS))])
      network.cheats.set(name, { sendTransaction: refuse })
    resident((honest) => honest)
    await joinThroughMallory()
    expect(asked.filter((txnId) => txnId.startsWith('join-'))).toHaveLength(MAX_SECOND_MEMBERS)
  })

  const more = async (count: number): Promise<readonly BareNode[]> => {
    const nodes: BareNode[] = []
    for (let index = 0; index < count; index += 1) {
      const node = await network.add(`n${index}`)
      await bringIn(network, alice, node, roomId)
      nodes.push(node)
    }
    return nodes
  }
})

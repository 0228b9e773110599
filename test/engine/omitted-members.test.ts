/** What a server is told of a room that it joins and can do without the members of. spec: PUT /v2/send_join `omit_members` */
import { eventIdOf, judgedBy, roomVersion } from '@plexus/core'
import type { EventId, JsonObject, Pdu, RoomId, RoomVersion } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { createRoom, make, populate } from './rooms-kit.ts'

const version = roomVersion('12') as RoomVersion

describe('a room that is told without its members', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    network = createBareNetwork()
    alice = await network.add('alice')
    bob = await network.add('bob')
    roomId = await createRoom(alice, 'public')
  })

  /** What Alice answers to Bob's join. */
  const told = async (options: { omitMembers?: boolean }) => {
    const { event } = await alice.rooms.makeMembership('join', bob.name, roomId, bob.user, ['12'])
    const join = await make(bob, alice, roomId, {
      type: 'm.room.member',
      stateKey: bob.user,
      content: { membership: 'join' },
      prev: event['prev_events'] as EventId[],
      auth: event['auth_events'] as EventId[],
    })
    const answer = await alice.rooms.acceptMembership('join', bob.name, roomId, join.id, join.pdu, options)
    return { ...answer, join }
  }
  const membersOf = (state: readonly JsonObject[]): unknown[] =>
    state.filter(({ type }) => type === 'm.room.member').map(({ state_key: key }) => key)

  it('has its heroes while it has no name, and what authorises all of it once', async () => {
    await populate(alice, roomId, 60)
    const { state, authChain, serversInRoom, join } = await told({ omitMembers: true })
    expect(serversInRoom).toEqual([alice.name])
    const heroes = membersOf(state)
    expect(heroes).toHaveLength(5)
    expect(heroes).not.toContain(bob.user)
    expect(state.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['m.room.create', 'm.room.power_levels', 'm.room.join_rules']),
    )
    const given = [...state, ...authChain] as Pdu[]
    const ids = given.map((pdu) => eventIdOf(version, pdu))
    expect(new Set(ids).size).toBe(ids.length)
    for (const pdu of [...given, join.pdu])
      expect(ids).toEqual(expect.arrayContaining([...judgedBy(version, pdu)]))
  })

  it('has no member but who authorises its state once it has a name', async () => {
    await populate(alice, roomId, 60)
    await alice.rooms.send(roomId, {
      type: 'm.room.name',
      stateKey: '',
      sender: alice.user,
      content: { name: 'large' },
    })
    const { state, authChain } = await told({ omitMembers: true })
    expect(membersOf(state)).toEqual([])
    expect(membersOf(authChain)).toEqual([alice.user])
  })

  it('is told whole to who cannot do without them, and while it is small', async () => {
    const small = await told({ omitMembers: true })
    expect(small.serversInRoom).toBeUndefined()
    expect(membersOf(small.state)).toEqual([alice.user])
    await populate(alice, roomId, 60)
    const whole = await told({})
    expect(whole.serversInRoom).toBeUndefined()
    // Bob joined before.
    expect(membersOf(whole.state)).toHaveLength(62)
  })
})

/** Joining through others who may cheat, and rooms that many write to at once. */
import { memberKey, ROOM_VERSIONS, stateKey, without } from '@plexus/core'
import type { EventId, JsonObject, RoomId } from '@plexus/core'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'
import {
  bodies,
  createRoom,
  initialState,
  say,
  stateText,
  timeline,
  threeServers,
  make,
} from './rooms-kit.ts'

let network: BareNetwork
let alice: BareNode
let bob: BareNode
let carol: BareNode
let roomId: RoomId

beforeEach(async () => {
  ;({ network, alice, bob, carol, roomId } = await threeServers('public'))
})

const join = (node: BareNode, through: BareNode): Promise<void> =>
  node.rooms.join(node.user, roomId, { via: [through.name] })

describe('forward extremities', { timeout: 30_000 }, () => {
  it('of one server that makes forks without end are few, and its newest', async () => {
    await join(bob, alice)
    await network.settle()
    const base = (await alice.rooms.snapshot(roomId))?.heads ?? []
    const own = await say(alice, roomId, 'mine')
    const forks = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        make(bob, alice, roomId, { prev: base, body: `fork ${index}` }),
      ),
    )
    await alice.rooms.receive(
      bob.name,
      forks.map(({ pdu }) => pdu),
    )
    await network.settle()
    const ids = forks.map(({ id }) => id)
    const heads = (await alice.rooms.snapshot(roomId))?.heads ?? []
    expect(heads).toHaveLength(6)
    expect(heads).toContain(own)
    expect(heads.filter((id) => ids.slice(-5).includes(id))).toHaveLength(5)
    expect(await bodies(alice, roomId)).toHaveLength(41)
  })

  it('are joined twenty at a time, own ones first, whatever depth others claim', async () => {
    const others: BareNode[] = []
    for (let index = 0; index < 24; index += 1) {
      const node = await network.add(`n${index}`, { fanOut: { direct: 100 } })
      others.push(node)
      await join(node, alice)
    }
    await network.settle()
    const base = (await alice.rooms.snapshot(roomId))?.heads ?? []
    const own = await say(alice, roomId, 'mine')
    for (const node of others) {
      const { pdu } = await make(node, alice, roomId, { prev: base, depth: 1_000_000 })
      await alice.rooms.receive(node.name, [pdu])
    }
    await network.settle()
    expect((await alice.rooms.snapshot(roomId))?.heads).toHaveLength(25)
    // Who joins gets a template that it can use.
    await join(bob, alice)
    const next = await alice.rooms.event((await alice.rooms.snapshot(roomId))?.heads[0] as EventId)
    expect(next?.pdu.prev_events.length).toBeLessThanOrEqual(20)
    await say(alice, roomId, 'next')
    await say(alice, roomId, 'and next')
    expect((await alice.rooms.snapshot(roomId))?.heads).toHaveLength(1)
    const mine = (await timeline(alice, roomId)).find(({ pdu }) => pdu.prev_events.includes(own))
    expect(mine?.pdu.type).toBe('m.room.member')
  })
})

describe('who is in a room', { timeout: 60_000 }, () => {
  /** What the state says of the members and their servers. */
  const fromState = async (node: BareNode): Promise<{ members: string[]; servers: string[] }> => {
    const snapshot = await node.rooms.snapshot(roomId)
    const events = await node.rooms.stateEvents(snapshot?.state ?? new Map())
    const members = events
      .filter(({ pdu }) => pdu.type === 'm.room.member' && pdu.content['membership'] === 'join')
      .map(({ pdu }) => pdu.state_key as string)
      .toSorted()
    return {
      members,
      servers: [...new Set(members.map((user) => user.slice(user.indexOf(':') + 1)))].toSorted(),
    }
  }

  it.each([1, 2, 3, 4, 5, 6])(
    'is what the resolved state says, whatever forks it went through (seed %i)',
    async (seed) => {
      const random = createSeededRandom(seed)
      await join(bob, alice)
      await network.settle()
      const content = { users: { [bob.user]: 50 } }
      await alice.rooms.send(roomId, {
        type: 'm.room.power_levels',
        stateKey: '',
        sender: alice.user,
        content,
      })
      const guests = [carol, await network.add('dave'), await network.add('erin')]
      await network.settle()
      const set = (by: BareNode, of: BareNode, membership: string): Promise<unknown> =>
        by.rooms
          .send(roomId, {
            type: 'm.room.member',
            sender: by.user,
            stateKey: of.user,
            content: { membership },
          })
          .catch(() => undefined)
      let differed = 0
      for (let round = 0; round < 4; round += 1) {
        for (const guest of guests) if (random.chance(0.6)) await join(guest, alice).catch(() => undefined)
        await network.settle()
        network.offline.add(bob.name)
        for (const guest of guests) {
          if (random.chance(0.5)) await set(alice, guest, random.chance(0.5) ? 'ban' : 'leave')
          if (random.chance(0.5)) await set(bob, guest, random.chance(0.5) ? 'leave' : 'ban')
          if (random.chance(0.3)) await set(alice, guest, 'leave')
        }
        if ((await stateText(alice, roomId)) !== (await stateText(bob, roomId))) differed += 1
        network.offline.delete(bob.name)
        for (const node of [alice, bob]) node.outbox.outbox.kick([alice.name, bob.name], true)
        await network.pass(3_000)
        for (const guest of guests) await set(alice, guest, 'leave')
        await network.settle()
      }
      await say(alice, roomId, 'last')
      await network.settle()
      expect(differed).toBeGreaterThan(0)
      expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
      for (const node of [alice, bob]) {
        const snapshot = await node.rooms.snapshot(roomId)
        const { members, servers } = await fromState(node)
        expect(snapshot?.joinedMembers).toEqual(members)
        expect(snapshot?.joinedServers).toEqual(servers)
      }
      // Who is out is told nothing.
      const inside = (await fromState(alice)).servers
      const out = guests.filter(({ name }) => !inside.includes(name))
      const before = out.map(({ name }) => alice.calls.filter((call) => call === `send ${name}`).length)
      await say(alice, roomId, 'for members')
      await network.settle()
      expect(out.map(({ name }) => alice.calls.filter((call) => call === `send ${name}`).length)).toEqual(
        before,
      )
      expect(out.length).toBeGreaterThan(0)
    },
  )
})

describe('a template of another server', () => {
  const template = async (change: (event: JsonObject) => JsonObject, roomVersion = '12'): Promise<void> => {
    network.cheats.set(alice.name, {
      makeMembership: async () => {
        const honest = await alice.rooms.makeMembership('join', bob.name, roomId, bob.user, ROOM_VERSIONS)
        return { roomVersion, event: change(honest.event) }
      },
    })
    await join(bob, alice)
  }

  it('gives previous events, auth events and depth, and nothing else, to what is signed', async () => {
    await template((event) => ({
      ...event,
      type: 'm.room.power_levels',
      sender: alice.user,
      state_key: '',
      room_id: '!other',
      content: { membership: 'ban', users: { [carol.user]: 100 } },
      unknown: 'field',
      origin_server_ts: 7,
    }))
    const record = (await timeline(bob, roomId))[0]
    expect(record?.pdu).toMatchObject({
      type: 'm.room.member',
      sender: bob.user,
      state_key: bob.user,
      room_id: roomId,
      content: { membership: 'join' },
    })
    expect(record?.pdu).not.toHaveProperty('unknown')
    expect(record?.pdu.origin_server_ts).toBeGreaterThan(7)
  })

  it.each<[string, (event: JsonObject) => JsonObject]>([
    ['no previous events', (event) => without(event, 'prev_events')],
    ['previous events that are no list', (event) => ({ ...event, prev_events: 'x' })],
    ['previous events that are no ids', (event) => ({ ...event, prev_events: [7, 'x'] })],
    [
      'too many previous events',
      (event) => ({ ...event, prev_events: Array.from({ length: 21 }, () => `$${'A'.repeat(43)}`) }),
    ],
    [
      'too many auth events',
      (event) => ({ ...event, auth_events: Array.from({ length: 21 }, () => `$${'A'.repeat(43)}`) }),
    ],
  ])('is refused with %s', async (_, change) => {
    await expect(template(change)).rejects.toMatchObject({ errcode: 'M_BAD_JSON' })
    expect(bob.calls.some((call) => call.startsWith('send_join'))).toBe(false)
  })

  it('may claim any depth', async () => {
    for (const depth of [-1, 0.5, 'x', Number.MAX_SAFE_INTEGER, null]) {
      network = createBareNetwork()
      alice = await network.add('alice')
      bob = await network.add('bob')
      roomId = await createRoom(alice, 'public')
      await template((event) => ({ ...event, depth }))
      await say(bob, roomId, 'still works')
      await network.settle()
      expect(await bodies(alice, roomId)).toEqual(['still works'])
    }
  })

  it('of a room version that is not the one of the room is refused', async () => {
    const version = '10'
    const state = initialState(alice.user, 'public').map((event) =>
      event.type === 'm.room.power_levels' ? { ...event, content: { users: { [alice.user]: 100 } } } : event,
    )
    roomId = await alice.rooms.create({ creator: alice.user, version, initialState: state })
    // Both have events of one form, so that nothing else shows the difference.
    const told = (roomVersion: string) => template((event) => event, roomVersion)
    await expect(told('9')).rejects.toMatchObject({
      errcode: 'M_BAD_STATE',
      message: expect.stringContaining('room version') as unknown,
    })
    await told(version)
    expect((await bob.rooms.snapshot(roomId))?.version.id).toBe(version)
  })

  it('of a room version that is not supported is refused', async () => {
    await expect(template((event) => event, '99')).rejects.toMatchObject({
      errcode: 'M_INCOMPATIBLE_ROOM_VERSION',
    })
  })
})

describe('the answer to a join', { timeout: 30_000 }, () => {
  type Told = { state: readonly JsonObject[]; authChain: readonly JsonObject[]; event?: JsonObject }

  const answer = (change: (told: Told) => Told | Promise<Told>): void => {
    network.cheats.set(alice.name, {
      sendJoin: async (_to, room, id, event) =>
        change(
          structuredClone(await alice.rooms.acceptMembership('join', bob.name, room, id, event)) as Told,
        ),
    })
  }
  const isOf =
    (type: string, key = '') =>
    (pdu: JsonObject): boolean =>
      pdu['type'] === type && (pdu['state_key'] ?? '') === key

  it.each<[string, (told: Told) => Told | Promise<Told>]>([
    ['nothing', () => ({ state: [], authChain: [] })],
    [
      'no create event',
      ({ state, authChain }) => ({
        state: state.filter((pdu) => !isOf('m.room.create')(pdu)),
        authChain: authChain.filter((pdu) => !isOf('m.room.create')(pdu)),
      }),
    ],
    [
      'the create event of another room',
      async ({ state, authChain }) => {
        const other = await createRoom(alice)
        const create = (await alice.rooms.snapshot(other))?.create as JsonObject
        const swap = (pdu: JsonObject): JsonObject => (isOf('m.room.create')(pdu) ? create : pdu)
        return { state: state.map(swap), authChain: authChain.map(swap) }
      },
    ],
    [
      'no join rules',
      ({ state, authChain }) => ({
        state: state.filter((pdu) => !isOf('m.room.join_rules')(pdu)),
        authChain,
      }),
    ],
    [
      'unsigned events',
      ({ state, authChain }) => ({
        state: state.map((pdu) => ({ ...pdu, signatures: {} })),
        authChain: authChain.map((pdu) => ({ ...pdu, signatures: {} })),
      }),
    ],
    ['nonsense', () => ({ state: [{}, { type: 7 }], authChain: [{ room_id: roomId }] })],
  ])('with %s makes no room, and the next server does', async (_, change) => {
    await join(carol, alice)
    answer(change)
    await expect(join(bob, alice)).rejects.toMatchObject({ errcode: 'M_BAD_STATE' })
    expect(await bob.rooms.snapshot(roomId)).toBeUndefined()
    expect(await bob.rooms.membership(bob.user, roomId)).toBeUndefined()
    await bob.rooms.join(bob.user, roomId, { via: [alice.name, carol.name] })
    await network.settle()
    await say(bob, roomId, 'here')
    await network.settle()
    expect(await bodies(carol, roomId)).toEqual(['here'])
  })

  it('leaves out of the state what is not allowed', async () => {
    await join(carol, alice)
    await network.settle()
    const forged = { type: 'm.room.topic', stateKey: '', content: { topic: 'forged' } }
    const { pdu: topic } = await make(carol, alice, roomId, forged)
    answer((told) => ({ ...told, state: [...told.state, topic] }))
    await join(bob, alice)
    expect((await bob.rooms.snapshot(roomId))?.state.has(stateKey('m.room.topic', ''))).toBe(false)
  })

  it('brings no foreign signatures into the own join', async () => {
    answer(({ state, authChain }) => ({
      state,
      authChain,
      event: {
        signatures: { other: { 'ed25519:1': 'x'.repeat(60_000) }, [alice.name]: { 'ed25519:1': 'y' } },
      },
    }))
    await join(bob, alice)
    expect(Object.keys((await timeline(bob, roomId))[0]?.pdu.signatures ?? {})).toEqual([bob.name])
  })

  it('with thousands of bad events costs one line of the log', async () => {
    answer((told) => ({
      ...told,
      state: [...told.state, ...Array.from({ length: 5_000 }, () => ({ type: 'x' }))],
    }))
    await join(bob, alice)
    expect(network.complaints.filter((line) => line.includes('of a join were dropped'))).toHaveLength(1)
    await say(bob, roomId, 'here')
    await network.settle()
    expect(await bodies(alice, roomId)).toEqual(['here'])
  })

  it('with a member on an ordinary homeserver is refused, and the room left again', async () => {
    const member = {
      type: 'm.room.member',
      state_key: '@dan:example.org',
      sender: '@dan:example.org',
      content: { membership: 'join' },
    }
    answer((told) => ({ ...told, state: [...told.state, member] }))
    await expect(join(bob, alice)).rejects.toThrow('ordinary homeserver')
    expect(await bob.rooms.snapshot(roomId)).toBeUndefined()
    const own = (await alice.rooms.snapshot(roomId))?.state.get(memberKey(bob.user)) as EventId
    expect((await alice.rooms.event(own))?.pdu.content['membership']).toBe('leave')
    // Who has left is no member.
    answer((told) => ({ ...told, state: [...told.state, { ...member, content: { membership: 'leave' } }] }))
    await join(bob, alice)
    expect((await bob.rooms.membership(bob.user, roomId))?.membership).toBe('join')
  })
})

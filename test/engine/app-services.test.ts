/** What a node tells application services: everything once, in order, whatever fails. */
import type { EventId, JsonObject, RoomId, UserId } from '@plexus/core'
import type { AppServiceRegistration } from '@plexus/engine'
import { CarrierError, type ServiceHttp, type ServiceResponse } from '@plexus/engine/ports'
import { afterEach, describe, expect, it } from 'vitest'
import { at, clientOf, createApiClient, list, text, type ApiClient } from '../kit/api-client.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'

/** Named in `packages/engine/src/app-services`. */
const MAX_TRANSACTION_EVENTS = 100
const LAST_BACKOFF_MS = 300_000

type Sent = { readonly url: string; readonly body: JsonObject; readonly text: string }

/** A service that keeps what it took. */
type Bridge = ServiceHttp & {
  readonly sent: Sent[]
  /** What happens to the next transaction: taken or not, and whether the node hears of it. */
  fate: () => 'take' | 'refuse' | 'lose the answer' | 'unreachable'
  /** Each transaction that it took, once. */
  readonly taken: Map<string, Sent>
  /** What it does when it is asked for something: the status. */
  has: (path: string) => Promise<number>
  ids(): readonly string[]
  ephemeral(): readonly JsonObject[]
}

function createBridge(): Bridge {
  const taken = new Map<string, Sent>()
  const bridge: Bridge = {
    sent: [],
    taken,
    fate: () => 'take',
    has: () => Promise.resolve(200),
    ids: () =>
      [...taken.values()].flatMap(({ body }) => list(body, 'events')).map((event) => text(event, 'event_id')),
    ephemeral: () => [...taken.values()].flatMap(({ body }) => list(body, 'ephemeral')),
    async send({ url, body = '{}' }): Promise<ServiceResponse> {
      if (!url.includes('/transactions/')) return { status: await bridge.has(url), body: '{}' }
      const one = { url, body: JSON.parse(body) as JsonObject, text: body }
      bridge.sent.push(one)
      const fate = bridge.fate()
      if ((fate === 'take' || fate === 'lose the answer') && !taken.has(url)) taken.set(url, one)
      if (fate === 'lose the answer') throw new CarrierError('timeout', 'lost')
      if (fate === 'unreachable') throw new CarrierError('unreachable', 'away')
      return { status: fate === 'refuse' ? 500 : 200, body: '{}' }
    },
  }
  return bridge
}

const space = (regex: RegExp) => [{ exclusive: true, matches: (id: string) => regex.test(id) }]

const REGISTRATION: AppServiceRegistration = {
  id: 'irc',
  url: 'http://bridge',
  asToken: 'as',
  hsToken: 'hs',
  senderLocalpart: '_irc_bot',
  receiveEphemeral: false,
  rateLimited: false,
  protocols: [],
  namespaces: { users: space(/^@_irc_/), aliases: space(/^#_irc_/), rooms: [] },
}

describe('what application services are told', () => {
  let network: TestNetwork
  let alice: ApiClient
  let member: Member
  let bridge: Bridge
  afterEach(() => network.close())

  async function start(
    more: Partial<AppServiceRegistration> = {},
    maxWaiting?: number,
    people: readonly string[] = ['alice'],
  ): Promise<void> {
    bridge = createBridge()
    network = await createTestNetwork(people, 1, {
      appServices: {
        http: bridge,
        registrations: [{ ...REGISTRATION, ...more }],
        ...(maxWaiting === undefined ? {} : { maxWaiting }),
      },
    })
    ;[member] = network.members as [Member]
    alice = await clientOf(member)
  }
  const restart = async (): Promise<void> => {
    member = await network.restart(member)
    alice = await clientOf(member)
  }
  /** Acts as a user of the service. */
  const puppet = async (localpart: string): Promise<ApiClient> => {
    const { accounts } = member.node.engine.users
    const [service] = member.node.engine.appServices.all
    const userId = member.node.userId(localpart)
    if (service !== undefined && !(await accounts.exists(userId)))
      await accounts.register({ localpart, by: service })
    const { accessToken } = await accounts.openSession(userId, {})
    return createApiClient(member.node.clientApi, { userId, accessToken })
  }
  const makeRoom = async (
    api: ApiClient = alice,
    body: JsonObject = { preset: 'public_chat' },
  ): Promise<RoomId> => text(await api.ok('POST', 'v3/createRoom', { body }), 'room_id') as RoomId
  let transactions = 0
  const say = async (roomId: RoomId, words = 'hello', api: ApiClient = alice): Promise<EventId> => {
    transactions += 1
    const path = at`v3/rooms/${roomId}/send/m.room.message/${`t${transactions}`}`
    const answer = await api.ok('PUT', path, { body: { msgtype: 'm.text', body: words } })
    return text(answer, 'event_id') as EventId
  }
  const join = (api: ApiClient, roomId: RoomId): Promise<JsonObject> =>
    api.ok('POST', at`v3/join/${roomId}`, { body: {} })
  /** The ids of a room's events in the order of their commits. */
  const timeline = async (roomId: RoomId): Promise<readonly EventId[]> => {
    const range = { from: 0, to: 2 ** 50, direction: 'f', limit: 10_000 } as const
    return (await member.node.engine.rooms.timeline(roomId, range)).events.map(({ id }) => id)
  }
  const shown = async (): Promise<readonly string[]> => {
    await network.settle()
    return bridge.ids()
  }

  it('is all of a room from the join of one of its users on, to the end', async () => {
    await start()
    const zoe = await puppet('_irc_zoe')
    const roomId = await makeRoom()
    await say(roomId, 'before')
    await join(zoe, roomId)
    const told = await say(roomId)
    const reply = await say(roomId, 'reply', zoe)
    const kick = { body: { user_id: zoe.userId } }
    await alice.ok('POST', at`v3/rooms/${roomId}/kick`, kick)
    await say(roomId, 'after')
    const ids = await shown()
    const all = await timeline(roomId)
    expect(ids).toEqual(all.slice(-5, -1))
    expect(ids.slice(1, 3)).toEqual([told, reply])
    const [first] = bridge.sent
    expect(first?.url).toMatch(/^http:\/\/bridge\/_matrix\/app\/v1\/transactions\/[\w-]{22}-1$/)
    expect(list(first?.body, 'events')[0]).toMatchObject({
      type: 'm.room.member',
      room_id: roomId,
      sender: zoe.userId,
      state_key: zoe.userId,
      content: { membership: 'join' },
      unsigned: { age: expect.any(Number) as number },
    })
    const last = list([...bridge.taken.values()].at(-1)?.body, 'events').at(-1)
    expect(last).toMatchObject({ unsigned: { prev_content: { membership: 'join' } } })
  })

  it('is a room that has one of its aliases, as long as it has it, also after a restart', async () => {
    await start()
    const bot = await puppet('_irc_bot')
    const roomId = await makeRoom()
    const alias = `#_irc_room:${member.node.name}`
    await member.node.engine.roomDirectory.create(alias as never, roomId, bot.userId)
    const first = await say(roomId)
    expect(await shown()).toEqual([first])
    await restart()
    const second = await say(roomId)
    expect(await shown()).toEqual([first, second])
    await member.node.engine.roomDirectory.remove(alias as never, bot.userId)
    await say(roomId)
    expect(await shown()).toEqual([first, second])
  })

  it('is a room whose id it names, and nothing of other rooms', async () => {
    await start({ namespaces: { users: [], aliases: [], rooms: space(/^!/) } })
    const roomId = await makeRoom()
    expect(await shown()).toEqual(await timeline(roomId))
    await network.close()
    await start()
    await say(await makeRoom())
    expect(await shown()).toEqual([])
  })

  it('is an invite, from here and from elsewhere, with what it shows of the room', async () => {
    await start({}, undefined, ['alice', 'bob'])
    const bob = await clientOf(network.members[1] as Member)
    const zoe = await puppet('_irc_zoe')
    const here = await makeRoom(alice, {})
    const there = await makeRoom(bob, { name: 'far away' })
    for (const [api, roomId] of [
      [alice, here],
      [bob, there],
    ] as const)
      await api.ok('POST', at`v3/rooms/${roomId}/invite`, { body: { user_id: zoe.userId } })
    await network.settle()
    const events = [...bridge.taken.values()].flatMap(({ body }) => list(body, 'events'))
    expect(events).toMatchObject([
      { room_id: here, state_key: zoe.userId, content: { membership: 'invite' } },
      { room_id: there, state_key: zoe.userId, sender: bob.userId, content: { membership: 'invite' } },
    ])
    expect(list(events[1], 'unsigned', 'invite_room_state')).toContainEqual(
      expect.objectContaining({ type: 'm.room.name', content: { name: 'far away' } }),
    )
    // The join to the room elsewhere is told as any event.
    await join(zoe, there)
    await network.settle()
    const after = [...bridge.taken.values()].flatMap(({ body }) => list(body, 'events')).slice(2)
    expect(after).toMatchObject([{ room_id: there, sender: zoe.userId, content: { membership: 'join' } }])
  })

  it('is asked for by other servers too: users and rooms that it may make', async () => {
    await start({}, undefined, ['alice', 'bob'])
    const bob = await clientOf(network.members[1] as Member)
    const { name, engine } = member.node
    const bot = await puppet('_irc_bot')
    const asked: string[] = []
    bridge.has = async (url) => {
      asked.push(decodeURIComponent(url.split('/').at(-1) ?? ''))
      if (url.includes('/users/')) await puppet('_irc_zoe')
      else await engine.roomDirectory.create(`#_irc_room:${name}` as never, await makeRoom(), bot.userId)
      return 200
    }
    const zoe = member.node.userId('_irc_zoe')
    expect((await bob.ask('GET', at`v3/profile/${zoe}`)).status).toBe(200)
    expect((await bob.ask('GET', at`v3/directory/room/${`#_irc_room:${name}`}`)).status).toBe(200)
    expect(asked).toEqual([zoe, `#_irc_room:${name}`])
    const invited = member.node.userId('_irc_max')
    const path = at`v3/rooms/${await makeRoom(bob, {})}/invite`
    await bob.ok('POST', path, { body: { user_id: invited } })
    expect(asked.slice(2)).toEqual([invited])
    bridge.has = () => Promise.reject(new CarrierError('unreachable', 'away'))
    const waiting = bob.ask('GET', at`v3/directory/room/${`#_irc_none:${name}`}`)
    await network.pass(10_000)
    expect((await waiting).status).toBe(404)
  })

  it('comes in its order and under one id, as it was, until it is taken', async () => {
    await start()
    const zoe = await puppet('_irc_zoe')
    const roomId = await makeRoom()
    await join(zoe, roomId)
    await network.settle()
    const fates = ['refuse', 'unreachable', 'lose the answer', 'lose the answer', 'take'] as const
    let next = 0
    bridge.fate = () => fates[(next += 1) - 1] ?? 'take'
    const secret = await say(roomId, 'secret')
    await network.settle()
    // What happens meanwhile changes nothing of what was sent once.
    await alice.ok('PUT', at`v3/rooms/${roomId}/redact/${secret}/r1`, { body: {} })
    await say(roomId)
    await network.pass(60_000)
    const [, ...attempts] = bridge.sent
    expect(new Set(attempts.slice(0, 5).map(({ url, text }) => url + text)).size).toBe(1)
    expect(attempts.length).toBe(6)
    expect(await shown()).toEqual((await timeline(roomId)).slice(-4))
  })

  it('waits longer and longer for one that is away, and not at all for one that is back', async () => {
    await start()
    const zoe = await puppet('_irc_zoe')
    const roomId = await makeRoom()
    bridge.fate = () => 'unreachable'
    await join(zoe, roomId)
    await network.pass(20_000)
    expect(bridge.sent.length).toBeGreaterThan(3)
    expect(bridge.sent.length).toBeLessThan(10)
    for (let round = 0; round < 20; round += 1) await network.clock.advance(LAST_BACKOFF_MS)
    const tries = bridge.sent.length
    await network.clock.advance(LAST_BACKOFF_MS)
    expect(bridge.sent.length - tries).toBeLessThanOrEqual(2)
    bridge.fate = () => 'take'
    const [service] = member.node.engine.appServices.all
    if (service !== undefined) await member.node.engine.appServices.ping(service, undefined)
    expect(await shown()).toHaveLength(1)
  })

  it.each([1, 2, 3])('loses, doubles and reorders nothing in kills and failures (seed %d)', async (seed) => {
    await start()
    const random = createSeededRandom(seed)
    const zoe = await puppet('_irc_zoe')
    const roomId = await makeRoom()
    await join(zoe, roomId)
    const fates = ['take', 'take', 'refuse', 'lose the answer', 'unreachable'] as const
    bridge.fate = () => fates[random.below(fates.length)] ?? 'take'
    let killed = 0
    for (let round = 0; round < 40; round += 1) {
      await Promise.all(Array.from({ length: 1 + random.below(4) }, () => say(roomId)))
      if (random.below(3) === 0) await network.clock.advance(random.below(3_000))
      if (random.below(4) === 0) {
        await restart()
        killed += 1
      }
    }
    bridge.fate = () => 'take'
    await network.pass(LAST_BACKOFF_MS)
    const all = await timeline(roomId)
    const joined = await member.node.engine.rooms.membership(zoe.userId, roomId)
    expect(await shown()).toEqual(all.slice(all.indexOf(joined?.eventId as EventId)))
    // The run bit: there were kills, and transactions that came more than once.
    expect(killed).toBeGreaterThan(3)
    expect(bridge.sent.length).toBeGreaterThan(bridge.taken.size + 5)
    for (const { url, text } of bridge.sent)
      expect(bridge.sent.find((other) => other.url === url)?.text).toBe(text)
  })

  it('comes in transactions of bounded size', async () => {
    await start()
    const zoe = await puppet('_irc_zoe')
    const roomId = await makeRoom()
    await join(zoe, roomId)
    await network.settle()
    bridge.fate = () => 'unreachable'
    for (let count = 0; count < MAX_TRANSACTION_EVENTS + 20; count += 1) await say(roomId)
    for (let count = 0; count < 50; count += 1) await say(roomId, 'x'.repeat(60_000))
    bridge.fate = () => 'take'
    await network.pass(60_000)
    expect(await shown()).toEqual((await timeline(roomId)).slice(-171))
    const sizes = [...bridge.taken.values()].map(({ body, text }) => [
      list(body, 'events').length,
      text.length,
    ])
    for (const [events = 0, length = 0] of sizes) {
      expect(events).toBeLessThanOrEqual(MAX_TRANSACTION_EVENTS)
      expect(length).toBeLessThan(2_100_000)
    }
    expect(Math.max(...sizes.map(([, length = 0]) => length))).toBeGreaterThan(1_900_000)
  })

  it('is dropped when too much waits, which the operator is told, until the service is back', async () => {
    await start({}, 5)
    const zoe = await puppet('_irc_zoe')
    const roomId = await makeRoom()
    bridge.fate = () => 'unreachable'
    await join(zoe, roomId)
    const first = (await timeline(roomId)).slice(-1)
    for (let count = 0; count < 10; count += 1) await say(roomId)
    await restart()
    await say(roomId)
    expect(member.node.complaints.join()).toContain('events for an application service are dropped')
    bridge.fate = () => 'take'
    await network.pass(60_000)
    expect(await shown()).toEqual([...first, ...(await timeline(roomId)).slice(-11, -7)])
    const again = await say(roomId)
    expect((await shown()).at(-1)).toBe(again)
  })

  describe('of what is not kept in rooms', () => {
    const ephemeral = async (type: string): Promise<readonly JsonObject[]> => {
      await network.settle()
      return bridge.ephemeral().filter((event) => event['type'] === type)
    }

    it('is who types, in its rooms only', async () => {
      await start({ receiveEphemeral: true })
      const zoe = await puppet('_irc_zoe')
      const [roomId, other] = [await makeRoom(), await makeRoom()]
      await join(zoe, roomId)
      const type = (room: RoomId, typing: boolean): Promise<JsonObject> =>
        alice.ok('PUT', at`v3/rooms/${room}/typing/${alice.userId}`, { body: { typing, timeout: 5_000 } })
      await type(other, true)
      await type(roomId, true)
      expect(await ephemeral('m.typing')).toEqual([
        { type: 'm.typing', room_id: roomId, content: { user_ids: [alice.userId] } },
      ])
      await type(roomId, false)
      expect((await ephemeral('m.typing')).slice(1)).toEqual([
        { type: 'm.typing', room_id: roomId, content: { user_ids: [] } },
      ])
    })

    it('is who has read, and in private its own users only, also what came while it was away', async () => {
      await start({ receiveEphemeral: true })
      const zoe = await puppet('_irc_zoe')
      const roomId = await makeRoom()
      await join(zoe, roomId)
      const eventId = await say(roomId)
      const read = (api: ApiClient, type: string): Promise<JsonObject> =>
        api.ok('POST', at`v3/rooms/${roomId}/receipt/${type}/${eventId}`, { body: {} })
      const readers = async (): Promise<readonly (readonly [string, readonly UserId[]])[]> =>
        (await ephemeral('m.receipt')).flatMap((event) => {
          expect(event['room_id']).toBe(roomId)
          const byType = (event['content'] as Readonly<Record<string, Readonly<Record<string, JsonObject>>>>)[
            eventId
          ]
          return Object.entries(byType ?? {}).map(
            ([type, users]) => [type, Object.keys(users) as UserId[]] as const,
          )
        })
      await read(alice, 'm.read.private')
      await read(zoe, 'm.read.private')
      expect(await readers()).toEqual([['m.read.private', [zoe.userId]]])
      bridge.fate = () => 'unreachable'
      await read(alice, 'm.read')
      await network.settle()
      await restart()
      bridge.fate = () => 'take'
      await network.pass(10_000)
      expect((await readers()).slice(1)).toEqual([['m.read', [alice.userId]]])
    })

    it('is who is here, of those in its rooms and of its users', async () => {
      await start({ receiveEphemeral: true })
      const zoe = await puppet('_irc_zoe')
      const say = (api: ApiClient, presence: string): Promise<JsonObject> =>
        api.ok('PUT', at`v3/presence/${api.userId}/status`, { body: { presence } })
      await say(alice, 'online')
      await say(zoe, 'online')
      expect((await ephemeral('m.presence')).map(({ sender }) => sender)).toEqual([zoe.userId])
      await join(zoe, await makeRoom())
      await say(alice, 'unavailable')
      expect((await ephemeral('m.presence')).slice(1)).toMatchObject([
        { sender: alice.userId, content: { presence: 'unavailable' } },
      ])
    })

    it('is nothing for who does not ask for it', async () => {
      await start()
      const roomId = await makeRoom()
      await join(await puppet('_irc_zoe'), roomId)
      const body = { typing: true, timeout: 5_000 }
      await alice.ok('PUT', at`v3/rooms/${roomId}/typing/${alice.userId}`, { body })
      await say(roomId)
      await network.settle()
      expect([...bridge.taken.values()].every(({ body: sent }) => sent['ephemeral'] === undefined)).toBe(true)
    })
  })
})

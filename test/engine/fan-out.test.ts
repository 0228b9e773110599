/** In larger rooms events reach all by way of others, and their server makes up for whoever lets them down. */
import { eventIdOf, roomVersion } from '@plexus/core'
import type { EventId, Pdu, RoomId, RoomVersion, ServerName } from '@plexus/core'
import {
  MAX_FORWARDED,
  MAX_FORWARDED_LENGTH,
  FORWARDED_WINDOW_MS,
  MAX_WAITING_FORWARDS,
  NEWS_MS,
} from '@plexus/engine/testing'
import { FederationError } from '@plexus/engine/ports'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { dnsSigner } from '../kit/key-documents.ts'
import { testSigner } from '../kit/keys.ts'
import { bodies, bringIn, createRoom, make, nowhere, say } from './rooms-kit.ts'

const FAN_OUT = { direct: 3, forwards: 2 }
const NODES = 8
const version = roomVersion('12') as RoomVersion
/** Time in which all have told what they have got. */
const TOLD_MS = 8_000
/** Time after which an event is held from nobody. */
const HELD_MS = 20_000

describe('fan-out', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let nodes: BareNode[]
  let alice: BareNode
  let bob: BareNode
  let roomId: RoomId

  const populate = async (fanOut: typeof FAN_OUT): Promise<void> => {
    network = createBareNetwork()
    nodes = []
    for (let index = 0; index < NODES; index += 1) nodes.push(await network.add(`user${index}`, { fanOut }))
    ;[alice, bob] = nodes as [BareNode, BareNode]
    roomId = await createRoom(alice, 'public')
    for (const node of nodes.slice(1)) {
      await node.rooms.join(node.user, roomId, { via: [alice.name] })
      await network.pass(60_000)
    }
    for (const { calls } of nodes) calls.length = 0
  }
  beforeEach(() => populate(FAN_OUT))

  const sends = ({ calls }: BareNode): number => calls.filter((call) => call.startsWith('send ')).length
  const lacking = async (text: string): Promise<number> => {
    const texts = await Promise.all(nodes.map((node) => bodies(node, roomId)))
    return texts.filter((all) => !all.includes(text)).length
  }
  it('brings an event to all, of which its server sends it to a few', async () => {
    const id = await say(alice, roomId, 'hello')
    await network.settle()
    expect(sends(alice)).toBeLessThanOrEqual(FAN_OUT.forwards + 1)
    expect(await lacking('hello')).toBeLessThanOrEqual(NODES / 2)
    await network.pass(TOLD_MS + HELD_MS)
    expect(await lacking('hello')).toBe(0)
    expect(await alice.outbox.outbox.delivery(roomId, id)).toMatchObject({
      delivered: NODES - 1,
      members: NODES - 1,
    })
  })

  it('brings an event to all though its server is gone', async () => {
    await say(alice, roomId, 'last words')
    await network.settle()
    network.offline.add(alice.name)
    // Some get it at once, others by the heads.
    await network.pass(120_000)
    expect(await lacking('last words')).toBe(0)
  })

  it('sends events itself to who got them from nobody', async () => {
    // Whoever gets it passes nothing on, tells nothing, and gives nothing.
    const cut = nodes.slice(1)
    const nothing = async (): Promise<{ pdus: [] }> => ({ pdus: [] })
    for (const { name } of cut) network.cheats.set(name, { event: nothing, backfill: nothing })
    for (const node of cut) Object.assign(node.outbox.destinations, { changed: () => [] })
    await say(alice, roomId, 'hello')
    await network.settle()
    expect(await lacking('hello')).toBeGreaterThanOrEqual(NODES - 1 - FAN_OUT.forwards - 1)
    await network.pass(HELD_MS)
    expect(await lacking('hello')).toBe(0)
  })

  it('loses nothing that was made just before its server ended', async () => {
    for (const { name } of nodes.slice(1)) network.offline.add(name)
    await say(alice, roomId, 'last')
    await network.settle()
    const again = await network.add('user0', { store: alice.store, seed: 1, fanOut: FAN_OUT })
    for (const { name } of nodes.slice(1)) network.offline.delete(name)
    again.outbox.resume()
    await network.pass(HELD_MS)
    expect(await lacking('last')).toBe(0)
  })

  it('waits for nobody who is known to be away, and brings them all when they are back', async () => {
    network.offline.add(bob.name)
    for (const text of ['one', 'two', 'three']) await say(alice, roomId, text)
    await network.pass(60_000)
    expect(await lacking('three')).toBe(1)
    network.offline.delete(bob.name)
    alice.outbox.outbox.kick([bob.name], true)
    await network.pass(HELD_MS)
    expect(await bodies(bob, roomId)).toEqual(['one', 'two', 'three'])
  })

  it('tells heads to a few servers, not to all', async () => {
    await say(alice, roomId, 'hello')
    await network.pass(60_000)
    const all = nodes.reduce((sum, node) => sum + sends(node), 0)
    // Each passes it on to two or three, tells its heads twice to three and its server that it has it.
    expect(all).toBeLessThanOrEqual(NODES * (FAN_OUT.forwards + 1 + 2 * 3 + 1))
  })

  it('passes on nothing old, and bounded many events of one server', async () => {
    const old = await make(bob, alice, roomId, { now: network.clock.now() - NEWS_MS - 1_000 })
    await alice.staging.receive(bob.name, [old.pdu])
    await network.settle()
    expect((await alice.rooms.event(old.id))?.verdict).toBe('accepted')
    expect(sends(alice)).toBe(0)
    const seen = new Set<EventId>()
    for (const node of nodes.slice(2))
      network.cheats.set(node.name, {
        sendTransaction: async (_, { pdus }) => {
          for (const { content } of pdus) seen.add(JSON.stringify(content) as EventId)
          return { pdus: {} }
        },
      })
    const bring = async (count: number, more = ''): Promise<void> => {
      for (let done = 0; done < count; done += MAX_WAITING_FORWARDS) {
        const batch: Pdu[] = []
        for (let index = 0; index < MAX_WAITING_FORWARDS; index += 1) {
          const body = `${done + index}${more}`
          batch.push((await make(bob, alice, roomId, { body, now: network.clock.now() })).pdu)
        }
        await alice.staging.receive(bob.name, batch)
        await network.settle()
      }
    }
    await bring(MAX_FORWARDED + MAX_WAITING_FORWARDS)
    expect(seen.size).toBe(MAX_FORWARDED)
    await network.pass(FORWARDED_WINDOW_MS)
    seen.clear()
    await bring(MAX_WAITING_FORWARDS, 'x'.repeat(50_000))
    expect(seen.size).toBe(Math.floor(MAX_FORWARDED_LENGTH / 51_000))
  })

  it('keeps no more for one destination than a transaction holds', async () => {
    const waiting: (() => void)[] = []
    const seen = new Map<ServerName, number>()
    for (const node of nodes.slice(1))
      network.cheats.set(node.name, {
        sendTransaction: async (to, { pdus }) => {
          seen.set(to, (seen.get(to) ?? 0) + pdus.length)
          await new Promise<void>((resolve) => waiting.push(resolve))
          return { pdus: {} }
        },
      })
    const again = await network.add('user0', {
      store: alice.store,
      seed: 1,
      fanOut: { ...FAN_OUT, forwards: NODES },
    })
    for (let index = 0; index < MAX_WAITING_FORWARDS + 5; index += 1) await say(again, roomId, `${index}`)
    for (let round = 0; round < 20; round += 1) {
      for (const resolve of waiting.splice(0)) resolve()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(Math.max(...seen.values())).toBe(1 + MAX_WAITING_FORWARDS)
  })

  it('passes nothing on to who may not see it', async () => {
    const setState = async (type: string, content: Record<string, string | string[]>): Promise<void> => {
      await alice.rooms.send(roomId, { type, stateKey: '', sender: alice.user, content })
      await network.pass(60_000)
    }
    await setState('m.room.history_visibility', { history_visibility: 'joined' })
    const all = nodes.map(({ name }) => name)
    const before = await say(alice, roomId, 'before')
    await network.pass(60_000)
    const late = await network.add('late', { fanOut: FAN_OUT })
    await late.rooms.join(late.user, roomId, { via: [alice.name] })
    await network.pass(60_000)
    const after = await say(alice, roomId, 'after')
    await network.pass(60_000)
    const stranger = testSigner(99).name
    expect(await bob.rooms.receivers(before, [...all, late.name, stranger])).toEqual(all)
    expect(await bob.rooms.receivers(after, [...all, late.name, stranger])).toEqual([...all, late.name])
    await setState('m.room.server_acl', { allow: ['*'], deny: [late.name] })
    expect(await bob.rooms.receivers(after, [late.name, alice.name])).toEqual([alice.name])
    const denied = await make(late, alice, roomId, { now: network.clock.now() })
    await bob.staging.receive(alice.name, [denied.pdu])
    await network.settle()
    expect((await bob.rooms.event(denied.id))?.verdict).toBe('accepted')
    expect(await bob.rooms.receivers(denied.id, all)).toEqual([])
    expect(await bob.rooms.receivers(`$${'A'.repeat(43)}` as EventId, all)).toEqual([])
    await bob.rooms.leave(bob.user, roomId)
    expect(await bob.rooms.receivers(after, all)).toEqual([])
  })

  it('tells nothing as taken that lacks its content', async () => {
    const told: (readonly EventId[] | undefined)[] = []
    network.cheats.set(bob.name, { sendTransaction: () => Promise.reject(new Error('out of reach')) })
    network.cheats.set(alice.name, {
      sendTransaction: async (_, { taken }) => {
        if (taken !== undefined) told.push(taken[roomId])
        return { pdus: {} }
      },
    })
    const made = async (text: string): Promise<Pdu> =>
      (await alice.rooms.event(await say(alice, roomId, text)))?.pdu as Pdu
    const bring = async (...pdus: readonly Pdu[]): Promise<void> => {
      await bob.staging.receive((nodes[2] as BareNode).name, pdus)
      await bob.staging.idle()
      await network.pass(TOLD_MS)
    }
    for (const { name } of nodes.slice(2)) network.offline.add(name)
    const [one, two] = [await made('one'), await made('two')]
    await bring({ ...one, content: {} }, two)
    expect(told).toEqual([[eventIdOf(version, two)]])
    const three = await made('three')
    await bring(one, three)
    expect(told.slice(1)).toEqual([[eventIdOf(version, three)]])
    // The content may come from another member meanwhile.
    const four = await made('four')
    await bob.staging.receive((nodes[2] as BareNode).name, [{ ...four, content: {} }])
    await bring(four)
    expect(told.slice(2)).toEqual([[eventIdOf(version, four)]])
  })

  it('goes on past a hole that two members keep open', async () => {
    // So many that all get it by gossip, whatever chance says.
    await populate({ ...FAN_OUT, forwards: NODES / 2 })
    const [mallory, trudy] = nodes.slice(-2) as [BareNode, BareNode]
    const notFound = async (): Promise<never> => {
      throw new FederationError({ status: 404, errcode: 'M_NOT_FOUND', error: 'no' })
    }
    const head = await say(alice, roomId, 'before')
    await network.pass(60_000)
    for (const { name } of [mallory, trudy])
      network.cheats.set(name, {
        event: notFound,
        getMissingEvents: async () => ({ events: [] }),
        backfill: async () => ({ pdus: [] }),
        stateIds: async () => {
          const { state } = await alice.rooms.stateFor(bob.name, roomId, head)
          return { pduIds: state.map((pdu) => eventIdOf(version, pdu)), authChainIds: [] }
        },
      })
    const shown = await make(mallory, alice, roomId, { prev: [nowhere(1)], now: network.clock.now() })
    for (const node of nodes.slice(0, -2)) await node.staging.receive(mallory.name, [shown.pdu])
    await network.pass(600_000)
    for (const node of nodes.slice(0, -2))
      expect((await node.rooms.snapshot(roomId))?.holes).toEqual([nowhere(1)])
    const id = await say(alice, roomId, 'after')
    await network.pass(TOLD_MS)
    const delivered = async (): Promise<number> =>
      (await alice.outbox.outbox.delivery(roomId, id))?.delivered ?? 0
    // Before she would send it to all herself: those too that have it from others.
    expect(await delivered()).toBeGreaterThan(NODES / 2)
    await network.pass(HELD_MS)
    expect(await delivered()).toBe(NODES - 1)
  })

  it('moves a cursor for own events that follow on what a server has', async () => {
    const { outbox } = alice.outbox
    const delivered = async (id: EventId): Promise<number | undefined> =>
      (await outbox.delivery(roomId, id))?.delivered
    network.offline.add(bob.name)
    const foreign = await say(nodes[2] as BareNode, roomId, 'foreign')
    await network.pass(60_000)
    const [first, second] = [await say(alice, roomId, 'first'), await say(alice, roomId, 'second')]
    await network.pass(60_000)
    expect(await delivered(second)).toBe(NODES - 2)
    const tell = async (by: ServerName, ids: readonly EventId[], of = roomId): Promise<void> => {
      alice.outbox.taken(by, { [of]: ids })
      await network.settle()
      await alice.committer.idle()
    }
    await tell(bob.name, [foreign, nowhere(1), second])
    await tell(testSigner(99).name, [first, second])
    await tell(bob.name, [first, second], '!other' as RoomId)
    expect(await delivered(first)).toBe(NODES - 2)
    await tell(bob.name, [first])
    expect([await delivered(first), await delivered(second)]).toEqual([NODES - 1, NODES - 2])
    await tell(bob.name, [nowhere(2), second, first])
    expect(await delivered(second)).toBe(NODES - 1)
  })
})

describe('fan-out with stock servers', { timeout: 30_000 }, () => {
  it('brings them events of their own server alone, at once', async () => {
    const network = createBareNetwork()
    const add = (index: number, name?: string): Promise<BareNode> => {
      const key = testSigner(index)
      const signer =
        name === undefined
          ? { ...key, name: `${key.name}.example.org` as ServerName }
          : dnsSigner(name, index)
      return network.add(`user${index}`, { signer, fanOut: FAN_OUT })
    }
    const nodes: BareNode[] = []
    for (let index = 1; index <= 6; index += 1) nodes.push(await add(index))
    const stock = await add(7, 'stock.example')
    const [alice] = nodes as [BareNode]
    const roomId = await createRoom(alice)
    for (const node of [...nodes.slice(1), stock]) {
      await bringIn(network, alice, node, roomId)
      await network.pass(60_000)
    }
    for (const { calls } of nodes) calls.length = 0
    await say(alice, roomId, 'hello')
    await network.settle()
    const toStock = nodes.map(({ calls }) => calls.filter((call) => call === `send ${stock.name}`).length)
    expect(toStock).toEqual([1, 0, 0, 0, 0, 0])
    expect(await bodies(stock, roomId)).toEqual(['hello'])
  })
})

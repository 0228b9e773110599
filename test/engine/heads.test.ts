/** What was missed comes from who has it, whoever made it; and nothing is sent where nothing is missed. */
import { stateKey } from '@plexus/core'
import type { EventId, JsonObject, RoomId, ServerName } from '@plexus/core'
import type { Federation, Heads } from '@plexus/engine/ports'
import { FederationError } from '@plexus/engine/ports'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { dnsSigner } from '../kit/key-documents.ts'
import { testSigner } from '../kit/keys.ts'
import { bodies, bringIn, createRoom, nowhere, say, setTopic, stateText, threeServers } from './rooms-kit.ts'

const MINUTE_MS = 60_000
/** One event and what comes after it in time for all to have compared their heads. */
const SPREAD_MS: number = 3 * MINUTE_MS

describe('heads', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    ;({ network, alice, bob, carol, roomId } = await threeServers())
    await bringIn(network, alice, bob, roomId)
    await bringIn(network, alice, carol, roomId)
    await network.pass(SPREAD_MS)
  })

  const allCalls = (): number => [...network.nodes.values()].reduce((sum, { calls }) => sum + calls.length, 0)
  const asked = (node: BareNode, server: ServerName): number =>
    node.calls.filter((call) => call === `event ${server}`).length

  /** Carol says something that reaches Alice alone, and is never seen again. */
  const sayToAliceAlone = async (text: string): Promise<void> => {
    network.offline.add(bob.name)
    await say(carol, roomId, text)
    await network.settle()
    network.offline.delete(bob.name)
    network.offline.add(carol.name)
    expect(await bodies(bob, roomId)).not.toContain(text)
  }

  it('bring an event whose server has gone from another that has it', async () => {
    await sayToAliceAlone('last words')
    await network.pass(SPREAD_MS)
    expect(await bodies(bob, roomId)).toEqual(['last words'])
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it('are compared again when a node starts, and when a peer appears', async () => {
    await sayToAliceAlone('one')
    const again = await network.add('bob', { store: bob.store, seed: 2 })
    again.outbox.resume()
    await network.pass(SPREAD_MS)
    expect(await bodies(again, roomId)).toEqual(['one'])
    network.offline.delete(carol.name)
    network.offline.add(again.name)
    await say(carol, roomId, 'two')
    await network.settle()
    network.offline.add(carol.name)
    await network.pass(MINUTE_MS)
    network.offline.delete(again.name)
    alice.outbox.outbox.kick([again.name], true)
    await network.pass(SPREAD_MS)
    expect(await bodies(again, roomId)).toEqual(['one', 'two'])
  })

  it('go to no server that the ACL denies, which still gets events', async () => {
    const acl = { type: 'm.room.server_acl', stateKey: '', sender: alice.user }
    await alice.rooms.send(roomId, { ...acl, content: { allow: ['*'], deny: [carol.name] } })
    await network.pass(SPREAD_MS)
    const told: (Heads | undefined)[] = []
    network.cheats.set(carol.name, {
      sendTransaction: async (_, { heads }) => {
        told.push(heads)
        return { pdus: {}, heads: { [roomId]: [nowhere(1)] } }
      },
    })
    await say(alice, roomId, 'hello')
    await network.pass(SPREAD_MS)
    expect(told).toEqual([undefined])
    const { heads } = await alice.inbound.transaction({
      origin: carol.name,
      pdus: [],
      edus: [],
      heads: { [roomId]: [nowhere(1)] },
    })
    await network.pass(SPREAD_MS)
    expect(heads).toBeUndefined()
    expect(asked(alice, carol.name)).toBe(0)
  })

  it('are asked for until the server that told them answers', async () => {
    let refusals = 0
    network.cheats.set(alice.name, {
      event: async (server, id) => {
        network.cheats.delete(alice.name)
        refusals += 1
        void id
        throw new FederationError({ status: 502, errcode: 'M_UNKNOWN', error: `${server} is busy` })
      },
    })
    await sayToAliceAlone('patience')
    await network.pass(SPREAD_MS)
    expect(refusals).toBe(1)
    expect(await bodies(bob, roomId)).toEqual(['patience'])
  })

  it('are not those that an event follows which comes late', async () => {
    const dave = await network.add('dave')
    await bringIn(network, alice, dave, roomId)
    await alice.rooms.send(roomId, {
      type: 'm.room.power_levels',
      stateKey: '',
      sender: alice.user,
      content: { users: { [carol.user]: 50 } },
    })
    await network.settle()
    network.offline.add(bob.name)
    const late = await setTopic(carol, roomId, 'late')
    await network.settle()
    network.offline.delete(bob.name)
    network.offline.add(carol.name)
    // Alice and Dave, who alone have it, are too busy to tell anything but the state.
    const busy = async (): Promise<never> => {
      throw new FederationError({ status: 502, errcode: 'M_UNKNOWN', error: 'busy' })
    }
    const nothing = { pdus: [] }
    for (const { name } of [alice, dave])
      network.cheats.set(name, {
        event: busy,
        getMissingEvents: async () => ({ events: [] }),
        backfill: async () => nothing,
      })
    const early = await say(alice, roomId, 'early')
    await network.pass(1_000)
    expect(await bodies(bob, roomId)).toEqual(['early'])
    // The state is told whole, or it would be another.
    expect((await bob.rooms.stateAfter(early))?.get(stateKey('m.room.topic', ''))).toBe(late)
    const snapshot = await bob.rooms.snapshot(roomId)
    expect(snapshot?.holes).toEqual([late])
    expect(snapshot?.heads).toHaveLength(2)

    network.cheats.clear()
    await network.pass(SPREAD_MS)
    expect((await bob.rooms.event(late))?.order).toBeDefined()
    expect((await bob.rooms.snapshot(roomId))?.holes).toEqual([])
    expect((await bob.rooms.snapshot(roomId))?.heads).toEqual([early])
    expect(await stateText(bob, roomId)).toBe(await stateText(alice, roomId))
  })

  it('that stock servers alone could give are asked for again after a restart', async () => {
    const world = createBareNetwork()
    const [host, sender] = [dnsSigner('host.example', 1), dnsSigner('sender.example', 2)]
    const here = { ...testSigner(3), name: `${testSigner(3).name}.example.org` as ServerName }
    const alan = await world.add('alan', { signer: host })
    const ben = await world.add('ben', { signer: here })
    const cleo = await world.add('cleo', { signer: sender })
    const room = await createRoom(alan)
    await bringIn(world, alan, ben, room)
    await bringIn(world, alan, cleo, room)
    const dora = await world.add('dora', { signer: dnsSigner('second.example', 4) })
    await bringIn(world, alan, dora, room)
    const users = { users: { [cleo.user]: 50 } }
    const levels = { type: 'm.room.power_levels', stateKey: '', sender: alan.user, content: users }
    await alan.rooms.send(room, levels)
    await world.settle()
    world.offline.add(ben.name)
    const late = await setTopic(cleo, room, 'late')
    await world.settle()
    world.offline.delete(ben.name)
    world.offline.add(cleo.name)
    for (const { name } of [alan, dora])
      world.cheats.set(name, {
        event: () =>
          Promise.reject(new FederationError({ status: 502, errcode: 'M_UNKNOWN', error: 'busy' })),
        getMissingEvents: async () => ({ events: [] }),
        backfill: async () => ({ pdus: [] }),
      })
    await say(alan, room, 'early')
    await world.pass(1_000)
    expect((await ben.rooms.snapshot(room))?.holes).toEqual([late])
    ben.outbox.close()
    ben.staging.close()
    world.cheats.clear()
    const again = await world.add('ben', { store: ben.store, signer: here })
    again.outbox.resume()
    await world.pass(SPREAD_MS)
    expect((await again.rooms.snapshot(room))?.holes).toEqual([])
  })

  it('bring events that are redacted from who knows by what', async () => {
    network.offline.add(bob.name)
    const redacts = await say(carol, roomId, 'regretted')
    await network.settle()
    network.offline.add(carol.name)
    network.offline.delete(bob.name)
    await alice.rooms.send(roomId, { type: 'm.room.redaction', sender: alice.user, content: {}, redacts })
    await network.pass(SPREAD_MS)
    expect(await bob.rooms.event(redacts)).toMatchObject({ hashMismatch: true })
    expect(await bob.rooms.eventFor(alice.name, redacts)).toMatchObject({ content: {} })
    const query = {
      earliest: [],
      latest: (await bob.rooms.snapshot(roomId))?.heads ?? [],
      limit: 1,
      minDepth: 0,
    }
    expect(await bob.rooms.missingEvents(alice.name, roomId, query)).toMatchObject([{ content: {} }])
  })

  it('cost a room that converged and is idle nothing', async () => {
    for (const node of [alice, bob, carol]) await say(node, roomId, `from ${node.name}`)
    await network.pass(SPREAD_MS)
    const before = allCalls()
    await network.pass(48 * 60 * MINUTE_MS)
    expect(allCalls()).toBe(before)
    expect(network.clock.waiting).toBe(0)
  })

  it('cost two nodes no transaction beyond those of their messages', async () => {
    const pair = await createRoom(alice)
    await bringIn(network, alice, bob, pair)
    await network.pass(SPREAD_MS)
    const before = allCalls()
    await say(alice, pair, 'one')
    await network.settle()
    await say(bob, pair, 'two')
    await network.pass(SPREAD_MS)
    expect(allCalls() - before).toBe(2)
  })

  it('are not told to ordinary homeservers, and not taken from them', async () => {
    const stock = 'matrix.example.org' as ServerName
    const seen: (Heads | undefined)[] = []
    const spy: Partial<Federation> = {
      sendTransaction: async (_to, { heads }) => {
        seen.push(heads)
        return { pdus: {} }
      },
    }
    network.cheats.set(stock, spy)
    await alice.committer.submit({
      writes: (position) =>
        alice.outbox.destinations.changed(roomId, position, { joined: [stock], left: [] }),
    })
    await say(alice, roomId, 'hello')
    await network.pass(SPREAD_MS)
    expect(seen).toEqual([undefined])
    const { heads } = await alice.inbound.transaction({
      origin: stock,
      pdus: [],
      edus: [],
      heads: { [roomId]: [fake(1)] },
    })
    await network.pass(SPREAD_MS)
    expect(heads).toBeUndefined()
    expect(asked(alice, stock)).toBe(0)
  })

  it('are told and taken of rooms in which both have a member only', async () => {
    const secret = await createRoom(alice)
    const tell = (node: BareNode, heads: JsonObject): Promise<{ heads?: Heads }> =>
      node.inbound.transaction({ origin: bob.name, pdus: [], edus: [], heads: heads as Heads })
    expect((await tell(alice, { [secret]: [fake(1)] })).heads).toBeUndefined()
    expect((await tell(alice, { '!nowhere': [fake(1)] })).heads).toBeUndefined()
    expect((await tell(alice, { [roomId]: [] })).heads).toHaveProperty([roomId])
    await bob.rooms.leave(bob.user, roomId)
    await network.pass(SPREAD_MS)
    const before = alice.calls.length
    expect((await tell(alice, { [roomId]: [fake(1)] })).heads).toBeUndefined()
    await say(alice, roomId, 'without bob')
    await network.pass(SPREAD_MS)
    expect(alice.calls.slice(before).filter((call) => call.endsWith(bob.name))).toEqual([])
  })

  it('that nobody has cost a bounded number of requests to who told them', async () => {
    const tell = (from: number): Promise<unknown> =>
      alice.inbound.transaction({
        origin: bob.name,
        pdus: [],
        edus: [],
        heads: { [roomId]: Array.from({ length: 500 }, (_, index) => fake(from + index)) },
      })
    for (let round = 0; round < 50; round += 1) await tell(round * 500)
    await network.pass(SPREAD_MS)
    expect(asked(alice, bob.name)).toBe(20)
    // Those that it tells again are asked for again, a few times.
    for (let round = 0; round < 10; round += 1) {
      await tell(49 * 500)
      await network.pass(SPREAD_MS)
    }
    expect(asked(alice, bob.name)).toBe(3 * 20)
    network.offline.add(bob.name)
    await tell(0)
    await network.pass(60 * MINUTE_MS)
    expect(asked(alice, bob.name)).toBe(3 * 20 + 8)
    expect(asked(alice, carol.name)).toBe(0)
  })
})

function fake(number: number): EventId {
  return `$${String(number).padStart(43, 'A')}` as EventId
}

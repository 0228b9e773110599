/** What leaves a node for others: to whom, how often it is tried, and that none of it is lost or stuck. */
import type { JsonObject, RoomId, ServerName } from '@plexus/core'
import { FederationError } from '@plexus/engine/ports'
import { createMemoryDisk, openMemoryStore, type Fault } from '@plexus/store/memory'
import { beforeEach, describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { dnsSigner } from '../kit/key-documents.ts'
import { testSigner } from '../kit/keys.ts'
import { bodies, bringIn, createRoom, say, threeServers } from './rooms-kit.ts'

const calls = (node: BareNode, call: string): number => node.calls.filter((each) => each === call).length

describe('events', { timeout: 30_000 }, () => {
  let network: BareNetwork
  let alice: BareNode
  let bob: BareNode
  let carol: BareNode
  let roomId: RoomId

  beforeEach(async () => {
    ;({ network, alice, bob, carol, roomId } = await threeServers())
  })

  it('do not go to a server that joined and left in one commit', async () => {
    const change = (joined: readonly ServerName[], left: readonly ServerName[]): Promise<number> =>
      alice.committer.submit({
        writes: (position) => alice.outbox.destinations.changed(roomId, position, { joined, left }),
      })
    await Promise.all([change([carol.name], []), change([], [carol.name])])
    await say(alice, roomId, 'secret')
    await network.settle()
    expect(calls(alice, `send ${carol.name}`)).toBe(0)
  })

  it('go to a stock server from their own server alone, which drops those of others', async () => {
    const world = createBareNetwork()
    const suffixed = { ...testSigner(21), name: `${testSigner(21).name}.example.org` as ServerName }
    const host = await world.add('host', { signer: dnsSigner('host.example', 22) })
    const here = await world.add('here', { signer: suffixed })
    const stock = await world.add('stock', { signer: dnsSigner('stock.example', 23) })
    const room = await createRoom(host)
    await bringIn(world, host, here, room)
    await bringIn(world, host, stock, room)
    const senders: unknown[] = []
    world.cheats.set(stock.name, {
      sendTransaction: async (_to, { pdus }) => {
        senders.push(...pdus.map(({ sender }) => sender))
        return { pdus: {} }
      },
    })
    await say(host, room, 'of the host')
    await world.pass(180_000)
    await say(here, room, 'from here')
    await world.pass(180_000)
    expect(await bodies(here, room)).toEqual(await bodies(host, room))
    expect(senders).toEqual([host.user, here.user])
  })

  it('do not go to a server that left in the commit that notes a delivery to it', async () => {
    const gate = Promise.withResolvers<Fault>()
    let gated = false
    const disk = createMemoryDisk({ fault: () => (gated ? gate.promise : 'none') })
    const host = await network.add('host', await openMemoryStore(disk))
    const room = await createRoom(host)
    await bringIn(network, host, bob, room)
    const delivered = new Promise<void>((resolve) => {
      network.cheats.set(bob.name, {
        sendTransaction: async () => {
          gated = true
          // The store is busy: what comes now is committed together.
          void host.committer.submit({ writes: () => [{ map: 'other', key: 'x', value: '1' }] })
          resolve()
          return { pdus: {} }
        },
      })
    })
    await say(host, room, 'for bob')
    await delivered
    const left = host.committer.submit({
      writes: (position) =>
        host.outbox.destinations.changed(room, position, { joined: [], left: [bob.name] }),
    })
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    gated = false
    gate.resolve('none')
    await left
    await network.settle()
    // What the next process finds on the disk counts.
    const again = await network.add('host', { store: await openMemoryStore(disk), seed: 4 })
    await say(again, room, 'secret')
    await network.settle()
    expect(calls(again, `sendTransaction ${bob.name}`)).toBe(0)
  })

  it('do not go to a server that left while this one was away', async () => {
    await bringIn(network, alice, bob, roomId)
    await bringIn(network, alice, carol, roomId)
    await bob.rooms.leave(bob.user, roomId)
    await network.settle()
    await carol.rooms.leave(carol.user, roomId)
    await network.settle()
    await bringIn(network, alice, bob, roomId)
    const before = calls(bob, `send ${carol.name}`)
    await say(bob, roomId, 'secret')
    await network.settle()
    expect(await bodies(alice, roomId)).toEqual(['secret'])
    expect(calls(bob, `send ${carol.name}`)).toBe(before)
  })

  it.each([
    ['go to', 'shared', ['between 0', 'between 1']],
    ['do not go to', 'joined', []],
  ])(
    'that were sent while a join was under way %s who comes, where it is %s',
    async (_, visibility, expected) => {
      const content = { history_visibility: visibility }
      const event = { type: 'm.room.history_visibility', stateKey: '', sender: alice.user, content }
      await alice.rooms.send(roomId, event)
      await alice.rooms.invite(alice.user, roomId, bob.user)
      await say(alice, roomId, 'before')
      const seen: unknown[] = []
      network.cheats.set(alice.name, {
        makeMembership: async (kind, _to, room, user, versions) => {
          const template = await alice.rooms.makeMembership(kind, bob.name, room, user, versions)
          for (let index = 0; index < 2; index += 1) await say(alice, roomId, `between ${index}`)
          return template
        },
      })
      network.cheats.set(bob.name, {
        sendTransaction: async (_to, { pdus }) => {
          seen.push(...pdus.map(({ content: { body } = {} }: { content?: JsonObject }) => body))
          return { pdus: {} }
        },
      })
      await bob.rooms.join(bob.user, roomId, { via: [alice.name] })
      await network.settle()
      // The join itself comes with them, though its server has it.
      expect(seen.filter((body) => body !== undefined)).toEqual(expected)
    },
  )

  it('do not count as waiting when nobody is there to get them', async () => {
    await bringIn(network, alice, bob, roomId)
    await bob.rooms.leave(bob.user, roomId)
    await network.settle()
    const id = await say(alice, roomId, 'to myself')
    expect(await alice.outbox.outbox.waiting()).toBe(0)
    expect(await alice.outbox.outbox.delivery(roomId, id)).toMatchObject({ delivered: 0, members: 0 })
  })

  it('count as waiting until one other node has them', async () => {
    await bringIn(network, alice, bob, roomId)
    await bringIn(network, alice, carol, roomId)
    network.offline.add(bob.name).add(carol.name)
    await say(alice, roomId, 'one')
    await say(alice, roomId, 'two')
    await network.settle()
    expect(await alice.outbox.outbox.waiting()).toBe(2)
    network.offline.delete(bob.name)
    alice.outbox.outbox.kick([bob.name], true)
    await network.settle()
    expect(await alice.outbox.outbox.waiting()).toBe(0)
  })

  it('go on after one that the destination cannot take', async () => {
    await bringIn(network, alice, bob, roomId)
    const seen: string[] = []
    network.cheats.set(bob.name, {
      sendTransaction: async (_to, { pdus }) => {
        const texts = pdus.map(({ content }) => (content as JsonObject)['body'] as string)
        if (texts.includes('poison'))
          throw new FederationError({ status: 413, errcode: 'M_TOO_LARGE', error: '' })
        seen.push(...texts)
        return { pdus: {} }
      },
    })
    network.offline.add(bob.name)
    const texts = Array.from({ length: 60 }, (_, index) => (index === 33 ? 'poison' : String(index)))
    for (const text of texts) await say(alice, roomId, text)
    await network.pass(60_000)
    expect(seen).toEqual(texts.filter((text) => text !== 'poison'))
    expect(await alice.outbox.outbox.waiting()).toBe(0)
  })

  it('go out when their destination is heard of, which costs one attempt each time', async () => {
    await bringIn(network, alice, bob, roomId)
    network.offline.add(bob.name)
    await say(alice, roomId, 'late')
    // Pauses of minutes by now.
    await network.pass(600_000)
    const before = alice.calls.length
    for (const _ of [1, 2, 3]) {
      alice.outbox.outbox.heard(bob.name)
      await network.settle()
    }
    expect(alice.calls.length).toBe(before + 3)
    network.offline.delete(bob.name)
    alice.outbox.outbox.heard(bob.name)
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['late'])
    // Without a pause there is nothing to end.
    const after = alice.calls.length
    alice.outbox.outbox.heard(bob.name)
    await network.settle()
    expect(alice.calls.length).toBe(after)
  })

  it('cost few requests and timers when hundreds of destinations are away', async () => {
    const AWAY = 300
    const away = Array.from({ length: AWAY }, (_, index) => testSigner(1_000 + index).name)
    await alice.committer.submit({
      writes: (position) => alice.outbox.destinations.changed(roomId, position, { joined: away, left: [] }),
    })
    for (let index = 0; index < 20; index += 1) await say(alice, roomId, String(index))
    await network.settle()
    // One request each to learn that it is away, whatever is said meanwhile, and one timer; one for the heads and two for
    // what is held from those that are not known to be away yet.
    expect(alice.calls.length).toBeLessThanOrEqual(AWAY)
    expect(network.clock.waiting).toBeLessThanOrEqual(AWAY + 3)
    await network.pass(30_000)
    // Full jitter: pauses of 0.5, 1, 2, 4, … seconds on average.
    expect(new Set(alice.calls).size).toBeGreaterThanOrEqual(AWAY)
    expect(alice.calls.length).toBeLessThan(AWAY * 10)
    expect(network.clock.waiting).toBeLessThanOrEqual(AWAY + 1)
  })

  it('are tried less and less often with who has been away for weeks, after a start too, and at once when it is here', async () => {
    const DAY_MS = 86_400_000
    await bringIn(network, alice, bob, roomId)
    network.offline.add(bob.name)
    await say(alice, roomId, 'late')
    const tries = async (node: BareNode, ms: number): Promise<number> => {
      const before = calls(node, `send ${bob.name}`)
      await network.pass(ms)
      return calls(node, `send ${bob.name}`) - before
    }
    // Four an hour at least, at first.
    expect(await tries(alice, 3 * 3_600_000)).toBeGreaterThan(12)
    await network.pass(20 * DAY_MS)
    expect(await tries(alice, 4 * DAY_MS)).toBeLessThan(30)
    alice.outbox.close()
    const again = await network.add('alice', { store: alice.store, seed: 1 })
    again.outbox.resume()
    expect(await tries(again, 3 * 3_600_000)).toBeLessThan(10)
    network.offline.delete(bob.name)
    again.outbox.outbox.kick([bob.name], true)
    await network.settle()
    expect(await bodies(bob, roomId)).toEqual(['late'])
    // That is over: who goes again is expected back soon.
    network.offline.add(bob.name)
    await say(again, roomId, 'later')
    expect(await tries(again, 3 * 3_600_000)).toBeGreaterThan(12)
    again.outbox.close()
    const third = await network.add('alice', { store: alice.store, seed: 1 })
    third.outbox.resume()
    expect(await tries(third, 3 * 3_600_000)).toBeGreaterThan(12)
  })
})

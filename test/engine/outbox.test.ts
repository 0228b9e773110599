/** What leaves a node: to whom, how often it is tried, and that nothing of it is lost, doubled or stuck. */
import type { JsonObject, RoomId, ServerName } from '@plexus/core'
import type { EduHandler } from '@plexus/engine'
import { FederationError } from '@plexus/engine/ports'
import { createMemoryDisk, openMemoryStore, type Fault } from '@plexus/store/memory'
import fc from 'fast-check'
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

describe('durable EDUs', () => {
  const edu = (id: string) => ({ edu_type: 'm.direct_to_device', content: { id } })

  type Inbox = { readonly got: string[]; readonly handlers: ReadonlyMap<string, EduHandler> }
  const inbox = (): Inbox => {
    const got: string[] = []
    const handler: EduHandler = async (_, content) => {
      if (content['id'] === 'poison') throw new Error('a fault of the handler')
      return { writes: () => [], publish: () => got.push((content['id'] ?? 'none') as string) }
    }
    return { got, handlers: new Map([['m.direct_to_device', handler]]) }
  }
  const queue = (from: BareNode, to: BareNode, ...ids: string[]): Promise<number> =>
    from.committer.submit({
      writes: () => ids.flatMap((id) => from.outbox.outbox.queueDurable(to.name, edu(id))),
    })

  it('arrive in order after a restart of their sender', async () => {
    const network = createBareNetwork()
    const disk = createMemoryDisk()
    const alice = await network.add('alice', { store: await openMemoryStore(disk) })
    const { got, handlers } = inbox()
    const bob = await network.add('bob', { handlers })
    network.offline.add(bob.name)
    await queue(alice, bob, '1', '2')
    await queue(alice, bob, '3')
    await network.settle()
    const again = await network.add('alice', { store: await openMemoryStore(disk), seed: 1 })
    network.offline.delete(bob.name)
    again.outbox.resume()
    await queue(again, bob, '4')
    await network.settle()
    expect(got).toEqual(['1', '2', '3', '4'])
  })

  it('go on with a receiver that lost its store, and leave out what it has', async () => {
    const network = createBareNetwork()
    const alice = await network.add('alice')
    const first = inbox()
    const bob = await network.add('bob', { handlers: first.handlers })
    await queue(alice, bob, '1', '2')
    await network.settle()
    const second = inbox()
    await network.add('bob', { seed: 2, handlers: second.handlers })
    await queue(alice, bob, '3')
    await network.settle()
    await queue(alice, bob, '4')
    await network.settle()
    expect([first.got, second.got]).toEqual([
      ['1', '2'],
      ['3', '4'],
    ])
  })

  it('are applied once when the answer is lost, and those of a new incarnation from its start', async () => {
    const network = createBareNetwork()
    const alice = await network.add('alice')
    const { got, handlers } = inbox()
    const bob = await network.add('bob', { handlers })
    let lose = true
    network.cheats.set(bob.name, {
      sendTransaction: async (_, { edus, sequence = 0, acknowledged = 0 }) => {
        const ordered = { incarnation: 'first', sequence, acknowledged }
        const answer = await bob.inbound.transaction({ origin: alice.name, pdus: [], edus, ordered })
        if (lose) throw new Error('the answer is lost')
        return answer
      },
    })
    await queue(alice, bob, '1', '2')
    await network.settle()
    lose = false
    await queue(alice, bob, '3')
    await network.pass(10_000)
    expect(got).toEqual(['1', '2', '3'])
    const ordered = { incarnation: 'second', sequence: 2, acknowledged: 0 }
    await bob.inbound.transaction({ origin: alice.name, pdus: [], edus: [edu('a'), edu('b')], ordered })
    expect(got).toEqual(['1', '2', '3', 'a', 'b'])
  })

  it('are applied once and in order, whatever their transactions suffer on the way', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ first: fc.nat(20), count: fc.integer({ min: 1, max: 8 }) }), {
          minLength: 20,
          maxLength: 60,
        }),
        async (transactions) => {
          const network = createBareNetwork()
          const { got, handlers } = inbox()
          const bob = await network.add('bob', { handlers })
          let acknowledged = 0
          for (const { first, count } of transactions) {
            // Lost, repeated and reordered: the sender sends from anywhere that it may believe to be next.
            const from = Math.min(first, acknowledged)
            const ids = Array.from({ length: count }, (_, index) => String(from + index + 1))
            const ordered = { incarnation: 'i', sequence: from + count, acknowledged: from }
            const answer = await bob.inbound.transaction({
              origin: bob.name,
              pdus: [],
              edus: ids.map((id) => edu(id)),
              ordered,
            })
            acknowledged = answer.committed ?? 0
          }
          expect(got).toEqual(Array.from({ length: acknowledged }, (_, index) => String(index + 1)))
          expect(acknowledged).toBeGreaterThan(0)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('are not held up by one whose handler fails', async () => {
    const network = createBareNetwork()
    const alice = await network.add('alice')
    const { got, handlers } = inbox()
    const bob = await network.add('bob', { handlers })
    await queue(alice, bob, '1', 'poison', '2')
    await network.pass(5_000)
    expect(got).toEqual(['1', '2'])
    expect(network.complaints.join()).toContain('error')
  })

  it('are not held up by one that cannot be signed', async () => {
    const network = createBareNetwork()
    const alice = await network.add('alice')
    const { got, handlers } = inbox()
    const bob = await network.add('bob', { handlers })
    const odd = { edu_type: 'm.direct_to_device', content: { id: 'odd', half: 0.5 } }
    await alice.committer.submit({ writes: () => alice.outbox.outbox.queueDurable(bob.name, odd) })
    await queue(alice, bob, '2')
    await network.settle()
    expect(got).toEqual(['none', '2'])
  })

  it('go fifty at a time', async () => {
    const network = createBareNetwork()
    const alice = await network.add('alice')
    const { got, handlers } = inbox()
    const bob = await network.add('bob', { handlers })
    const ids = Array.from({ length: 120 }, (_, index) => String(index))
    await queue(alice, bob, ...ids)
    await network.settle()
    expect(got).toEqual(ids)
    expect(calls(alice, `send ${bob.name}`)).toBe(3)
  })

  it('are no more than the newest receipts and a few typing notices for one that is away', async () => {
    const network = createBareNetwork()
    const alice = await network.add('alice')
    const bob = await network.add('bob')
    const roomId = await createRoom(alice)
    await bringIn(network, alice, bob, roomId)
    network.offline.add(bob.name)
    const { outbox } = alice.outbox
    for (let index = 0; index < 5_000; index += 1) {
      outbox.sendCoalesced(bob.name, `key ${index}`, { edu_type: 'm.receipt', content: { index } })
      outbox.sendToRoom(roomId, [bob.name], { edu_type: 'm.typing', content: { index } })
    }
    await network.settle()
    const sent: number[] = []
    network.cheats.set(bob.name, {
      sendTransaction: async (_, { edus }) => {
        expect(edus.length).toBeLessThanOrEqual(100)
        sent.push(...edus.map(({ content }) => (content as JsonObject)['index'] as number))
        return { pdus: {} }
      },
    })
    outbox.kick([bob.name], true)
    await network.settle()
    expect(sent.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 500 }, (_, index) => 4_500 + index))
  })
})

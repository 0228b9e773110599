/** What must not be lost, doubled or reordered on its way: to-device messages, device lists and their like. */
import type { JsonObject, ServerName } from '@plexus/core'
import { RoomError, type EduHandler } from '@plexus/engine'
import { FAULT_PATIENCE_MS, LAST_RETRY_MS } from '@plexus/engine/testing'
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bringIn, createRoom } from './rooms-kit.ts'

const calls = (node: BareNode, call: string): number => node.calls.filter((each) => each === call).length

describe('durable EDUs', () => {
  const edu = (id: string) => ({ edu_type: 'm.direct_to_device', content: { id } })

  type Inbox = { readonly got: string[]; readonly handlers: ReadonlyMap<string, EduHandler> }
  const inbox = (): Inbox => {
    const got: string[] = []
    let faults = 0
    const handler: EduHandler = async (_, content) => {
      if (content['id'] === 'poison') throw new RoomError('M_UNKNOWN', 'a fault of the handler')
      if (content['id'] === 'late' && (faults += 1) < 3) throw new Error('a passing fault')
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
    // Tries come after pauses by chance, of which the last may be long.
    await network.pass(FAULT_PATIENCE_MS + LAST_RETRY_MS)
    expect(got).toEqual(['1', '2'])
    expect(network.complaints.filter((complaint) => complaint.startsWith('error'))).toHaveLength(1)
  })

  it('are applied in order where a handler fails for a while', async () => {
    const network = createBareNetwork()
    const alice = await network.add('alice')
    const { got, handlers } = inbox()
    const bob = await network.add('bob', { handlers })
    await queue(alice, bob, '1', 'late', '2')
    await network.pass(FAULT_PATIENCE_MS)
    expect(got).toEqual(['1', 'late', '2'])
  })

  it('of a server that numbers nothing are not answered for while a handler fails', async () => {
    const network = createBareNetwork()
    const { got, handlers } = inbox()
    const bob = await network.add('bob', { handlers })
    const origin = 'stock.example' as ServerName
    const send = () => bob.inbound.transaction({ origin, pdus: [], edus: [edu('late')] })
    await expect(send()).rejects.toThrow('could not be applied')
    await expect(send()).rejects.toThrow('could not be applied')
    await send()
    expect(got).toEqual(['late'])
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

/** That the order in which the events of a room come makes no difference. */
import { prevEventIds } from '@plexus/core'
import type { EventId, Pdu, RoomId } from '@plexus/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBareNetwork, type BareNetwork, type BareNode } from '../kit/bare-rooms.ts'
import { bodies, bringIn, createRoom, expectAncestorsFirst, say, setTopic, stateText } from './rooms-kit.ts'

/** Everything after what `reader` knows, as `writer` has it. */
async function newFor(reader: BareNode, writer: BareNode, roomId: RoomId): Promise<readonly Pdu[]> {
  const seen = new Set<EventId>((await reader.rooms.snapshot(roomId))?.heads)
  const queue = [...((await writer.rooms.snapshot(roomId))?.heads ?? [])]
  const all: Pdu[] = []
  for (const id of queue) {
    const record = seen.has(id) ? undefined : await writer.rooms.event(id)
    seen.add(id)
    if (record === undefined) continue
    all.push(record.pdu)
    queue.push(...prevEventIds(record.pdu))
  }
  return all
}

/** Two members write apart and meet, several times, while a third is away. */
async function roomWithForks(): Promise<{
  network: BareNetwork
  writer: BareNode
  reader: BareNode
  roomId: RoomId
}> {
  const network = createBareNetwork()
  const [writer, other, reader] = [
    await network.add('writer'),
    await network.add('other'),
    await network.add('reader'),
  ]
  const roomId = await createRoom(writer)
  await bringIn(network, writer, other, roomId)
  await bringIn(network, writer, reader, roomId)
  network.offline.add(reader.name)
  for (let round = 0; round < 4; round += 1) {
    network.offline.add(other.name)
    await setTopic(writer, roomId, `topic ${round}`)
    await say(other, roomId, `other ${round}`)
    await say(writer, roomId, `writer ${round}`)
    network.offline.delete(other.name)
    for (const { outbox } of [writer, other]) outbox.outbox.kick([writer.name, other.name], true)
    await network.settle()
  }
  await say(writer, roomId, 'last')
  await network.settle()
  return { network, writer, reader, roomId }
}

describe('the events of one room', { timeout: 60_000 }, () => {
  it('make the same room in whatever order, batches and repetitions they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.nat(1_000)),
        fc.integer({ min: 1, max: 12 }),
        async (lots, size) => {
          const { network, writer, reader, roomId } = await roomWithForks()
          const all = await newFor(reader, writer, roomId)
          expect(all.length).toBeGreaterThan(12)
          const doubled = [...all, ...all.filter((_, index) => index % 3 === 0)]
          const shuffled = doubled
            .map((pdu) => ({ pdu, lot: lots.next().value ?? 0 }))
            .toSorted((a, b) => a.lot - b.lot)
            .map(({ pdu }) => pdu)
          // The writer is away: nothing but what is delivered is there to decide with.
          network.offline.add(writer.name)
          for (let start = 0; start < shuffled.length; start += size) {
            await reader.rooms.receive(writer.name, shuffled.slice(start, start + size))
          }
          await network.settle()
          expect((await bodies(reader, roomId)).map(String).toSorted()).toEqual(
            (await bodies(writer, roomId)).map(String).toSorted(),
          )
          await expectAncestorsFirst(reader, roomId)
          expect(await stateText(reader, roomId)).toBe(await stateText(writer, roomId))
          expect((await reader.rooms.snapshot(roomId))?.heads).toEqual(
            (await writer.rooms.snapshot(roomId))?.heads,
          )
          expect(await reader.store.range('staged', '', '\u00ff')).toEqual([])
        },
      ),
      { numRuns: 12 },
    )
  })
})

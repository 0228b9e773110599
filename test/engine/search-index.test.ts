/** How the full-text index follows timelines, and what one search costs. */
import type { EventId, Pdu, RoomId } from '@plexus/core'
import { createCommitter, type EventRecord, type Rooms } from '@plexus/engine'
import { createSearchIndex, MAX_INDEXED_AT_ONCE, MAX_POSTINGS } from '@plexus/engine/testing'
import { createMemoryDisk, openMemoryStore } from '@plexus/store/memory'
import { expect, it } from 'vitest'

const ROOM = '!a:x' as RoomId
const OTHER = '!b:x' as RoomId

const record = (order: number, roomId: RoomId): EventRecord => ({
  id: `$${order}${roomId}` as EventId,
  roomId,
  order,
  position: Math.max(0, order),
  pdu: { type: 'm.room.message', content: { body: 'word' }, origin_server_ts: order } as Partial<Pdu> as Pdu,
  verdict: 'accepted',
  basis: 'full',
  generation: 0,
  receivedAt: 0,
})

/** A timeline with the orders in [low, high], which grow, and the pages that were read. */
async function world(low: number, high: number) {
  const store = await openMemoryStore(createMemoryDisk())
  const bounds = { low, high }
  let read = 0
  const timeline: Rooms['timeline'] = (roomId, { from, to, direction, limit }) => {
    const first = Math.max(bounds.low, from + 1)
    const last = Math.min(bounds.high, to)
    const count = Math.max(0, Math.min(limit, last - first + 1))
    const start = direction === 'f' ? first : last - count + 1
    const events = Array.from({ length: count }, (_, index) => record(start + index, roomId))
    read += count
    return Promise.resolve({ events: direction === 'f' ? events : events.toReversed() })
  }
  const index = createSearchIndex({ store, committer: await createCommitter(store), rooms: { timeline } })
  const found = async (roomIds = [ROOM]): Promise<readonly number[]> =>
    (await index.find(roomIds, ['word'])).map(({ ts }) => ts).toSorted((a, b) => a - b)
  return { index, bounds, found, read: () => read }
}

it('reads each event once, whether it comes at the end or before the beginning', async () => {
  const { index, bounds, found, read } = await world(1, 450)
  await index.follow([ROOM])
  expect(await found()).toHaveLength(450)
  expect(read()).toBe(450)
  bounds.high = 460
  bounds.low = -5
  await Promise.all([index.follow([ROOM]), index.follow([ROOM])])
  expect(await found()).toHaveLength(466)
  expect(read()).toBe(466)
})

it('adds a bounded number of events at once, the newest first, and goes on', async () => {
  const size = MAX_INDEXED_AT_ONCE + 100
  const { index, found, read } = await world(1, size)
  await index.follow([ROOM])
  expect(read()).toBe(MAX_INDEXED_AT_ONCE)
  const first = await found()
  expect(first).toHaveLength(MAX_POSTINGS)
  expect(first.at(-1)).toBe(size)
  await index.follow([ROOM])
  expect(read()).toBe(size)
})

it('finds what stands in one room, whatever stands in others', async () => {
  const { index, bounds, found } = await world(1, 1)
  await index.follow([ROOM])
  bounds.low = 2
  bounds.high = MAX_POSTINGS + 10
  await index.follow([OTHER])
  expect(await found()).toEqual([1])
  expect(await found([OTHER, ROOM])).toHaveLength(MAX_POSTINGS + 1)
})

import { describe, expect, it } from 'vitest'
import { createOutboxRoom, MAX_WAITING_LENGTH, type OutboxRoom } from './room.ts'

const MIB = 1024 * 1024
/** What a client may send in one request. */
const REQUEST = 256 * 1024

type Target = Parameters<OutboxRoom['add']>[0]

function server(): Target {
  return { waitingLength: 0, wasFull: false, lastEdu: 0 }
}

/** Queues for the server until it is full. */
function fill(room: OutboxRoom, target: Target, length = REQUEST): Target {
  while (!room.isFull(target)) room.add(target, length)
  return target
}

describe('the room of an outbox', () => {
  it('lets one server have some thirty MiB', () => {
    const { waitingLength } = fill(createOutboxRoom(), server())
    expect(waitingLength / MIB).toBeGreaterThan(28)
    expect(waitingLength / MIB).toBeLessThan(32)
  })

  it('keeps room for who has little from a thousand servers that take nothing', () => {
    const room = createOutboxRoom()
    const first = fill(room, server())
    for (let n = 0; n < 1_000; n += 1) fill(room, server())
    expect([room.isFull(), room.isFull(first)]).toEqual([false, true])
    expect(fill(room, server(), 1_000).waitingLength).toBeGreaterThan(64_000)
  })

  it('has an end, however many servers take nothing', () => {
    const room = createOutboxRoom()
    for (let n = 0; n < 10_000; n += 1) fill(room, server())
    expect([room.isFull(), room.isFull(server())]).toEqual([true, true])
    expect(room.waitingLength).toBeLessThan(MAX_WAITING_LENGTH + REQUEST)
  })

  it('tells when there is room again after there was none', () => {
    const room = createOutboxRoom()
    let told = 0
    room.onDrained(() => (told += 1))
    const target = { ...server(), lastEdu: 1 }
    room.add(target, MAX_WAITING_LENGTH)
    room.taken(target, 1)
    expect([room.isFull(server()), told]).toEqual([false, 0])
    room.add(target, 1)
    expect(room.isFull(server())).toBe(true)
    room.taken(target, 1)
    room.taken(target, 1)
    expect(told).toBe(1)
  })
})

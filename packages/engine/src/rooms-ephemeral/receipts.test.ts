import { memberKey } from '@plexus/core'
import type { EventId, JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { encodeKey } from '../kernel/keys.ts'
import type { Committer } from '../kernel/committer.ts'
import type { Store } from '../ports.ts'
import type { RoomSnapshot, Rooms } from '../rooms/types.ts'
import { MAX_RECEIPTS_BEFORE_MEMBERS, MAX_RECEIPTS_PER_EDU, createReceipts } from './receipts.ts'
import type { Receipts } from './types.ts'

const THERE = 'there.x' as ServerName
const ROOM = '!room:there.x' as RoomId
const EVE = '@eve:elsewhere.x' as UserId
const EVENT = `$${'A'.repeat(43)}` as EventId

const ROW = [encodeKey([ROOM, EVE, 'm.read', '']), '{}'] as const
const RECEIPT = { event_ids: [EVENT], data: { ts: 1 } }
const readBy = (users: readonly UserId[]): JsonObject => ({
  [ROOM]: { 'm.read': Object.fromEntries(users.map((user) => [user, RECEIPT])) },
})
const crowdOf = (count: number): readonly UserId[] =>
  Array.from({ length: count }, (_, index) => `@u${index}:there.x` as UserId)

/** Of a room of which `rows` receipts are kept, none of the users that a test asks about. */
function receiptsIn(snapshot: Partial<RoomSnapshot>, rows = 0): Receipts {
  const rooms: Partial<Rooms> = { snapshot: () => Promise.resolve(snapshot as RoomSnapshot) }
  const store: Partial<Store> = {
    get: () => Promise.resolve(undefined),
    range: (_map, _lo, _hi, { limit = 0 } = {}) =>
      Promise.resolve(Array.from({ length: limit === MAX_RECEIPTS_BEFORE_MEMBERS ? rows : 0 }, () => ROW)),
  }
  return createReceipts({
    store: store as Store,
    committer: { onCommit: () => () => undefined } as Partial<Committer> as Committer,
    rooms: () => rooms as Rooms,
    outbox: { sendToRoom: () => undefined },
    clock: { now: () => 0, after: () => () => undefined },
  })
}

describe('receipts', () => {
  it('of one EDU are bounded', async () => {
    const crowd = crowdOf(MAX_RECEIPTS_PER_EDU + 10)
    const effect = await receiptsIn({ joinedMembers: crowd }).edu(THERE, readBy(crowd))
    // Each is two writes: its place by user, and by position.
    expect(effect?.writes(1)).toHaveLength(2 * MAX_RECEIPTS_PER_EDU)
  })

  it('are taken of members that are not known yet, as many as all may be', async () => {
    const [known = EVE, left = EVE, unknown = EVE] = crowdOf(3)
    const partial: Partial<RoomSnapshot> = {
      isPartial: true,
      joinedMembers: [known],
      joinedServers: [THERE],
      state: new Map([known, left].map((user) => [memberKey(user), EVENT])),
    }
    const taken = async (snapshot: Partial<RoomSnapshot>, rows = 0): Promise<number> => {
      const effect = await receiptsIn(snapshot, rows).edu(THERE, readBy([known, left, unknown, EVE]))
      return (effect?.writes(1).length ?? 0) / 2
    }
    expect(await taken(partial)).toBe(2)
    expect(await taken({ ...partial, joinedServers: [] })).toBe(1)
    expect(await taken(partial, MAX_RECEIPTS_BEFORE_MEMBERS)).toBe(1)
    const { isPartial: _, ...whole } = partial
    expect(await taken(whole)).toBe(1)
  })
})

import type { EventId, RoomId, ServerName, UserId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { Committer } from '../kernel/committer.ts'
import type { Store } from '../ports.ts'
import type { RoomSnapshot, Rooms } from '../rooms/types.ts'
import { MAX_RECEIPTS_PER_EDU, createReceipts } from './receipts.ts'

const THERE = 'there.x' as ServerName
const ROOM = '!room:there.x' as RoomId
const EVENT = `$${'A'.repeat(43)}` as EventId

describe('receipts', () => {
  it('of one EDU are bounded', async () => {
    const crowd = Array.from(
      { length: MAX_RECEIPTS_PER_EDU + 10 },
      (_, index) => `@u${index}:there.x` as UserId,
    )
    const snapshot: Partial<RoomSnapshot> = { joinedMembers: crowd }
    const rooms: Partial<Rooms> = { snapshot: () => Promise.resolve(snapshot as RoomSnapshot) }
    const store: Partial<Store> = {
      get: () => Promise.resolve(undefined),
      range: () => Promise.resolve([]),
    }
    const { edu } = createReceipts({
      store: store as Store,
      committer: { onCommit: () => () => undefined } as Partial<Committer> as Committer,
      rooms: () => rooms as Rooms,
      outbox: { sendCoalesced: () => undefined },
      clock: { now: () => 0, after: () => () => undefined },
      serverName: 'here.x' as ServerName,
    })
    const receipt = { event_ids: [EVENT], data: { ts: 1 } }
    const effect = await edu(THERE, {
      [ROOM]: { 'm.read': Object.fromEntries(crowd.map((user) => [user, receipt])) },
    })
    // Each is two writes: its place by user, and by position.
    expect(effect?.writes(1)).toHaveLength(2 * MAX_RECEIPTS_PER_EDU)
  })
})

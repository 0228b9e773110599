import type { JsonObject, RoomId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { MAX_EDU_ROOMS } from './bounds.ts'
import { ALICE, OTHER_ROOM, ask, room, rooms, withAcl } from './testing/endpoints.ts'
import type { FakeMethods } from './testing/fixtures.ts'

const typing = (roomId: unknown): JsonObject => ({
  edu_type: 'm.typing',
  content: { room_id: roomId as string, user_id: ALICE, typing: true },
})
const gossip = (roomId: string): JsonObject => ({ edu_type: 'plexus.gossip', content: { room_id: roomId } })
const receipts = (...roomIds: readonly string[]): JsonObject => ({
  edu_type: 'm.receipt',
  content: Object.fromEntries(roomIds.map((id) => [id, { 'm.read': {} }])),
})
const others: JsonObject[] = [
  {},
  { edu_type: 'm.typing' },
  { edu_type: 'm.direct_to_device', content: { room_id: OTHER_ROOM } },
  { edu_type: 'm.device_list_update', content: {} },
  { edu_type: 7, content: {} },
]

/** What is left of the EDUs of a transaction. */
async function keptOf(edus: readonly JsonObject[], methods: FakeMethods = { rooms }): Promise<unknown> {
  let kept: readonly JsonObject[] | undefined
  const inbound: FakeMethods['inbound'] = {
    transaction: async (transaction) => {
      kept = transaction.edus
      return { pdus: {} }
    },
  }
  const content = { pdus: [], edus }
  const uri = '/_matrix/federation/v1/send/1'
  const { status } = await ask({ ...methods, inbound }, { method: 'PUT', uri, content })
  expect(status).toBe(200)
  return kept
}

describe('permittedEdus', () => {
  it('keeps what is about known rooms, and what is about no room', async () => {
    const edus = [typing(room.roomId), gossip(room.roomId), receipts(room.roomId), ...others]
    expect(await keptOf(edus)).toEqual(edus)
  })

  it('drops what is about unknown rooms, and keeps the rest of a receipt', async () => {
    const edus = [
      typing(OTHER_ROOM),
      typing('x'),
      typing(7),
      gossip(OTHER_ROOM),
      receipts(OTHER_ROOM),
      receipts(OTHER_ROOM, room.roomId),
    ]
    expect(await keptOf(edus)).toEqual([receipts(room.roomId)])
  })

  it('drops what a denied server says of a room, and keeps what is about no room', async () => {
    const edus = [typing(room.roomId), gossip(room.roomId), receipts(room.roomId), ...others]
    expect(await keptOf(edus, withAcl({ rooms }))).toEqual(others)
  })

  it('looks at a bounded number of rooms, each once', async () => {
    const asked: RoomId[] = []
    const snapshot = async (id: RoomId) => {
      asked.push(id)
      return rooms.snapshot?.(id)
    }
    const many = Array.from({ length: MAX_EDU_ROOMS + 5 }, (_, index) => `!${index}:x`)
    const kept = await keptOf([receipts(...many), receipts(...many), typing(room.roomId)], {
      rooms: { ...rooms, snapshot },
    })
    expect(asked).toHaveLength(MAX_EDU_ROOMS)
    expect(kept).toEqual([])
  })
})

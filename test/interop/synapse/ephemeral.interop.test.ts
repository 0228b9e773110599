/** What passes between a Plexus node and Synapse without an event: typing, receipts, presence, messages to devices. */
import type { JsonObject } from '@plexus/core'
import { expect, it } from 'vitest'
import { at, list, pick } from '../../kit/api-client.ts'
import { createRoom, join, type Person, reads, say } from './person.ts'
import { scenario } from './scenario.ts'

const ephemeral = (sync: JsonObject, roomId: string, type: string): readonly JsonObject[] =>
  list(sync, 'rooms', 'join', roomId, 'ephemeral', 'events').filter((event) => event['type'] === type)

/** Waits until `who` sees that `of` types, or does not. */
async function typing(who: Person, roomId: string, of: Person, wanted: boolean): Promise<void> {
  let users: readonly string[] = []
  await who.until(`${of.userId} types: ${wanted}`, (sync) => {
    for (const event of ephemeral(sync, roomId, 'm.typing'))
      users = pick(event, 'content', 'user_ids') as readonly string[]
    return users.includes(of.userId) === wanted ? true : undefined
  })
}

scenario('what is no event', (room) => {
  it('shows who types and who has read what', async () => {
    const roomId = await createRoom(room.owner, room.version)
    await join(room.guest, roomId, [room.owner])
    for (const [one, other] of [
      [room.owner, room.guest],
      [room.guest, room.owner],
    ] as const) {
      const path = at`v3/rooms/${roomId}/typing/${one.userId}`
      await one.ok('PUT', path, { body: { typing: true, timeout: 60_000 } })
      await typing(other, roomId, one, true)
      await one.ok('PUT', path, { body: { typing: false } })
      await typing(other, roomId, one, false)
      const eventId = await say(other, roomId, 'read me')
      await reads(one, roomId, eventId)
      await one.ok('POST', at`v3/rooms/${roomId}/receipt/m.read/${eventId}`, { body: {} })
      await other.until('the receipt', (sync) =>
        ephemeral(sync, roomId, 'm.receipt').some(
          (event) => pick(event, 'content', eventId, 'm.read', one.userId) !== undefined,
        )
          ? true
          : undefined,
      )
    }
  })

  it('shows presence', async () => {
    const roomId = await createRoom(room.owner, room.version)
    await join(room.guest, roomId, [room.owner])
    for (const [one, other] of [
      [room.owner, room.guest],
      [room.guest, room.owner],
    ] as const) {
      const body = { presence: 'online', status_msg: `hello from ${one.home.kind}` }
      await one.ok('PUT', at`v3/presence/${one.userId}/status`, { body })
      await other.until('presence', (sync) =>
        list(sync, 'presence', 'events').some(
          (event) =>
            event['sender'] === one.userId && pick(event, 'content', 'status_msg') === body.status_msg,
        )
          ? true
          : undefined,
      )
    }
  })

  it('brings messages to devices, each once', async () => {
    const roomId = await createRoom(room.owner, room.version)
    await join(room.guest, roomId, [room.owner])
    for (const [one, other] of [
      [room.owner, room.guest],
      [room.guest, room.owner],
    ] as const) {
      const seen: unknown[] = []
      for (const index of [0, 1, 2, 3, 4])
        await one.ok('PUT', at`v3/sendToDevice/org.example.note/${`n${roomId}${index}`}`, {
          body: { messages: { [other.userId]: { [other.deviceId]: { index } } } },
        })
      await other.until('messages to the device', (sync) => {
        seen.push(
          ...list(sync, 'to_device', 'events')
            .filter(({ sender }) => sender === one.userId)
            .map((event) => pick(event, 'content', 'index')),
        )
        return seen.includes(4) ? true : undefined
      })
      expect(seen).toEqual([0, 1, 2, 3, 4])
    }
  })
})

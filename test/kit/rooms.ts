/** What many tests of the Client-Server API do first. */
import { serverOf, type JsonObject } from '@plexus/core'
import { at, pick, text, type ApiClient } from './api-client.ts'
import type { TestNetwork } from './node.ts'

export async function createRoom(client: ApiClient, body: JsonObject = {}): Promise<string> {
  return text(await client.ok('POST', 'v3/createRoom', { body }), 'room_id')
}

let transactions = 0

/** A transaction id that was not used before. */
export function transaction(): string {
  transactions += 1
  return `t${transactions}`
}

/** Answers with the event id. */
export async function say(
  client: ApiClient,
  roomId: string,
  body: string,
  txnId = transaction(),
): Promise<string> {
  const path = at`v3/rooms/${roomId}/send/m.room.message/${txnId}`
  return text(await client.ok('PUT', path, { body: { msgtype: 'm.text', body } }), 'event_id')
}

/** Joins a room of the inviter, whose node may be another one. */
export async function joinFrom(
  network: TestNetwork,
  client: ApiClient,
  inviter: ApiClient,
  roomId: string,
): Promise<void> {
  await client.ok('POST', at`v3/join/${roomId}`, { query: { via: serverOf(inviter.userId) }, body: {} })
  await network.settle()
}

/** A room that `host` made and `guest` joined by invite. */
export async function sharedRoom(
  network: TestNetwork,
  host: ApiClient,
  guest: ApiClient,
  body: JsonObject = {},
): Promise<string> {
  const roomId = await createRoom(host, { ...body, invite: [guest.userId] })
  await network.settle()
  await joinFrom(network, guest, host, roomId)
  return roomId
}

/** How many unread messages of a room notify the user, by an initial `/sync`. */
export async function unreadIn(client: ApiClient, roomId: string): Promise<unknown> {
  const counts = pick(await client.ok('GET', 'v3/sync'), 'rooms', 'join', roomId, 'unread_notifications')
  return pick(counts, 'notification_count')
}

/** The main promise in one process: two stock clients on two nodes, end-to-end encrypted. */
import type { ClientApi } from '@plexus/client-api'
import type { EventId } from '@plexus/core'
import type { MatrixClient, MatrixEvent } from 'matrix-js-sdk'
import type { Logger } from 'matrix-js-sdk/lib/logger.js'
import {
  ClientEvent,
  createClient,
  MatrixEventEvent,
  MsgType,
  EventType,
  Preset,
  RoomEvent,
} from 'matrix-js-sdk'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Loopback } from '../kit/loopback.ts'
import { createLoopback } from '../kit/loopback.ts'
import type { TestNode } from '../kit/node.ts'
import { createTestNode, quiet } from '../kit/node.ts'
import { realClock } from '../kit/real-clock.ts'

const TEN_SECONDS = 10_000

/** The client's log is of no use in a test's output. */
const silent: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  getChild: () => silent,
}

async function signIn(api: ClientApi, localpart: string): Promise<MatrixClient> {
  const fetchFn = (input: RequestInfo | URL, init?: RequestInit): Promise<Response> =>
    api(new Request(input, init))
  const guest = createClient({ baseUrl: 'http://node.invalid', fetchFn, logger: silent })
  const account = await guest.registerRequest({
    username: localpart,
    password: 'correct horse battery staple',
    auth: { type: 'm.login.dummy' },
  })
  const client = createClient({
    baseUrl: 'http://node.invalid',
    fetchFn,
    logger: silent,
    userId: account.user_id,
    deviceId: account.device_id ?? '',
    accessToken: account.access_token ?? '',
  })
  await client.initRustCrypto({ useIndexedDB: false })
  const ready = new Promise<void>((resolve) => {
    client.on(ClientEvent.Sync, (state) => {
      if (state === 'PREPARED') resolve()
    })
  })
  await client.startClient({ lazyLoadMembers: true, initialSyncLimit: 20 })
  await ready
  return client
}

/** Resolves with the body of the next decrypted text that another user sends. */
function nextText(client: MatrixClient): Promise<string> {
  return new Promise((resolve, reject) => {
    const take = (event: MatrixEvent): void => {
      if (event.getSender() === client.getUserId()) return
      if (event.isDecryptionFailure()) reject(new Error(`not decrypted: ${event.decryptionFailureReason}`))
      else if (event.getType() === EventType.RoomMessage) resolve(String(event.getContent()['body']))
    }
    client.on(MatrixEventEvent.Decrypted, take)
    client.on(RoomEvent.Timeline, (event) => {
      if (!event.isEncrypted()) take(event)
    })
  })
}

function invited(client: MatrixClient): Promise<string> {
  return new Promise((resolve) => {
    client.on(RoomEvent.MyMembership, (room, membership) => {
      if (membership === 'invite') resolve(room.roomId)
    })
  })
}

describe('matrix-js-sdk with Rust crypto', () => {
  let loopback: Loopback
  let first: TestNode
  let second: TestNode
  let clients: MatrixClient[] = []

  beforeEach(async () => {
    loopback = createLoopback({ clock: realClock })
    first = await createTestNode({ loopback, clock: realClock, seed: 1 })
    second = await createTestNode({ loopback, clock: realClock, seed: 2 })
  })
  afterEach(async () => {
    for (const client of clients) client.stopClient()
    clients = []
    await first.close()
    await second.close()
  })

  it('lets two users on two nodes exchange encrypted text', { timeout: 3 * TEN_SECONDS }, async () => {
    const alice = await signIn(first.clientApi, 'alice')
    const bob = await signIn(second.clientApi, 'bob')
    clients = [alice, bob]
    const { room_id: roomId } = await alice.createRoom({
      preset: Preset.PrivateChat,
      initial_state: [
        { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
      ],
    })
    const invite = invited(bob)
    await alice.invite(roomId, bob.getSafeUserId())
    expect(await invite).toBe(roomId)
    await bob.joinRoom(roomId)
    await quiet(loopback, [first, second])

    const atBob = nextText(bob)
    const { event_id: eventId } = await alice.sendMessage(roomId, {
      msgtype: MsgType.Text,
      body: 'hello Bob',
    })
    expect(await atBob).toBe('hello Bob')
    const atAlice = nextText(alice)
    await bob.sendMessage(roomId, { msgtype: MsgType.Text, body: 'hello Alice' })
    expect(await atAlice).toBe('hello Alice')

    // What is stored and was on the wire is ciphertext.
    for (const { engine } of [first, second]) {
      const event = await engine.rooms.event(eventId as EventId)
      expect(event?.pdu.type).toBe('m.room.encrypted')
      expect(JSON.stringify(event)).not.toContain('hello Bob')
    }
    expect(JSON.stringify(loopback.log)).not.toContain('hello')
  })
})

/** The main promise in one process: two stock clients on two nodes, end-to-end encrypted. */
import type { EventId } from '@plexus/core'
import type { MatrixClient, MatrixEvent } from 'matrix-js-sdk'
import { MatrixEventEvent, MsgType, EventType, Preset, RoomEvent } from 'matrix-js-sdk'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { quiet } from '../kit/node.ts'
import type { ClientPair } from '../kit/stock-client.ts'
import { createClientPair, cryptoOf } from '../kit/stock-client.ts'

const TEN_SECONDS = 10_000

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
  let pair: ClientPair

  beforeEach(async () => {
    pair = await createClientPair()
  })
  afterEach(() => pair.close())

  it('lets two users on two nodes exchange encrypted text', { timeout: 3 * TEN_SECONDS }, async () => {
    const { loopback, first, second } = pair
    const alice = await pair.start(first, 'alice')
    const bob = await pair.start(second, 'bob')
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

    // Bob, on the other node, sees Alice's identity and that it signed her device.
    await cryptoOf(alice).bootstrapCrossSigning({
      authUploadDeviceSigningKeys: (request) => request(null).then(() => undefined),
    })
    // His node knows her devices, and hears of the keys.
    await quiet(loopback, [first, second])
    expect(await cryptoOf(bob).userHasCrossSigningKeys(alice.getSafeUserId(), true)).toBe(true)
    const status = await cryptoOf(bob).getDeviceVerificationStatus(
      alice.getSafeUserId(),
      alice.getDeviceId() ?? '',
    )
    expect(status?.signedByOwner).toBe(true)

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

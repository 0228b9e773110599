/** A stock client reads in a new session what was sent while it had none: by its dehydrated device. */
import { CryptoEvent } from 'matrix-js-sdk/lib/crypto-api/index.js'
import type { CryptoCallbacks } from 'matrix-js-sdk/lib/crypto-api/index.js'
import { EventType, MsgType, Preset } from 'matrix-js-sdk'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { quiet } from '../kit/node.ts'
import type { ClientPair } from '../kit/stock-client.ts'
import { createClientPair, cryptoOf, PASSWORD, startStockClient, until } from '../kit/stock-client.ts'

let pair: ClientPair
beforeEach(async () => {
  pair = await createClientPair()
})
afterEach(() => pair.close())

it('matrix-js-sdk takes up the keys that its dehydrated device was sent', { timeout: 60_000 }, async () => {
  const { first, second, loopback } = pair
  let secret: Uint8Array<ArrayBuffer> | undefined
  const cryptoCallbacks: CryptoCallbacks = {
    getSecretStorageKey: async ({ keys }) => {
      const [id] = Object.keys(keys)
      return id === undefined || secret === undefined ? null : [id, secret]
    },
    cacheSecretStorageKey: (_id, _info, key) => {
      secret = key
    },
  }
  const session = (kind: 'register' | 'login') =>
    startStockClient({
      baseUrl: 'http://node.invalid',
      fetchFn: (input, init) => first.clientApi(new Request(input, init)),
      localpart: 'alice',
      kind,
      cryptoCallbacks,
    })
  const alice = await session('register')
  const crypto = cryptoOf(alice)
  await crypto.bootstrapCrossSigning({
    authUploadDeviceSigningKeys: (request) =>
      request({
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: 'alice' },
        password: PASSWORD,
      }).then(() => undefined),
  })
  await crypto.bootstrapSecretStorage({
    createSecretStorageKey: () => crypto.createRecoveryKeyFromPassphrase(),
  })
  expect(await crypto.isDehydrationSupported()).toBe(true)
  await crypto.startDehydration()

  const bob = await pair.start(second, 'bob')
  const { room_id: roomId } = await alice.createRoom({
    preset: Preset.PublicChat,
    initial_state: [
      { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
    ],
  })
  await bob.joinRoom(roomId, { viaServers: [first.name] })
  await quiet(loopback, [first, second])
  // Of all her devices the dehydrated one alone is left.
  alice.stopClient()
  await first.engine.users.devices.delete(first.userId('alice'), [alice.getDeviceId() ?? ''])
  await quiet(loopback, [first, second])
  await bob.sendMessage(roomId, { msgtype: MsgType.Text, body: 'while you were away' })
  await quiet(loopback, [first, second])

  const again = await session('login')
  const done = new Promise<void>((resolve) => {
    again.on(CryptoEvent.RehydrationCompleted, () => resolve())
  })
  // Her identity comes out of the secret storage.
  await cryptoOf(again).bootstrapCrossSigning({})
  await cryptoOf(again).startDehydration()
  await done
  await until(again, () => {
    const events = again.getRoom(roomId)?.getLiveTimeline().getEvents() ?? []
    return events.some(
      (event) =>
        event.getType() === EventType.RoomMessage && event.getContent()['body'] === 'while you were away',
    )
  })
  again.stopClient()
})

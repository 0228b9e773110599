/**
 * A stock client sets up cross-signing, secret storage and key backup; another user sees the identity, and a second
 * device of the first reads what was written before it was there.
 */
import type { EventId } from '@plexus/core'
import type { CryptoCallbacks } from 'matrix-js-sdk/lib/crypto-api/index.js'
import { CryptoEvent } from 'matrix-js-sdk/lib/crypto-api/index.js'
import type { MatrixClient } from 'matrix-js-sdk'
import { ClientEvent, MatrixEventEvent, MsgType, Preset, RoomEvent, RoomStateEvent } from 'matrix-js-sdk'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { TestNode } from '../kit/node.ts'
import type { ClientPair } from '../kit/stock-client.ts'
import { createClientPair } from '../kit/stock-client.ts'

const TIMEOUT = 60_000

let pair: ClientPair
let first: TestNode
let second: TestNode

beforeEach(async () => {
  pair = await createClientPair()
  ;({ first, second } = pair)
})
afterEach(() => pair.close())

function cryptoOf(client: MatrixClient) {
  const crypto = client.getCrypto()
  if (crypto === undefined) throw new Error('the client has no crypto')
  return crypto
}

/** Resolves once `holds` does; asks again after each of the client's events. */
function until(client: MatrixClient, holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (holds()) resolve()
    }
    client.on(ClientEvent.Sync, look)
    client.on(RoomEvent.Timeline, look)
    client.on(RoomStateEvent.Events, look)
    client.on(MatrixEventEvent.Decrypted, look)
    look()
  })
}

it('sets up and uses cross-signing, secret storage and key backup', { timeout: TIMEOUT }, async () => {
  const storage = new Map<string, Uint8Array<ArrayBuffer>>()
  const callbacks: CryptoCallbacks = {
    cacheSecretStorageKey: (keyId, _info, key) => void storage.set(keyId, key),
    getSecretStorageKey: ({ keys }) => {
      const [keyId, key] = [...storage].find(([id]) => Object.hasOwn(keys, id)) ?? []
      return Promise.resolve(keyId === undefined || key === undefined ? null : [keyId, key])
    },
  }
  const alice = await pair.start(first, 'alice', 'register', callbacks)
  const bob = await pair.start(second, 'bob', 'register')
  const { room_id: roomId } = await alice.createRoom({
    preset: Preset.PrivateChat,
    initial_state: [
      { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
    ],
  })
  await alice.invite(roomId, bob.getSafeUserId())
  await until(bob, () => bob.getRoom(roomId)?.getMyMembership() === 'invite')
  await bob.joinRoom(roomId)
  await until(alice, () => alice.getRoom(roomId)?.getMember(bob.getSafeUserId())?.membership === 'join')

  // Alice makes her identity and keeps its secrets with her node.
  const keys = cryptoOf(alice)
  await keys.bootstrapCrossSigning({
    authUploadDeviceSigningKeys: (request) => request(null).then(() => undefined),
  })
  await keys.bootstrapSecretStorage({
    setupNewSecretStorage: true,
    setupNewKeyBackup: true,
    createSecretStorageKey: () => keys.createRecoveryKeyFromPassphrase(),
  })
  expect(await keys.isCrossSigningReady()).toBe(true)

  // Bob, on the other node, sees it.
  expect(await cryptoOf(bob).userHasCrossSigningKeys(alice.getSafeUserId(), true)).toBe(true)
  const status = await cryptoOf(bob).getDeviceVerificationStatus(
    alice.getSafeUserId(),
    alice.getDeviceId() ?? '',
  )
  expect(status?.signedByOwner).toBe(true)

  // What Alice writes is read by Bob, and its key goes into the backup.
  const backedUp = new Promise<void>((resolve) => {
    alice.on(CryptoEvent.KeyBackupSessionsRemaining, (remaining) => {
      if (remaining === 0) resolve()
    })
  })
  const { event_id: eventId } = await alice.sendMessage(roomId, {
    msgtype: MsgType.Text,
    body: 'kept for later',
  })
  const textAt = (client: MatrixClient): unknown =>
    client.getRoom(roomId)?.findEventById(eventId)?.getContent()['body']
  await until(bob, () => textAt(bob) === 'kept for later')
  await backedUp
  const { users } = first.engine
  const backup = await users.backups.version(first.userId('alice'))
  expect(backup.count).toBeGreaterThan(0)

  // A second device of Alice gets the secrets from storage and the key from the backup.
  const later = await pair.start(first, 'alice', 'login', callbacks)
  const laterKeys = cryptoOf(later)
  await laterKeys.bootstrapCrossSigning({})
  await laterKeys.loadSessionBackupPrivateKeyFromSecretStorage()
  await laterKeys.checkKeyBackupAndEnable()
  expect(await laterKeys.restoreKeyBackup()).toMatchObject({ total: backup.count, imported: backup.count })
  await until(later, () => textAt(later) === 'kept for later')
  const own = await laterKeys.getDeviceVerificationStatus(later.getSafeUserId(), later.getDeviceId() ?? '')
  expect(own?.crossSigningVerified).toBe(true)

  // The nodes hold none of it in the clear.
  for (const { engine } of [first, second]) {
    expect(JSON.stringify(await engine.rooms.event(eventId as EventId))).not.toContain('kept for later')
  }
})

it('keeps media that a client uploads', { timeout: TIMEOUT }, async () => {
  const alice = await pair.start(first, 'alice', 'register')
  const bob = await pair.start(second, 'bob', 'register')
  const bytes = new Uint8Array(100_000).map((_, index) => index % 251)
  const { content_uri: uri } = await alice.uploadContent(new Blob([bytes]), {
    type: 'image/png',
    name: 'a.png',
  })
  const url = bob.mxcUrlToHttp(uri, undefined, undefined, undefined, false, true, true) ?? ''
  const headers = { Authorization: `Bearer ${bob.getAccessToken() ?? ''}` }
  const answer = await second.clientApi(new Request(url, { headers }))
  expect(answer.headers.get('content-type')).toBe('image/png')
  expect(new Uint8Array(await answer.arrayBuffer())).toEqual(bytes)
})

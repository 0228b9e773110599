/**
 * matrix-js-sdk with Rust crypto on a headless node over HTTP: what people and their devices do to read each other,
 * with every answer compared with the specification.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MatrixClient } from 'matrix-js-sdk'
import { MsgType, Preset } from 'matrix-js-sdk'
import type { CryptoCallbacks, VerificationRequest, Verifier } from 'matrix-js-sdk/lib/crypto-api/index.js'
import {
  CryptoEvent,
  VerificationPhase,
  VerificationRequestEvent,
  VerifierEvent,
} from 'matrix-js-sdk/lib/crypto-api/index.js'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startNodeApp, type NodeApp } from '../kit/node-app.ts'
import { cryptoOf, startStockClient, until, type StockClientInit } from '../kit/stock-client.ts'
import { validatedFetch, type ValidatedFetch } from '../kit/validated-fetch.ts'

let data = ''
let node: NodeApp
let http: ValidatedFetch
const clients: MatrixClient[] = []

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'plexus-node-'))
  node = await startNodeApp(data, ['--registration', 'open'])
  http = validatedFetch(fetch)
})
afterAll(async () => {
  for (const client of clients) client.stopClient()
  await node.stop()
  rmSync(data, { recursive: true, force: true })
})

async function start(
  localpart: string,
  kind: StockClientInit['kind'],
  cryptoCallbacks: CryptoCallbacks = {},
  sliding = false,
): Promise<MatrixClient> {
  const client = await startStockClient({
    baseUrl: node.clientApi.replace(/\/$/, ''),
    fetchFn: http.fetch,
    localpart,
    kind,
    cryptoCallbacks,
    sliding,
  })
  clients.push(client)
  return client
}

/** What a person remembers of secret storage, on all devices. */
function recoveryKey(): CryptoCallbacks {
  const known = new Map<string, Uint8Array<ArrayBuffer>>()
  return {
    cacheSecretStorageKey: (keyId, _info, key) => void known.set(keyId, key),
    getSecretStorageKey: ({ keys }) => {
      const [keyId, key] = [...known].find(([id]) => Object.hasOwn(keys, id)) ?? []
      return Promise.resolve(keyId === undefined || key === undefined ? null : [keyId, key])
    },
  }
}

/** Makes the account's identity, keeps its secrets at the node, and begins a backup of room keys. */
async function setUpIdentity(client: MatrixClient): Promise<void> {
  const keys = cryptoOf(client)
  await keys.bootstrapCrossSigning({
    authUploadDeviceSigningKeys: (request) => request(null).then(() => undefined),
  })
  await keys.bootstrapSecretStorage({
    setupNewSecretStorage: true,
    setupNewKeyBackup: true,
    createSecretStorageKey: () => keys.createRecoveryKeyFromPassphrase(),
  })
  expect(await keys.isCrossSigningReady()).toBe(true)
  expect(await keys.isSecretStorageReady()).toBe(true)
}

async function encryptedRoom(alice: MatrixClient, bob: MatrixClient): Promise<string> {
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
  return roomId
}

/** Sends a text and waits until the other client has decrypted it. */
async function tell(from: MatrixClient, to: MatrixClient, roomId: string, body: string): Promise<string> {
  const { event_id: eventId } = await from.sendMessage(roomId, { msgtype: MsgType.Text, body })
  await until(to, () => textAt(to, roomId, eventId) === body)
  return eventId
}

const textAt = (client: MatrixClient, roomId: string, eventId: string): unknown =>
  client.getRoom(roomId)?.findEventById(eventId)?.getContent()['body']

function reached(request: VerificationRequest, phase: VerificationPhase): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (request.phase === VerificationPhase.Cancelled) reject(new Error('the verification was cancelled'))
      else if (request.phase >= phase) resolve()
    }
    request.on(VerificationRequestEvent.Change, look)
    look()
  })
}

/** The emoji that a person sees, and what says that they are the same. */
function shown(verifier: Verifier): Promise<{ emoji: string; confirm: () => Promise<void> }> {
  return new Promise((resolve) => {
    verifier.on(VerifierEvent.ShowSas, (callbacks) =>
      resolve({
        emoji: (callbacks.sas.emoji ?? []).map(([emoji]) => emoji).join(''),
        confirm: () => callbacks.confirm(),
      }),
    )
  })
}

/** Two clients compare emoji. spec: client-server-api "Short Authentication String (SAS) verification" */
async function verifyBySas(ask: () => Promise<VerificationRequest>, other: MatrixClient): Promise<void> {
  const incoming = new Promise<VerificationRequest>((resolve) => {
    other.on(CryptoEvent.VerificationRequestReceived, resolve)
  })
  const request = await ask()
  const received = await incoming
  await received.accept()
  await reached(request, VerificationPhase.Ready)
  const starter = await request.startVerification('m.sas.v1')
  const starterSees = shown(starter)
  const done = [starter.verify()]
  await reached(received, VerificationPhase.Started)
  const { verifier: answerer } = received
  if (answerer === undefined) throw new Error('a started verification has no verifier')
  const answererSees = shown(answerer)
  done.push(answerer.verify())
  const [first, second] = await Promise.all([starterSees, answererSees])
  expect(first.emoji).not.toBe('')
  expect(first.emoji).toBe(second.emoji)
  await Promise.all([first.confirm(), second.confirm()])
  await Promise.all(done)
  await Promise.all([request, received].map((each) => reached(each, VerificationPhase.Done)))
}

/** Resolves once the client takes the other's identity for verified, which it learns from the node's copy of its signature. */
async function trusts(client: MatrixClient, other: MatrixClient): Promise<void> {
  const userId = other.getSafeUserId()
  for (;;) {
    const changed = new Promise((resolve) => {
      client.once(CryptoEvent.UserTrustStatusChanged, resolve)
    })
    if ((await cryptoOf(client).getUserVerificationStatus(userId)).isCrossSigningVerified()) return
    await changed
  }
}

it('lets people encrypt, verify each other and add devices', async () => {
  const aliceKnows = recoveryKey()
  const alice = await start('alice', 'register', aliceKnows)
  const bob = await start('bob', 'register', recoveryKey())
  await setUpIdentity(alice)
  await setUpIdentity(bob)
  const roomId = await encryptedRoom(alice, bob)
  const backedUp = new Promise<void>((resolve) => {
    alice.on(CryptoEvent.KeyBackupSessionsRemaining, (remaining) => {
      if (remaining === 0) resolve()
    })
  })
  const eventId = await tell(alice, bob, roomId, 'kept for later')
  await tell(bob, alice, roomId, 'hello Alice')
  await backedUp

  await verifyBySas(() => cryptoOf(alice).requestVerificationDM(bob.getSafeUserId(), roomId), bob)
  await Promise.all([trusts(alice, bob), trusts(bob, alice)])

  // A second device signs itself with the secrets from storage, and gets the keys of what was written before it.
  const later = await start('alice', 'login', aliceKnows)
  const keys = cryptoOf(later)
  // The client knows its own user's identity once it has asked for it, which a new session does in the background.
  expect(await keys.userHasCrossSigningKeys(later.getSafeUserId(), true)).toBe(true)
  await keys.bootstrapCrossSigning({})
  await keys.loadSessionBackupPrivateKeyFromSecretStorage()
  await keys.checkKeyBackupAndEnable()
  const { total, imported } = await keys.restoreKeyBackup()
  expect(total).toBeGreaterThan(0)
  expect(imported).toBe(total)
  await until(later, () => textAt(later, roomId, eventId) === 'kept for later')
  const own = await keys.getDeviceVerificationStatus(later.getSafeUserId(), later.getDeviceId() ?? '')
  expect(own?.crossSigningVerified).toBe(true)

  // A third asks the first, which shows the same emoji and signs it.
  const third = await start('alice', 'login')
  await verifyBySas(() => cryptoOf(third).requestOwnUserVerification(), alice)
  await tell(bob, third, roomId, 'hello all of Alice')
  const status = await cryptoOf(bob).getDeviceVerificationStatus(
    alice.getSafeUserId(),
    third.getDeviceId() ?? '',
  )
  expect(status?.crossSigningVerified).toBe(true)

  expect(http.problems).toEqual([])
  for (const client of clients) client.stopClient()
  // The node keeps none of it in the clear.
  for (const file of readdirSync(data, { recursive: true, withFileTypes: true }).filter((each) =>
    each.isFile(),
  ))
    expect(readFileSync(join(file.parentPath, file.name)).includes('kept for later')).toBe(false)
})

it('lets a client with sliding sync talk to one without', async () => {
  const ellen = await start('ellen', 'register', {}, true)
  const frank = await start('frank', 'register')
  const roomId = await encryptedRoom(ellen, frank)
  await tell(ellen, frank, roomId, 'from a window')
  await tell(frank, ellen, roomId, 'into a window')
  const back = await encryptedRoom(frank, ellen)
  await tell(frank, ellen, back, 'by invitation')
  expect(ellen.getRoom(roomId)?.getJoinedMemberCount()).toBe(2)
  expect(http.asked).toContain('POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync')
  expect(http.problems).toEqual([])
})

it('keeps media that a client uploads', async () => {
  const carol = await start('carol', 'register')
  const dave = await start('dave', 'register')
  const bytes = new Uint8Array(100_000).map((_, index) => index % 251)
  const { content_uri: uri } = await carol.uploadContent(new Blob([bytes]), {
    type: 'image/png',
    name: 'a.png',
  })
  const url = dave.mxcUrlToHttp(uri, undefined, undefined, undefined, false, true, true) ?? ''
  const headers = { Authorization: `Bearer ${dave.getAccessToken() ?? ''}` }
  const answer = await http.fetch(url, { headers })
  expect(answer.headers.get('content-type')).toBe('image/png')
  expect(new Uint8Array(await answer.arrayBuffer())).toEqual(bytes)
  expect(http.problems).toEqual([])
})

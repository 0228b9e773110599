/** matrix-js-sdk with Rust crypto. */
import type { MatrixClient } from 'matrix-js-sdk'
import { ClientEvent, createClient, MatrixEventEvent, RoomEvent, RoomStateEvent } from 'matrix-js-sdk'
import type { CryptoApi, CryptoCallbacks } from 'matrix-js-sdk/lib/crypto-api/index.js'
import type { Logger } from 'matrix-js-sdk/lib/logger.js'
import { SlidingSync } from 'matrix-js-sdk/lib/sliding-sync.js'
import type { Loopback } from './loopback.ts'
import { createLoopback } from './loopback.ts'
import type { TestNode } from './node.ts'
import { createTestNode } from './node.ts'
import { realClock } from './real-clock.ts'

export const PASSWORD = 'correct horse battery staple'

/** The client's log is of no use in a test's output. */
const silent: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  getChild: () => silent,
}

export type ClientPair = {
  readonly loopback: Loopback
  readonly first: TestNode
  readonly second: TestNode
  /** Registers on the node; the client is synced and has crypto. */
  start(node: TestNode, localpart: string): Promise<MatrixClient>
  close(): Promise<void>
}

/** Two nodes in this process, and the clients that are started on them. */
export async function createClientPair(): Promise<ClientPair> {
  const loopback = createLoopback({ clock: realClock })
  const first = await createTestNode({ loopback, clock: realClock, seed: 1 })
  const second = await createTestNode({ loopback, clock: realClock, seed: 2 })
  const clients: MatrixClient[] = []
  return {
    loopback,
    first,
    second,
    async start({ clientApi }, localpart) {
      const client = await startStockClient({
        baseUrl: 'http://node.invalid',
        fetchFn: (input, init) => clientApi(new Request(input, init)),
        localpart,
        kind: 'register',
      })
      clients.push(client)
      return client
    },
    async close() {
      for (const client of clients) client.stopClient()
      await first.close()
      await second.close()
    },
  }
}

export type StockClientInit = {
  readonly baseUrl: string
  readonly fetchFn: typeof fetch
  readonly localpart: string
  /** `login` is to an account that is there. */
  readonly kind: 'register' | 'login'
  readonly cryptoCallbacks?: CryptoCallbacks
  /** By its sliding-sync client, with all rooms in one list. */
  readonly sliding?: boolean
}

/** A client of a new session, synced and with crypto; `stopClient` ends it. */
export async function startStockClient(init: StockClientInit): Promise<MatrixClient> {
  const { baseUrl, fetchFn, localpart, kind, cryptoCallbacks = {} } = init
  const base = { baseUrl, fetchFn, logger: silent }
  const guest = createClient(base)
  const account =
    kind === 'login'
      ? await guest.loginRequest({
          type: 'm.login.password',
          identifier: { type: 'm.id.user', user: localpart },
          password: PASSWORD,
        })
      : await guest.registerRequest({
          username: localpart,
          password: PASSWORD,
          auth: { type: 'm.login.dummy' },
        })
  const client = createClient({
    ...base,
    cryptoCallbacks,
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
  const sliding = init.sliding === true ? { slidingSync: slidingSyncOf(client, baseUrl) } : {}
  await client.startClient({ lazyLoadMembers: true, initialSyncLimit: 20, ...sliding })
  await ready
  return client
}

function slidingSyncOf(client: MatrixClient, baseUrl: string): SlidingSync {
  const room = {
    timeline_limit: 20,
    required_state: [
      ['m.room.member', '$ME'],
      ['m.room.member', '$LAZY'],
      ['*', ''],
    ],
  }
  return new SlidingSync(baseUrl, new Map([['all', { ...room, ranges: [[0, 99]] }]]), room, client, 30_000)
}

export function cryptoOf(client: MatrixClient): CryptoApi {
  const crypto = client.getCrypto()
  if (crypto === undefined) throw new Error('the client has no crypto')
  return crypto
}

/** Resolves once `holds` does; asks again after each of the client's events. */
export function until(client: MatrixClient, holds: () => boolean): Promise<void> {
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

/** matrix-js-sdk with Rust crypto on test nodes of one process. */
import type { MatrixClient } from 'matrix-js-sdk'
import { ClientEvent, createClient } from 'matrix-js-sdk'
import type { CryptoCallbacks } from 'matrix-js-sdk/lib/crypto-api/index.js'
import type { Logger } from 'matrix-js-sdk/lib/logger.js'
import type { Loopback } from './loopback.ts'
import { createLoopback } from './loopback.ts'
import type { TestNode } from './node.ts'
import { createTestNode } from './node.ts'
import { realClock } from './real-clock.ts'

const PASSWORD = 'correct horse battery staple'

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
  /** Registers, or logs in to an account that is there; the client is synced and has crypto. */
  start(
    node: TestNode,
    localpart: string,
    kind: 'register' | 'login',
    cryptoCallbacks?: CryptoCallbacks,
  ): Promise<MatrixClient>
  close(): Promise<void>
}

/** Two nodes, and the clients that are started on them. */
export async function createClientPair(): Promise<ClientPair> {
  const loopback = createLoopback({ clock: realClock })
  const first = await createTestNode({ loopback, clock: realClock, seed: 1 })
  const second = await createTestNode({ loopback, clock: realClock, seed: 2 })
  const clients: MatrixClient[] = []
  return {
    loopback,
    first,
    second,
    async start(node, localpart, kind, cryptoCallbacks = {}) {
      const client = await startClient(node, localpart, kind, cryptoCallbacks)
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

async function startClient(
  { clientApi }: TestNode,
  localpart: string,
  kind: 'register' | 'login',
  cryptoCallbacks: CryptoCallbacks,
): Promise<MatrixClient> {
  const fetchFn = (input: RequestInfo | URL, init?: RequestInit): Promise<Response> =>
    clientApi(new Request(input, init))
  const base = { baseUrl: 'http://node.invalid', fetchFn, logger: silent }
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
  await client.startClient({ lazyLoadMembers: true, initialSyncLimit: 20 })
  await ready
  return client
}

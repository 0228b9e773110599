/** matrix-js-sdk on the node of this browser. The node's store is the only copy, so nothing is kept here. */
import {
  ClientEvent,
  Filter,
  MatrixClient,
  MatrixError,
  MatrixScheduler,
  MemoryStore,
  PendingEventOrdering,
  sdkLogger,
  SyncState,
  type Logger,
} from './sdk.ts'
import type { Session } from '@plexus/engine/ports'
import { clock } from '../shared/platform.ts'
import { NODE_URL } from './node-fetch.ts'
import { isSdkCrypto, quieten } from './quiet-crypto.ts'

/** Events of each room in the first sync. */
const INITIAL_EVENTS = 30
/**
 * Events of each room in every later sync. Where there are more, matrix-js-sdk begins a new timeline, which the screen
 * has to fill again.
 */
const LATER_EVENTS = 500
const POLL_TIMEOUT_MS = 30_000

const nothing = (): void => undefined

/** matrix-js-sdk tells every request; only what may need attention is of interest here. */
const quiet: Logger = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: (...parts: unknown[]) => console.warn(...parts),
  error: (...parts: unknown[]) => console.error(...parts),
  getChild: () => quiet,
}

/** That of the parts of matrix-js-sdk which do not know of the client's. */
function hasLevel(logger: object): logger is { setLevel(level: 'warn', persist: boolean): void } {
  return 'setLevel' in logger && typeof logger.setLevel === 'function'
}

/** A client whose crypto is ready, not syncing yet. */
export async function openClient(session: Session, nodeFetch: typeof fetch): Promise<MatrixClient> {
  if (hasLevel(sdkLogger)) sdkLogger.setLevel('warn', false)
  const client = new MatrixClient({
    baseUrl: NODE_URL,
    userId: session.userId,
    deviceId: session.deviceId,
    accessToken: session.accessToken,
    fetchFn: nodeFetch,
    store: new MemoryStore(),
    scheduler: new MatrixScheduler(),
    logger: quiet,
    disableVoip: true,
  })
  await client.initRustCrypto()
  const crypto = client.getCrypto()
  if (isSdkCrypto(crypto)) quieten(crypto, clock)
  return client
}

/** Resolves after the first sync, from which on the rooms are complete. */
export async function startClient(client: MatrixClient): Promise<void> {
  const prepared = new Promise<void>((resolve) => {
    const look = (state: SyncState): void => {
      if (state !== SyncState.Prepared && state !== SyncState.Syncing) return
      client.off(ClientEvent.Sync, look)
      resolve()
    }
    client.on(ClientEvent.Sync, look)
  })
  const filter = new Filter(client.getUserId())
  filter.setTimelineLimit(LATER_EVENTS)
  filter.setUnreadThreadNotifications(true)
  await client.startClient({
    filter,
    initialSyncLimit: INITIAL_EVENTS,
    lazyLoadMembers: true,
    pollTimeout: POLL_TIMEOUT_MS,
    disablePresence: true,
    // The end of the timeline is what the node ordered; what it has not taken yet stands after it.
    pendingEventOrdering: PendingEventOrdering.Detached,
  })
  await prepared
}

/** Makes the cross-signing keys of a new account, so that its devices can be told from strangers'. */
export async function makeCrossSigning(client: MatrixClient): Promise<void> {
  const crypto = client.getCrypto()
  if (crypto === undefined || (await crypto.isCrossSigningReady())) return
  await crypto.bootstrapCrossSigning({
    authUploadDeviceSigningKeys: async (makeRequest) => makeRequest(null),
  })
}

/** For ever: the node then tells relays and contacts. spec: client-server-api "Account deactivation" */
export async function closeAccount(client: MatrixClient): Promise<void> {
  try {
    await client.deactivateAccount()
  } catch (error) {
    // An account without a password proves itself by its access token: the stage is a dummy.
    const session = error instanceof MatrixError ? error.data['session'] : undefined
    if (typeof session !== 'string') throw error
    await client.deactivateAccount({ type: 'm.login.dummy', session })
  }
}

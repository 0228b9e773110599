import type { Logger } from 'pino'
import { addressToOpen, isLoopback, isWildcard } from './addresses.ts'
import { openDataFolder } from './data-folder.ts'
import { DEFAULT_PORT, type Flags } from './flags.ts'
import { close, createServer, listen, readTls } from './listen.ts'
import { createSite, type NetworkConfig } from './site.ts'
import { readSnapshot } from './snapshot.ts'

/** A running relay. Its port is open until it is disposed of. */
export interface RelayApp extends AsyncDisposable {
  /** Where to open the web app. */
  readonly address: string
}

/**
 * Starts the relay and serves the app that `build` answers with, a folder.
 * @throws StartError for what the person who started it can mend.
 */
export async function startRelayApp(
  deps: { readonly log: Logger; readonly build: () => Promise<string> },
  flags: Flags,
): Promise<RelayApp> {
  const { log } = deps
  const data = openDataFolder(flags.data)
  const tls = flags.tls === undefined ? undefined : readTls(flags.tls)
  const assets = readSnapshot(await deps.build())
  const network = (): NetworkConfig => ({ relays: [], iceServers: [] })
  const reachesLoopback = isWildcard(flags.host) || flags.host === '127.0.0.1'
  const redirectLocalhost = reachesLoopback && tls === undefined && flags.publicUrl === undefined
  const server = createServer(tls, createSite({ assets, network, redirectLocalhost }))
  const port = await listen(server, flags.host, flags.port ?? data.port ?? DEFAULT_PORT)
  data.rememberPort(port)
  if (data.port !== undefined && data.port !== port) {
    log.warn(
      `the port was ${data.port} before: accounts made at that address are only there, --port ${data.port}`,
    )
  }
  if (!isLoopback(flags.host) && tls === undefined && flags.publicUrl === undefined) {
    log.warn('browsers on other machines need HTTPS: give --tls-cert and --tls-key, or --public-url')
  }
  const address = addressToOpen({ ...flags, port, secure: tls !== undefined })
  log.info({ address, data: data.path }, 'started')
  return {
    address,
    async [Symbol.asyncDispose]() {
      await close(server)
      log.info('stopped')
    },
  }
}

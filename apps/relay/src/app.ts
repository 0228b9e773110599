import type { IncomingMessage } from 'node:http'
import type { MailStore, Relay } from '@plexus/relay'
import {
  acquireDataFolder,
  type Address,
  createServer,
  listen,
  listenToOperator,
  portOf,
  readTls,
} from '@plexus/daemon'
import type { Logger } from 'pino'
import { addressToOpen, isLoopback, isWildcard } from './addresses.ts'
import { type DataFolder, openDataFolder } from './data-folder.ts'
import { DEFAULT_PORT, type Flags } from './flags.ts'
import { openMail } from './mail.ts'
import { createRelayFigures } from './metrics.ts'
import { startRelayNode } from './relay-node.ts'
import { createSite, type NetworkConfig } from './site.ts'
import { readSnapshot } from './snapshot.ts'

/** A running relay. Its port is open until it is disposed of. */
export interface RelayApp extends AsyncDisposable {
  /** Where to open the web app. */
  readonly address: string
  /** Port of `/health`, `/ready` and `/metrics`; absent where they are not served. */
  readonly adminPort: number | undefined
}

type Deps = {
  readonly log: Logger
  /** Builds the web app; answers with the folder that it is in. */
  readonly build: () => Promise<string>
}

/** Two relays with one identity would each get half of what is meant for it. */
function lock(data: DataFolder, port: number): Promise<AsyncDisposable> {
  const what = port === data.port ? `port ${port} is taken: a relay` : 'a relay'
  const advice = 'stop it, or give this one its own --port and --data'
  return acquireDataFolder(data.path, `${what} already runs on the data folder ${data.path}; ${advice}`)
}

/** WebSockets live at `/`. */
const mayUpgrade = ({ url = '' }: IncomingMessage): boolean => url === '/' || url.startsWith('/?')

function operatorInit(
  address: Address,
  relay: Relay,
  mail: MailStore | undefined,
): Parameters<typeof listenToOperator>[0] {
  return {
    address,
    title: 'Plexus relay',
    flag: '--admin',
    figures: createRelayFigures(relay),
    problem: () => mail?.failure?.message,
  }
}

function warn(log: Logger, flags: Flags, before: number | undefined, port: number): void {
  if (before !== undefined && before !== port) {
    log.warn(`the port was ${before} before: accounts made at that address are only there, --port ${before}`)
  }
  if (!isLoopback(flags.host) && flags.tls === undefined && flags.publicUrl === undefined) {
    log.warn('browsers on other machines need HTTPS: give --tls-cert and --tls-key, or --public-url')
  }
}

/** A page can dial WebSockets only. */
function isForBrowsers(peer: string): boolean {
  return /\/wss?\//.test(peer)
}

/** @throws StartError for what the person who started it can mend. */
export async function startRelayApp(deps: Deps, flags: Flags): Promise<RelayApp> {
  await using started = new AsyncDisposableStack()
  const data = openDataFolder(flags.data)
  const wanted = flags.port ?? data.port ?? DEFAULT_PORT
  started.use(await lock(data, wanted))
  const tls = flags.tls === undefined ? undefined : readTls(flags.tls)
  const assets = readSnapshot(await deps.build())
  let relay: Relay | undefined
  const network = (requested: string): NetworkConfig | undefined =>
    relay && {
      // With the others a node has mailboxes at more than one relay, and goes on when this one is away.
      relays: [...relay.multiaddrs(flags.publicUrl?.href ?? requested), ...flags.peers.filter(isForBrowsers)],
      iceServers: [],
    }
  const reachesLoopback = isWildcard(flags.host) || flags.host === '127.0.0.1'
  const redirectLocalhost = reachesLoopback && tls === undefined && flags.publicUrl === undefined
  const web = createServer(createSite({ assets, network, redirectLocalhost }), { tls, mayUpgrade })
  const port = await listen(web.server, {
    host: flags.host,
    port: wanted,
    flags: { host: '--host', port: '--port' },
  })
  started.use(web)
  const mail = flags.mail && (await openMail(flags.mail, { log: portOf(deps.log), folder: data.path }))
  if (mail !== undefined) started.use(mail.store)
  const address = addressToOpen({ ...flags, port, secure: tls !== undefined })
  relay = started.use(
    await startRelayNode(deps.log, {
      server: web.server,
      folder: data.path,
      publicUrl: address,
      peers: flags.peers,
      ...(mail === undefined ? {} : { mail }),
    }),
  )
  const admin = flags.admin && (await listenToOperator(operatorInit(flags.admin, relay, mail?.store)))
  if (admin !== undefined) started.use(admin)
  data.rememberPort(port)
  warn(deps.log, flags, data.port, port)
  deps.log.info({ address, data: data.path }, 'started')
  const running = started.move()
  return {
    address,
    adminPort: admin?.port,
    async [Symbol.asyncDispose]() {
      await running.disposeAsync()
      deps.log.info('stopped')
    },
  }
}

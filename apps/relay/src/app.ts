import type { IncomingMessage, RequestListener } from 'node:http'
import type { MailStore, Relay } from '@plexus/relay'
import {
  acquireDataFolder,
  type Address,
  clock,
  createServer,
  listen,
  listenToOperator,
  portOf,
  readTls,
  type Tls,
  watchTls,
  type WebServer,
} from '@plexus/daemon'
import type { Logger } from 'pino'
import { type AcmeCertificate, openAcme } from './acme.ts'
import { addressToOpen, isLoopback, isWildcard } from './addresses.ts'
import { type DataFolder, openDataFolder } from './data-folder.ts'
import { DEFAULT_PORT, type Flags } from './flags.ts'
import { openMail } from './mail.ts'
import { createRelayFigures } from './metrics.ts'
import { startRelayNode } from './relay-node.ts'
import { createSite, type NetworkConfig } from './site.ts'
import { readSnapshot } from './snapshot.ts'
import { createClientOf } from './trusted-proxies.ts'

/** A running relay. Its port is open until it is disposed of. */
export interface RelayApp extends AsyncDisposable {
  /** Where to open the web app. */
  readonly address: string
  /** Port of `/health`, `/ready` and `/metrics`; absent where they are not served. */
  readonly adminPort: number | undefined
  /** Reads the certificate anew. */
  reload(): void
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

/** The server, whose certificate changes while it runs. */
interface SecureServer extends Disposable {
  readonly web: WebServer
  /** What others call it by. */
  readonly name: string | undefined
  /** Once it listens. */
  start(): void
  reload(): void
}

async function createSecureServer(
  { log }: Deps,
  { tls: files, acme }: Flags,
  { folder, listener }: { readonly folder: string; readonly listener: RequestListener },
): Promise<SecureServer> {
  const changed = (tls: Tls): void => web.useTls(tls)
  const port = portOf(log)
  const own = acme && (await openAcme({ clock, log: port, folder, changed }, acme))
  const tls = own?.tls ?? (files && readTls(files))
  const alpn = own && ((...hello: Parameters<AcmeCertificate['answer']>) => own.answer(...hello))
  const web = createServer(listener, { tls, mayUpgrade, alpn })
  const watch = files && watchTls(files, { log: port, changed })
  return {
    web,
    name: acme?.name,
    start: () => own?.start(),
    reload: () => watch?.look(),
    [Symbol.dispose]() {
      own?.[Symbol.dispose]()
      watch?.[Symbol.dispose]()
    },
  }
}

function warn(log: Logger, flags: Flags, before: number | undefined, port: number): void {
  if (before !== undefined && before !== port) {
    log.warn(`the port was ${before} before: accounts made at that address are only there, --port ${before}`)
  }
  if (!isLoopback(flags.host) && (flags.tls ?? flags.acme ?? flags.publicUrl) === undefined) {
    log.warn('browsers on other machines need HTTPS: give --acme, --tls-cert and --tls-key, or --public-url')
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
  const assets = readSnapshot(await deps.build())
  let relay: Relay | undefined
  const network = (requested: string): NetworkConfig | undefined =>
    relay && {
      // With the others a node has mailboxes at more than one relay, and goes on when this one is away.
      relays: [...relay.multiaddrs(publicUrl?.href ?? requested), ...flags.peers.filter(isForBrowsers)],
      iceServers: [],
    }
  const reachesLoopback = isWildcard(flags.host) || flags.host === '127.0.0.1'
  const redirectLocalhost = reachesLoopback && (flags.tls ?? flags.acme ?? flags.publicUrl) === undefined
  const listener = createSite({ assets, network, redirectLocalhost })
  const secure = started.use(await createSecureServer(deps, flags, { folder: data.path, listener }))
  const { web } = secure
  const port = await listen(web.server, {
    host: flags.host,
    port: wanted,
    flags: { host: '--host', port: '--port' },
  })
  started.use(web)
  secure.start()
  const publicUrl =
    flags.publicUrl ?? (secure.name === undefined ? undefined : new URL(`https://${secure.name}:${port}`))
  const mail = flags.mail && (await openMail(flags.mail, { log: portOf(deps.log), folder: data.path }))
  if (mail !== undefined) started.use(mail.store)
  const address = addressToOpen({ host: flags.host, port, publicUrl, secure: flags.tls !== undefined })
  relay = started.use(
    await startRelayNode(deps.log, {
      server: web.server,
      folder: data.path,
      publicUrl: address,
      peers: flags.peers,
      clientOf: createClientOf(flags.trustedProxies),
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
    reload: () => secure.reload(),
    async [Symbol.asyncDispose]() {
      await running.disposeAsync()
      deps.log.info('stopped')
    },
  }
}

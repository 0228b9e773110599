/** A full node: store, engine, both APIs and the network, put together. */
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { ServerName } from '@plexus/core'
import { isKeyName } from '@plexus/core/names'
import { createClientApi, UNLIMITED } from '@plexus/client-api'
import {
  acquireDataFolder,
  clock,
  createOutbound,
  listenToOperator,
  openDataFolder,
  portOf,
  renewPlace,
  StartError,
  type App,
} from '@plexus/daemon'
import {
  createEngine,
  createSealer,
  createVerifier,
  MIGRATIONS,
  watchPeers,
  type Engine,
} from '@plexus/engine'
import type { Carrier, Directory, InboundHandler, Log, Mailboxes, Random, Store } from '@plexus/engine/ports'
import { CarrierError } from '@plexus/engine/ports'
import { mdns } from '@libp2p/mdns'
import { createP2pNode, nodePlatform } from '@plexus/p2p/node'
import type { P2pNode } from '@plexus/p2p'
import { createFederation, createMailHandler, createServerApi } from '@plexus/server-api'
import { openFileBlobs } from '@plexus/store/blobs-files'
import { openSqliteStore } from '@plexus/store/sqlite'
import type { Logger } from 'pino'
import { createCarriers, type CarrierName } from './carriers.ts'
import { hasDnsName, listenToServers, openHttpsCarrier } from './federation-server.ts'
import { loadAppServices } from './app-services.ts'
import type { Config } from './config.ts'
import { loadIdentity, loadRegistrationToken, registrationTokenFile, type Identity } from './identity.ts'
import { mailTokensOf } from './mail-tokens.ts'
import { createMetrics } from './metrics.ts'
import { createPeerMemory } from './peer-memory.ts'
import { createPictures } from './pictures.ts'
import { listenToClients } from './servers.ts'
import { createPushGateway } from './push-gateway.ts'
import { serviceHttp } from './service-http.ts'
import { scrypt } from './scrypt.ts'
import { turnOf } from './turn.ts'
import { createWebPages } from './web-pages.ts'

const SOFTWARE = { name: 'Plexus', version: '0.1.0' }
/** Accounts of one node. */
const MAX_ACCOUNTS = 100_000

const random: Random = { bytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)) }

/** A running node. */
export interface NodeApp extends App {
  readonly serverName: string
  /** Where clients connect. */
  readonly clientApi: string
  /** Where the operator looks. */
  readonly admin: string
  /** Where other servers connect over HTTPS; absent where they do not. */
  readonly federationPort: number | undefined
  /** The file that the registration token is in; absent where none is asked for. */
  readonly tokenFile: string | undefined
}

/** @throws StartError for what the person who started it can mend. */
export async function startNodeApp(logger: Logger, config: Config): Promise<NodeApp> {
  await using started = new AsyncDisposableStack()
  const folder = openDataFolder(config.data)
  const taken = `a node already runs on the data folder ${folder}: stop it, or give this one its own --data`
  started.use(await acquireDataFolder(folder, taken))
  const log = portOf(logger)
  const identity = await loadIdentity(folder, config.serverName, config.nameSuffix)
  let network: P2pNode | undefined
  let opened: Engine | undefined
  const metrics = createMetrics({ engine: () => opened, p2p: () => network })
  const https = hasDnsName(identity.signer) ? started.use(openHttpsCarrier(config)) : undefined
  const carrier = createCarriers({
    ownName: identity.signer.name,
    p2p: lateCarrier(() => network),
    https,
    sent: metrics.sent,
  })
  const engine = await openEngine({ folder, identity, log, config, carrier, network: () => network })
  opened = engine
  started.defer(() => engine.close())
  if (engine.control.isReplaced()) throw replacedError(engine.serverName)
  const ended = Promise.withResolvers<never>()
  // Who runs the node may not wait for it.
  ended.promise.catch(() => undefined)
  engine.control.watchReplaced(() => ended.reject(replacedError(engine.serverName)))
  network = started.use(await openNetwork({ folder, identity, log, config, engine }))
  const serverApi = serverApiOf(engine, log)
  const servedOver =
    (name: CarrierName): InboundHandler =>
    async (request) => {
      const response = await serverApi(request)
      metrics.served(name, response.status)
      return response
    }
  network.onRequest(servedOver('libp2p'))
  const servers = await listenToServers({ config, signer: identity.signer, handle: servedOver('https'), log })
  if (servers !== undefined) started.use(servers)
  const addresses = new WeakMap<Request, string>()
  const clients = started.use(
    await listenToClients({
      address: config.clientApi,
      trustProxy: config.trustProxy,
      wellKnownServer: config.wellKnownServer,
      federation: servers?.listener,
      clientApi: createClientApi(engine, {
        clientOf: (request) => addresses.get(request) ?? 'unknown',
        ...(config.rateLimits === 'off' ? { rateLimits: UNLIMITED } : {}),
      }),
      seen: (request, address) => void addresses.set(request, address),
      metrics,
    }),
  )
  let problem: string | undefined
  let isFailing = false
  engine.committer.onFailure(({ code, message }) => {
    if (code === 'fenced' || code === 'closed') problem = `the store is ${code}`
    if (!isFailing) log.log('error', 'the store takes nothing', { code, error: message })
    isFailing = true
  })
  engine.committer.onCommit(() => (isFailing = false))
  const operator = started.use(
    await listenToOperator({
      address: config.admin,
      title: 'Plexus node',
      flag: '--admin',
      figures: metrics.figures,
      problem: () => problem,
      pages: { '/reports': () => engine.users.reports.list() },
    }),
  )
  await engine.resume()
  engine.mail?.start(createMailHandler({ ...engine, verifier: createVerifier(globalThis.crypto.subtle) }))
  const address = urlOf(config.clientApi.host, clients.port)
  logger.info({ address, serverName: engine.serverName, data: folder }, 'started')
  const running = started.move()
  return {
    serverName: engine.serverName,
    clientApi: address,
    admin: urlOf(config.admin.host, operator.port),
    federationPort: servers?.port,
    tokenFile: config.registration === 'token' ? registrationTokenFile(folder) : undefined,
    reload: () => servers?.reload(),
    ended: ended.promise,
    async [Symbol.asyncDispose]() {
      await running.disposeAsync()
      logger.info('stopped')
    },
  }
}

function replacedError(name: string): StartError {
  const what = `${name} now runs on another device, which took it over, and this node sends and receives nothing for it any more`
  return new StartError(`${what}: to take it back from there, start once with --take-back`)
}

type Parts = {
  readonly folder: string
  readonly identity: Identity
  readonly log: Log
  readonly config: Config
}

/** libp2p comes up after the engine, which it asks for certificates. */
function lateCarrier(network: () => P2pNode | undefined): Carrier {
  return {
    send: async (request, options) => {
      const p2p = network()
      if (p2p === undefined) throw new CarrierError('unreachable', 'the network is not up')
      return p2p.carrier.send(request, options)
    },
  }
}

function lateMailboxes(network: () => P2pNode | undefined): Mailboxes {
  const up = (): Mailboxes => {
    const p2p = network()
    if (p2p === undefined) throw new CarrierError('unreachable', 'the network is not up')
    return p2p.mailboxes
  }
  return {
    relays: async () => (await network()?.mailboxes.relays()) ?? [],
    register: async (relay, registration) => up().register(relay, registration),
    fetch: async (relay, cursor, end) => up().fetch(relay, cursor, end),
    acknowledge: async (relay, cursor) => up().acknowledge(relay, cursor),
    deposit: async (mailbox, mail, accessKey) => up().deposit(mailbox, mail, accessKey),
    stock: async (relay, shelf, keys) => up().stock(relay, shelf, keys),
    ask: async (mailbox, name, question) => up().ask(mailbox, name, question),
  }
}

async function openEngine(
  parts: Parts & { readonly carrier: Carrier; readonly network: () => P2pNode | undefined },
): Promise<Engine> {
  const { folder, identity, log, config, carrier, network } = parts
  const { signer } = identity
  const { registration: mode } = config
  const { subtle } = globalThis.crypto
  const store = await openStore(join(folder, 'plexus.sqlite'))
  const blobs = await openFileBlobs(join(folder, 'media'))
  const directory: Directory = {
    learn: async (addresses) => network()?.directory.learn(addresses),
    own: async () => (await network()?.directory.own()) ?? [],
    find: async (name) => network()?.directory.find(name),
    findAlias: async (alias) => network()?.directory.findAlias(alias),
    findListing: async (name) => network()?.directory.findListing(name),
    publish: async (record) => network()?.directory.publish(record),
  }
  const federation = (incarnation: string): ReturnType<typeof createFederation> =>
    createFederation({ carrier, signer, clock }, { incarnation })
  const outbound = createOutbound({ allowPrivateAddresses: config.privateAddresses })
  return createEngine(
    {
      store,
      blobs,
      pictures: createPictures(),
      pushGateway: createPushGateway(outbound),
      webPages: config.urlPreviews === 'on' ? createWebPages(outbound) : undefined,
      federation,
      directory,
      mail: isKeyName(signer.name)
        ? { mailboxes: lateMailboxes(network), sealer: createSealer() }
        : undefined,
      signer,
      verifier: createVerifier(subtle),
      clock,
      random,
      log,
      turn: setImmediate,
    },
    {
      users: {
        maxAccounts: MAX_ACCOUNTS,
        admins: config.adminUser,
        turn: turnOf(config),
        scrypt,
        registration: { mode, ...(mode === 'token' ? { token: loadRegistrationToken(folder) } : {}) },
      },
      notaries: config.notary as readonly ServerName[],
      place: renewPlace(folder),
      takeBack: config.takeBack,
      appServices: { http: serviceHttp, registrations: loadAppServices(config.appservice) },
    },
  )
}

/** @throws StartError for a file that is damaged, or of a newer program */
async function openStore(path: string): Promise<Store> {
  try {
    return await openSqliteStore(path, { migrations: MIGRATIONS, check: true })
  } catch (error) {
    const advice = 'keep a copy, then see "A damaged database" in README'
    throw new StartError(`${path} cannot be opened (${(error as Error).message}): ${advice}`, {
      cause: error,
    })
  }
}

function serverApiOf(engine: Engine, log: Log): ReturnType<typeof createServerApi> {
  const { rooms, inbound, keys, serverName, users, roomDirectory } = engine
  return createServerApi({
    serverName,
    rooms,
    inbound,
    queries: users.queries,
    openId: users.openId,
    roomDirectory,
    verifier: createVerifier(globalThis.crypto.subtle),
    keys,
    random,
    clock,
    log,
    heard: (server) => engine.outbox.heard(server),
    software: SOFTWARE,
  })
}

/** What nodes on a local network ask for. */
const MDNS_SERVICE = '_plexus._udp.local'

async function openNetwork(parts: Parts & { readonly engine: Engine }): Promise<P2pNode> {
  const { folder, identity, log, config, engine } = parts
  const { listen, announce, relay, lan } = config
  const neighbours = config.mdns ? { discovery: [mdns({ serviceTag: MDNS_SERVICE })] } : {}
  const p2p = await createP2pNode(
    {
      platform: nodePlatform({ listen, announce, ...neighbours }),
      clock,
      log,
      random,
      memory: createPeerMemory(folder, log),
      certify: (peerId) => engine.control.certify(peerId),
    },
    {
      transportKey: identity.transportKey,
      relays: relay,
      lan,
      mailTokens: mailTokensOf(config.mailTokenFile),
    },
  )
  p2p.watch((event) => {
    if (event.kind === 'appeared') engine.control.peerAppeared(event.name)
    else if (event.kind === 'mail') engine.mail?.arrived(event.relay)
  })
  watchPeers(engine, (names) => p2p.want(names.filter(isKeyName)))
  return p2p
}

const urlOf = (host: string, port: number): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}/`

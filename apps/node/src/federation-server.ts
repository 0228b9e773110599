/** What a node with a DNS name has beside libp2p: requests over HTTPS to other servers, and from them. */
import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import {
  clock,
  createOutbound,
  createReach,
  createServer,
  listen,
  readTls,
  StartError,
  watchTls,
  type Listening,
  type TlsFiles,
} from '@plexus/daemon'
import { isKeyName } from '@plexus/core/names'
import type { InboundHandler, Log, Signer } from '@plexus/engine/ports'
import {
  answerClientError,
  createFederationListener,
  createHttpsCarrier,
  createLookupSrv,
  createResolveMap,
  createServerResolver,
  createWellKnown,
  type HttpsCarrier,
} from '@plexus/gateway'
import type { Config } from './config.ts'
import { clientAddress } from './servers.ts'

/** Time in which a request must have arrived whole: the largest transaction over a slow line. */
const REQUEST_TIMEOUT_MS = 120_000

/** @throws StartError that names the flag. */
export function openHttpsCarrier(config: Config): HttpsCarrier {
  const { privateAddresses: allowPrivateAddresses, federationResolve, federationResolveFile } = config
  const ca = config.ca.map(readAuthority)
  const outbound = createOutbound({ allowPrivateAddresses, ca })
  const resolver = createServerResolver({
    clock,
    wellKnown: createWellKnown(clock, (url, bounds) => outbound.request(url, { ...bounds, httpsOnly: true })),
    lookupSrv: createLookupSrv(),
    map: createResolveMap({ text: federationResolve, file: federationResolveFile }),
  })
  return createHttpsCarrier({ resolver, ...createReach({ allowPrivateAddresses }), ca })
}

function readAuthority(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new StartError(`--ca ${file} cannot be read (${code})`, { cause: error })
  }
}

/** What the flags say of TLS; `undefined` where a proxy in front has it. @throws StartError */
export function tlsFilesOf({ federation, tlsCert, tlsKey }: Config): TlsFiles | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined) throw new StartError('--tls-key needs --tls-cert')
  if (tlsKey === undefined) throw new StartError('--tls-cert needs --tls-key')
  if (federation === undefined) throw new StartError('--tls-cert and --tls-key need --federation')
  return { cert: tlsCert, key: tlsKey }
}

export type FederationServerInit = {
  readonly config: Config
  readonly signer: Signer
  readonly handle: InboundHandler
  readonly log: Log
}

export interface FederationServer extends Listening {
  /** Answers requests that came in another way, as through a proxy that has one address for clients and servers. */
  readonly listener: RequestListener
  /** Reads the certificate anew. */
  reload(): void
}

/** `undefined` where none is asked for. @throws StartError */
export async function listenToServers(init: FederationServerInit): Promise<FederationServer | undefined> {
  const { config, signer, handle, log } = init
  const files = tlsFilesOf(config)
  if (config.federation === undefined) return undefined
  if (!hasDnsName(signer))
    throw new StartError(
      '--federation needs a name that DNS knows: give a new node one with --server-name or --name-suffix',
    )
  await using started = new AsyncDisposableStack()
  const listener = createFederationListener({
    serverName: signer.name,
    handle,
    log,
    clock,
    ...(config.rateLimits === 'off' ? { requestBurst: Infinity } : {}),
    addressOf: (incoming) => {
      const forwarded = config.trustProxy ? incoming.headers['x-forwarded-for'] : undefined
      return clientAddress(incoming.socket.remoteAddress, forwarded)
    },
  })
  const web = started.use(
    createServer(listener, {
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      ...(files === undefined ? {} : { tls: readTls(files) }),
    }),
  )
  web.server.on('clientError', answerClientError)
  const flags = { host: '--federation', port: '--federation' }
  const port = await listen(web.server, { ...config.federation, flags })
  const watch =
    files === undefined ? undefined : started.use(watchTls(files, { log, changed: (tls) => web.useTls(tls) }))
  const running = started.move()
  return { port, listener, reload: () => watch?.look(), [Symbol.asyncDispose]: () => running.disposeAsync() }
}

/** Whether stock servers can ask for its key: a bare key is in no DNS, and `localhost:8448` only on one machine. */
export function hasDnsName({ name }: Signer): boolean {
  return !isKeyName(name) || name.includes('.')
}

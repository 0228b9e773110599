import { readFileSync } from 'node:fs'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http'
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { createSecureContext, type TLSSocket, type TlsOptions } from 'node:tls'
import { StartError } from './start-error.ts'

/** Open connections at once, HTTP and WebSocket together. */
const MAX_CONNECTIONS = 4096
/** Time to send the head of a request, and all of it. */
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
/** How often it is looked who took longer. */
const CHECK_INTERVAL_MS = 5_000
/** On stopping, connections that are still open after this are cut. */
const STOP_GRACE_MS = 1_000

export type Tls = { readonly cert: Buffer; readonly key: Buffer }

/** Reads the PEM files and tries them. @throws StartError that names the file, never its content. */
export function readTls(files: { readonly cert: string; readonly key: string }): Tls {
  const read = (flag: string, file: string): Buffer => {
    try {
      return readFileSync(file)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unreadable'
      throw new StartError(`${flag} ${file} cannot be read (${code})`, { cause: error })
    }
  }
  const tls = { cert: read('--tls-cert', files.cert), key: read('--tls-key', files.key) }
  try {
    createSecureContext(tls)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'not PEM'
    throw new StartError(
      `--tls-cert ${files.cert} and --tls-key ${files.key} do not work together (${code})`,
      {
        cause: error,
      },
    )
  }
  return tls
}

export type ServerInit = {
  readonly tls?: Tls | undefined
  /** A request to upgrade that may not is answered as if it had not asked; none may by default. */
  readonly mayUpgrade?: (request: IncomingMessage) => boolean
  /** Answers a protocol of ALPN beside HTTP/1.1, and may give the connection a certificate of its own; `undefined`: none of them. */
  readonly alpn?: ((socket: TLSSocket, protocols: readonly string[]) => string | undefined) | undefined
  /** Time in which a request must have arrived whole; 30 s by default. */
  readonly requestTimeoutMs?: number
}

/** An HTTP or HTTPS server. Disposing of it stops accepting, lets answers finish, then cuts what is left. */
export interface WebServer extends AsyncDisposable {
  readonly server: Server
  /** Connections from here on get these certificates; those that are open stay. Nothing where the server has no TLS. */
  useTls(tls: Tls): void
}

export function createServer(
  listener: RequestListener,
  { tls, mayUpgrade = () => false, alpn, requestTimeoutMs = REQUEST_TIMEOUT_MS }: ServerInit = {},
): WebServer {
  const options: ServerOptions = {
    headersTimeout: Math.min(HEADERS_TIMEOUT_MS, requestTimeoutMs),
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, requestTimeoutMs),
    shouldUpgradeCallback: mayUpgrade,
  }
  const server =
    tls === undefined
      ? createHttpServer(options, listener)
      : createHttpsServer({ ...options, ...tls, ...(alpn && { ALPNCallback: alpnCallback(alpn) }) }, listener)
  server.maxConnections = MAX_CONNECTIONS
  // Node forgets those that became WebSockets, yet waits for them at its end.
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return {
    server,
    useTls(renewed) {
      if (server instanceof HttpsServer) server.setSecureContext(renewed)
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          for (const socket of sockets) socket.destroy()
        }, STOP_GRACE_MS)
        server.close(() => {
          clearTimeout(timer)
          resolve()
        })
        server.closeIdleConnections()
      }),
  }
}

function alpnCallback(alpn: NonNullable<ServerInit['alpn']>): NonNullable<TlsOptions['ALPNCallback']> {
  return function choose(this: unknown, { protocols }) {
    const other = alpn(this as TLSSocket, protocols)
    return other ?? (protocols.includes('http/1.1') ? 'http/1.1' : undefined)
  }
}

export type Place = {
  readonly host: string
  readonly port: number
  /** The flags that choose host and port, for what is said when that fails. */
  readonly flags: { readonly host: string; readonly port: string }
}

/** Listens and answers with the port. @throws StartError when the address is taken, unknown or not allowed. */
export function listen(server: Server, { host, port, flags }: Place): Promise<number> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => reject(explain(error, { host, port, flags }))
    server.once('error', refuse)
    server.listen({ host, port }, () => {
      server.off('error', refuse)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

function explain(error: NodeJS.ErrnoException, { host, port, flags }: Place): StartError {
  const lines: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is taken: stop what uses it, or choose another with ${flags.port}`,
    EACCES: `port ${port} needs more rights: choose one above 1023 with ${flags.port}`,
    EADDRNOTAVAIL: `${host} is not an address of this machine: choose another with ${flags.host}`,
    ENOTFOUND: `${host} is not an address of this machine: choose another with ${flags.host}`,
  }
  const line =
    lines[error.code ?? ''] ?? `cannot listen on ${host} port ${port} (${error.code ?? error.message})`
  return new StartError(line, { cause: error })
}

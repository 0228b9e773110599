/** Requests over HTTPS, to servers that have a DNS name. spec: server-server-api.md "TLS", "Response Authentication" */
import type { IncomingMessage } from 'node:http'
import { Agent, request as requestHttps } from 'node:https'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { createSecureContext, getCACertificates } from 'node:tls'
import { canonicalJson, type ServerName } from '@plexus/core'
import type { SignedRequest } from '@plexus/core/names'
import type { Carrier, CarrierResponse } from '@plexus/engine/ports'
import { CarrierError } from '@plexus/engine/ports'
import { MAX_RESPONSE_BYTES } from './bounds.ts'
import type { ServerResolver, Target } from './discovery.ts'
import { formatXMatrix } from './x-matrix.ts'

/** Connections to one place, and to all. */
export const MAX_CONNECTIONS_PER_PLACE = 8
export const MAX_CONNECTIONS = 1_024
/** Requests under way or waiting for a connection, to one server and to all; further ones fail at once. */
export const MAX_REQUESTS_PER_SERVER = 128
export const MAX_REQUESTS = 2_048
/** Milliseconds in which a connection is there and its certificate checked: one that hangs takes the place of others. */
const CONNECT_LIMIT_MS = 10_000
/** A connection that nobody uses is closed after so many milliseconds. */
const IDLE_MS = 60_000

export type HttpsCarrierInit = {
  readonly resolver: ServerResolver
  /** Host names to addresses, private ones left out where they may not be reached. */
  readonly lookup: LookupFunction
  /** Whether a literal address may be reached. */
  readonly mayReach: (address: string) => boolean
  /** PEM of authorities that are trusted beside the usual ones. */
  readonly ca?: readonly string[]
  readonly connectLimitMs?: number
}

/** Of one answer. */
type Bounds = { readonly signal: AbortSignal; readonly maxBytes: number }

export interface HttpsCarrier extends Carrier, Disposable {}

/** A kept connection was closed there while the request went out. */
class StaleConnection extends Error {}

export function createHttpsCarrier(init: HttpsCarrierInit): HttpsCarrier {
  const { resolver, lookup, mayReach, ca = [], connectLimitMs = CONNECT_LIMIT_MS } = init
  const agent = new Agent({
    keepAlive: true,
    maxSockets: MAX_CONNECTIONS_PER_PLACE,
    maxTotalSockets: MAX_CONNECTIONS,
    timeout: IDLE_MS,
    // One context for all connections: to read the usual authorities takes longer than to connect.
    secureContext: createSecureContext({ ca: [...getCACertificates(), ...ca] }),
  })
  /** Connections whose certificate was checked: `reusedSocket` leaves out those that a waiting request takes over. */
  const secured = new WeakSet<Socket>()
  const perServer = new Map<ServerName, number>()
  let underWay = 0

  const enter = (name: ServerName): (() => void) => {
    const own = perServer.get(name) ?? 0
    if (underWay >= MAX_REQUESTS || own >= MAX_REQUESTS_PER_SERVER)
      throw new CarrierError('unreachable', 'too many requests wait for a connection')
    underWay += 1
    perServer.set(name, own + 1)
    return () => {
      underWay -= 1
      const left = (perServer.get(name) ?? 1) - 1
      if (left === 0) perServer.delete(name)
      else perServer.set(name, left)
    }
  }

  /** One attempt at one place. @throws CarrierError */
  async function attempt(
    target: Target,
    request: SignedRequest,
    { signal, maxBytes }: Bounds,
  ): Promise<CarrierResponse> {
    if (target.isConfigured !== true && isIP(target.host) !== 0 && !mayReach(target.host))
      throw new CarrierError('refused', 'not a public address')
    let sent = false
    try {
      const answer = await exchange(target, request, () => (sent = true), signal)
      return await read(answer, { signal, maxBytes })
    } catch (cause) {
      if (cause instanceof CarrierError) throw cause
      // Each such connection is gone from those that are kept, so that this ends.
      if (cause instanceof StaleConnection) return attempt(target, request, { signal, maxBytes })
      // What may have been taken there is not known to be lost.
      throw new CarrierError(sent ? 'timeout' : 'unreachable', reasonOf(cause, signal), { cause })
    }
  }

  function exchange(
    { host, port, hostHeader, certificateName, isConfigured }: Target,
    request: SignedRequest,
    connected: () => void,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { method, uri, content } = request
    const body = content === undefined ? undefined : Buffer.from(canonicalJson(content))
    return new Promise((resolve, reject) => {
      const outgoing = requestHttps(
        {
          agent,
          host,
          port,
          method,
          path: uri,
          signal,
          // Empty for an address, which TLS does not name; the certificate is checked against the host then.
          servername: isIP(certificateName) === 0 ? certificateName : '',
          ...(isConfigured === true ? {} : { lookup }),
          headers: {
            Host: hostHeader,
            Authorization: formatXMatrix(request),
            // Packed bodies would have a second size to bound.
            'Accept-Encoding': 'identity',
            ...(body === undefined
              ? {}
              : { 'Content-Type': 'application/json', 'Content-Length': body.length }),
          },
        },
        resolve,
      )
      let isKept = false
      outgoing.on('socket', (socket) => {
        isKept = secured.has(socket)
        if (isKept) {
          connected()
          return
        }
        // Nothing goes out before the certificate was checked.
        const late = setTimeout(() => socket.destroy(new Error('no connection in time')), connectLimitMs)
        socket.once('secureConnect', () => {
          clearTimeout(late)
          secured.add(socket)
          connected()
        })
        socket.once('close', () => clearTimeout(late))
      })
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        const isStale = isKept && error.code === 'ECONNRESET'
        reject(isStale ? new StaleConnection('', { cause: error }) : error)
      })
      outgoing.once('close', () => reject(new Error('closed without an answer')))
      outgoing.end(body)
    })
  }

  return {
    async send({ request }, { signal, timeoutMs, maxBytes: wanted = MAX_RESPONSE_BYTES }) {
      const maxBytes = Math.min(wanted, MAX_RESPONSE_BYTES)
      const leave = enter(request.destination)
      const limit = AbortSignal.timeout(timeoutMs)
      const either = signal === undefined ? limit : AbortSignal.any([limit, signal])
      try {
        let last: unknown
        for (const target of await resolver.resolve(request.destination, { signal: either })) {
          either.throwIfAborted()
          try {
            return await attempt(target, request, { signal: either, maxBytes })
          } catch (error) {
            last = error
            if (!(error instanceof CarrierError) || error.code !== 'unreachable') break
          }
        }
        throw last
      } catch (cause) {
        signal?.throwIfAborted()
        if (cause instanceof CarrierError) throw cause
        throw new CarrierError('unreachable', reasonOf(cause, either), { cause })
      } finally {
        leave()
      }
    },
    [Symbol.dispose]() {
      agent.destroy()
    },
  }
}

/** Without addresses and certificates, which the log does not need. */
function reasonOf(cause: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'no answer in time'
  const { code, message } = cause as NodeJS.ErrnoException
  return code ?? message
}

async function read(answer: IncomingMessage, { signal, maxBytes }: Bounds): Promise<CarrierResponse> {
  const tooLarge = (): CarrierError => new CarrierError('refused', 'the answer is too large')
  const abort = (): void => void answer.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    if (Number(answer.headers['content-length'] ?? 0) > maxBytes) throw tooLarge()
    const parts: Buffer[] = []
    let size = 0
    for await (const part of answer as AsyncIterable<Buffer>) {
      size += part.length
      if (size > maxBytes) throw tooLarge()
      parts.push(part)
    }
    const body = new Uint8Array(Buffer.concat(parts))
    return { status: answer.statusCode ?? 0, contentType: answer.headers['content-type'] ?? '', body }
  } finally {
    signal.removeEventListener('abort', abort)
    // An answer that was read whole leaves its connection to the next request.
    if (!answer.complete) answer.destroy()
  }
}

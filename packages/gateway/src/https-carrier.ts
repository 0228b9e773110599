/** Requests over HTTPS, to servers that have a DNS name. spec: server-server-api.md "TLS", "Response Authentication" */
import type { IncomingMessage } from 'node:http'
import { Agent, request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { createSecureContext, getCACertificates } from 'node:tls'
import { canonicalJson } from '@plexus/core'
import type { SignedRequest } from '@plexus/core/names'
import type { Carrier, CarrierResponse } from '@plexus/engine/ports'
import { CarrierError } from '@plexus/engine/ports'
import { MAX_RESPONSE_BYTES } from './bounds.ts'
import type { ServerResolver, Target } from './discovery.ts'
import { formatXMatrix } from './x-matrix.ts'

/** Connections to one place, and to all. */
export const MAX_CONNECTIONS_PER_PLACE = 8
export const MAX_CONNECTIONS = 256
/** Requests under way or waiting for a connection; further ones fail at once. */
export const MAX_REQUESTS = 2_048
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
}

export interface HttpsCarrier extends Carrier, Disposable {}

export function createHttpsCarrier({ resolver, lookup, mayReach, ca = [] }: HttpsCarrierInit): HttpsCarrier {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: MAX_CONNECTIONS_PER_PLACE,
    maxTotalSockets: MAX_CONNECTIONS,
    timeout: IDLE_MS,
    // One context for all connections: to read the usual authorities takes longer than to connect.
    secureContext: createSecureContext({ ca: [...getCACertificates(), ...ca] }),
  })
  let underWay = 0

  /** One attempt at one place. @throws CarrierError */
  async function attempt(
    target: Target,
    request: SignedRequest,
    signal: AbortSignal,
  ): Promise<CarrierResponse> {
    if (target.isConfigured !== true && isIP(target.host) !== 0 && !mayReach(target.host))
      throw new CarrierError('refused', 'not a public address')
    let sent = false
    try {
      const answer = await exchange(target, request, () => (sent = true), signal)
      return await read(answer, signal)
    } catch (cause) {
      if (cause instanceof CarrierError) throw cause
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
      outgoing.on('socket', (socket) => {
        // A kept connection is there already; on a new one nothing goes out before its certificate was checked.
        if (outgoing.reusedSocket) connected()
        else socket.once('secureConnect', connected)
      })
      outgoing.on('error', reject)
      outgoing.once('close', () => reject(new Error('closed without an answer')))
      outgoing.end(body)
    })
  }

  return {
    async send({ request }, { signal, timeoutMs }) {
      if (underWay >= MAX_REQUESTS)
        throw new CarrierError('unreachable', 'too many requests wait for a connection')
      underWay += 1
      const limit = AbortSignal.timeout(timeoutMs)
      const either = signal === undefined ? limit : AbortSignal.any([limit, signal])
      try {
        let last: unknown
        for (const target of await resolver.resolve(request.destination)) {
          either.throwIfAborted()
          try {
            return await attempt(target, request, either)
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
        underWay -= 1
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

async function read(answer: IncomingMessage, signal: AbortSignal): Promise<CarrierResponse> {
  const tooLarge = (): CarrierError => new CarrierError('refused', 'the answer is too large')
  const abort = (): void => void answer.destroy(signal.reason as Error)
  signal.addEventListener('abort', abort, { once: true })
  try {
    if (Number(answer.headers['content-length'] ?? 0) > MAX_RESPONSE_BYTES) throw tooLarge()
    const parts: Buffer[] = []
    let size = 0
    for await (const part of answer as AsyncIterable<Buffer>) {
      size += part.length
      if (size > MAX_RESPONSE_BYTES) throw tooLarge()
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

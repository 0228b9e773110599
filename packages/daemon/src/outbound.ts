/**
 * HTTP to addresses that others named: URL previews, push gateways. Bounded in size, time and redirects, and closed to what lies
 * behind a firewall: a stranger who names an address must not reach more through this node than without it.
 */
import { lookup as lookupAny } from 'node:dns'
import { request as requestHttp, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { LookupFunction } from 'node:net'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { isPublicAddress } from './public-address.ts'

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

type OutboundCode = 'refused' | 'unreachable' | 'timeout' | 'too-large' | 'too-many-redirects'

/**
 * No answer. `refused`: this node does not ask there, for good; `too-large` and `too-many-redirects`: the other side breaks a bound;
 * the rest may pass. The message holds no address.
 */
export class OutboundError extends Error {
  override readonly name = 'OutboundError'
  readonly code: OutboundCode
  constructor(code: OutboundCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}

export type OutboundRequest = {
  readonly method?: 'GET' | 'POST'
  /** They go to wherever redirects lead, so they hold no secret unless `maxRedirects` is 0. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Of the answer's body. */
  readonly maxBytes: number
  /** For everything: finding the address, redirects, the whole body. */
  readonly timeoutMs: number
  /** Redirects of a GET to follow; 0 by default, where a redirect is an answer like any other. */
  readonly maxRedirects?: number
  /** Whether every step must be HTTPS; plain HTTP may be asked too by default. */
  readonly httpsOnly?: boolean
  readonly signal?: AbortSignal
}

export type OutboundResponse = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly bytes: Uint8Array
  /** Where the answer came from, after redirects. */
  readonly url: URL
}

export interface Outbound {
  /**
   * Resolves with the answer, whatever its status.
   * @throws OutboundError when none came.
   */
  request(url: string | URL, request: OutboundRequest): Promise<OutboundResponse>
}

export type OutboundInit = {
  /** Loopback and private networks may be asked too. */
  readonly allowPrivateAddresses: boolean
  /** PEM of authorities that are trusted beside the usual ones. */
  readonly ca?: readonly string[]
}

/** Which addresses may be connected to. */
export type Reach = {
  /** For a literal address, which is never looked up. */
  readonly mayReach: (address: string) => boolean
  /** Host names to those addresses that may be reached. */
  readonly lookup: LookupFunction
}

export function createReach({ allowPrivateAddresses }: Pick<OutboundInit, 'allowPrivateAddresses'>): Reach {
  const mayReach = (address: string): boolean => allowPrivateAddresses || isPublicAddress(address)
  return { mayReach, lookup: lookupAmong(mayReach) }
}

export function createOutbound({ allowPrivateAddresses, ca = [] }: OutboundInit): Outbound {
  const { mayReach, lookup: lookupAllowed } = createReach({ allowPrivateAddresses })
  // One context for all: to read the usual authorities takes longer than many requests.
  const secureContext = createSecureContext(ca.length === 0 ? {} : { ca: [...getCACertificates(), ...ca] })

  async function follow(from: URL, request: OutboundRequest, signal: AbortSignal): Promise<OutboundResponse> {
    const { method = 'GET', maxRedirects = 0, maxBytes, httpsOnly = false } = request
    let url = from
    for (let redirects = 0; ; redirects++) {
      checkUrl(url, mayReach)
      if (httpsOnly && url.protocol !== 'https:') throw new OutboundError('refused', 'not https')
      const answer = await exchange(url, request, { secureContext, lookup: lookupAllowed, signal })
      const status = answer.statusCode ?? 0
      const to = REDIRECTS.has(status) ? answer.headers.location : undefined
      if (method !== 'GET' || maxRedirects === 0 || to === undefined) {
        const bytes = await bodyOf(answer, maxBytes, signal)
        return { status, headers: answer.headers, bytes, url }
      }
      answer.destroy()
      if (redirects === maxRedirects)
        throw new OutboundError('too-many-redirects', `more than ${maxRedirects} redirects`)
      url = parseUrl(to, url)
    }
  }

  return {
    async request(url, request) {
      const timeout = AbortSignal.timeout(request.timeoutMs)
      const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal])
      try {
        return await follow(parseUrl(url), request, signal)
      } catch (cause) {
        if (cause instanceof OutboundError) throw cause
        if (timeout.aborted)
          throw new OutboundError('timeout', `no answer within ${request.timeoutMs} ms`, { cause })
        throw new OutboundError('unreachable', 'the connection failed', { cause })
      }
    },
  }
}

function parseUrl(url: string | URL, base?: URL): URL {
  try {
    return new URL(url, base)
  } catch (cause) {
    throw new OutboundError('refused', 'not a URL', { cause })
  }
}

/** A name is checked by what it resolves to at the moment of connecting; a literal address is never looked up. */
function checkUrl(url: URL, mayReach: (address: string) => boolean): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new OutboundError('refused', 'neither http nor https')
  if (url.username !== '' || url.password !== '')
    throw new OutboundError('refused', 'the address has a password')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isLiteral = host !== url.hostname || /^[\d.]+$/.test(host)
  if (isLiteral && !mayReach(host)) throw new OutboundError('refused', 'not a public address')
}

const lookupAmong =
  (mayReach: (address: string) => boolean): LookupFunction =>
  (hostname, options, callback) => {
    lookupAny(hostname, { ...options, all: true }, (error, found) => {
      const allowed = (found ?? []).filter(({ address }) => mayReach(address))
      const [first] = allowed
      if (error !== null) callback(error, '')
      else if (first === undefined)
        callback(new OutboundError('refused', 'the name has no public address'), '')
      else if (options.all === true) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }

type Way = {
  readonly lookup: LookupFunction
  readonly signal: AbortSignal
  readonly secureContext: SecureContext
}

/** One request, up to the head of its answer. */
function exchange(
  url: URL,
  { method = 'GET', headers, body }: OutboundRequest,
  way: Way,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    // A connection of its own: one that is kept might have been opened under another rule.
    const request = send(
      url,
      // Packed bodies would have a second size to bound.
      { ...way, method, agent: false, headers: { 'Accept-Encoding': 'identity', ...headers } },
      resolve,
    )
    // There may be more than one error, and none, as where the answer is 101.
    request.on('error', reject)
    request.once('close', () => reject(new Error('closed without an answer')))
    request.end(body)
  })
}

async function bodyOf(answer: IncomingMessage, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const tooLarge = (): OutboundError => new OutboundError('too-large', `more than ${maxBytes} bytes`)
  const abort = (): void => void answer.destroy(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    signal.throwIfAborted()
    if (Number(answer.headers['content-length'] ?? 0) > maxBytes) throw tooLarge()
    const parts: Buffer[] = []
    let size = 0
    for await (const part of answer as AsyncIterable<Buffer>) {
      size += part.length
      if (size > maxBytes) throw tooLarge()
      parts.push(part)
    }
    return new Uint8Array(Buffer.concat(parts))
  } finally {
    signal.removeEventListener('abort', abort)
    answer.destroy()
  }
}

/** Takes federation requests over HTTP, as what TLS stands before brings them. spec: server-server-api.md "Request Authentication" */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { JsonValue, ServerName } from '@plexus/core'
import { MAX_DOCUMENT_DEPTH, parseJson, parseServerName } from '@plexus/core'
import { MAX_REQUEST_SIGNATURES } from '@plexus/core/names'
import type { CarrierResponse, Clock, InboundHandler, InboundRequest, Log } from '@plexus/engine/ports'
import {
  MAX_ANSWERS_BYTES,
  MAX_ANSWERS_BYTES_PER_ADDRESS,
  MAX_BODIES_BYTES,
  MAX_BODIES_BYTES_PER_ADDRESS,
  MAX_REQUEST_BYTES,
  MAX_REQUESTS_AT_ONCE,
  MAX_REQUESTS_PER_ADDRESS,
  REQUEST_BURST,
  SLOW_READER_MS,
  SMALL_ANSWER_BYTES,
} from './bounds.ts'
import { createBudgets, subscriberOf } from './budgets.ts'
import { createShares, type Share } from './shares.ts'
import { parseXMatrix } from './x-matrix.ts'

export type FederationListenerInit = {
  readonly serverName: ServerName
  readonly handle: InboundHandler
  readonly log: Log
  readonly clock: Clock
  /** The address that a request counts for; that of its connection by default. */
  readonly addressOf?: (incoming: IncomingMessage) => string
  /** Requests at once of one address, and of one server; Infinity for as many as they like. */
  readonly requestBurst?: number
  readonly slowReaderMs?: number
}

/** What cannot be made a request. */
class Refusal extends Error {
  readonly status: number
  readonly errcode: string
  constructor(status: number, errcode: string, message: string) {
    super(message)
    this.status = status
    this.errcode = errcode
  }
}

export function createFederationListener({
  serverName,
  handle,
  log,
  clock,
  addressOf = ({ socket }) => socket.remoteAddress ?? '',
  requestBurst = REQUEST_BURST,
  slowReaderMs = SLOW_READER_MS,
}: FederationListenerInit): RequestListener {
  const perAddress = new Map<string, number>()
  const now = (): number => clock.now()
  const budgets = { address: createBudgets(now, requestBurst), origin: createBudgets(now, requestBurst) }
  const bodies = createShares(MAX_BODIES_BYTES_PER_ADDRESS, MAX_BODIES_BYTES)
  const answers = createShares(MAX_ANSWERS_BYTES_PER_ADDRESS, MAX_ANSWERS_BYTES)
  let underWay = 0

  const enter = (address: string): (() => void) => {
    const own = perAddress.get(address) ?? 0
    if (underWay >= MAX_REQUESTS_AT_ONCE || own >= MAX_REQUESTS_PER_ADDRESS)
      throw limitExceeded('too many requests at once')
    if (!budgets.address.has(address)) throw limitExceeded('too many requests')
    budgets.address.charge(address)
    underWay += 1
    perAddress.set(address, own + 1)
    return () => {
      underWay -= 1
      const left = (perAddress.get(address) ?? 1) - 1
      if (left === 0) perAddress.delete(address)
      else perAddress.set(address, left)
    }
  }

  const answerTo = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const address = subscriberOf(addressOf(incoming))
    const leave = enter(address)
    // Until the answer is there: what a body says takes more memory than the body, and a key may be long in coming.
    using body = bodies.open(address)
    try {
      const content = await contentOf(incoming, body)
      const request = requestOf(incoming, content, serverName)
      const { origin } = request.request
      if (origin !== undefined && !budgets.origin.has(origin)) throw limitExceeded('too many requests')
      const answer = await handle(request)
      // Whoever only says to be that server uses up nothing of what it may ask.
      if (origin !== undefined && answer.isProven === true) budgets.origin.charge(origin)
      using told = answers.open(address)
      const { length } = answer.body
      if (length > SMALL_ANSWER_BYTES && !told.add(length)) throw limitExceeded('too much is being sent')
      await give(response, answer, slowReaderMs)
    } finally {
      leave()
    }
  }

  const refuse = (incoming: IncomingMessage, response: ServerResponse, error: unknown): void => {
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    const known = error instanceof Refusal ? error : new Refusal(500, 'M_UNKNOWN', 'the request failed here')
    if (known !== error && incoming.errored === null)
      log.log('error', 'a federation request over HTTPS failed', { error: String(error) })
    const { status, errcode, message } = known
    // What was not read of the body would be taken for the next request.
    if (!incoming.complete) response.setHeader('Connection', 'close')
    response.writeHead(status, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify({ errcode, error: message }))
  }

  return (incoming, response) => {
    answerTo(incoming, response).catch((error: unknown) => refuse(incoming, response, error))
  }
}

const STATUS_OF: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

/** For `clientError` of the server: what is no HTTP, or comes too slowly, gets an error in JSON as well. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status = STATUS_OF[error.code ?? ''] ?? '400 Bad Request'
  const body = JSON.stringify({ errcode: 'M_UNKNOWN', error: 'not a request that can be read' })
  const head = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close`
  socket.end(`HTTP/1.1 ${status}\r\n${head}\r\n\r\n${body}`)
}

function limitExceeded(message: string): Refusal {
  return new Refusal(429, 'M_LIMIT_EXCEEDED', message)
}

/** Resolves once it is on its way or the connection is gone, so that what waits for slow readers is counted. */
function give(
  response: ServerResponse,
  { status, contentType, body }: CarrierResponse,
  slowMs: number,
): Promise<void> {
  return new Promise((resolve) => {
    response.once('close', resolve)
    if (response.destroyed) resolve()
    response.setTimeout(slowMs, () => response.destroy())
    response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': body.length })
    response.end(body)
  })
}

type Content = { readonly value: JsonValue; readonly bytes: Uint8Array }

/** The parsed body; `undefined` for an empty one. */
async function contentOf(incoming: IncomingMessage, body: Share): Promise<Content | undefined> {
  const tooLarge = (): Refusal => new Refusal(413, 'M_TOO_LARGE', `more than ${MAX_REQUEST_BYTES} bytes`)
  if (Number(incoming.headers['content-length'] ?? 0) > MAX_REQUEST_BYTES) throw tooLarge()
  const parts: Buffer[] = []
  let size = 0
  for await (const part of incoming as AsyncIterable<Buffer>) {
    size += part.length
    if (size > MAX_REQUEST_BYTES) throw tooLarge()
    if (!body.add(part.length)) throw limitExceeded('too much is being received')
    parts.push(part)
  }
  if (size === 0) return undefined
  const bytes = Buffer.concat(parts)
  const parsed = parseJson(bytes, { maxBytes: MAX_REQUEST_BYTES, maxDepth: MAX_DOCUMENT_DEPTH })
  if (parsed.kind === 'failure') throw new Refusal(400, 'M_NOT_JSON', `the body is ${parsed.why}`)
  return { value: parsed.value, bytes }
}

/** A request without X-Matrix stays without origin: some endpoints are open to anybody. */
function requestOf(
  incoming: IncomingMessage,
  content: Content | undefined,
  serverName: ServerName,
): InboundRequest {
  const { method = '', url: uri = '' } = incoming
  const open = {
    method,
    uri,
    destination: serverName,
    ...(content === undefined ? {} : { content: content.value }),
  }
  const headers = (incoming.headersDistinct['authorization'] ?? []).map(parseXMatrix)
  const signed = headers.filter((header) => header !== undefined)
  if (signed.length === 0) return { request: open }
  const [first] = signed
  if (signed.length > MAX_REQUEST_SIGNATURES || first === undefined || first === 'malformed')
    throw new Refusal(401, 'M_UNAUTHORIZED', 'the Authorization header is malformed')
  const origin = parseServerName(first.origin)
  const destination = parseServerName(first.destination ?? serverName)
  const byKey: Record<string, string> = {}
  for (const header of signed) {
    if (header === 'malformed' || header.origin !== origin || header.destination !== first.destination)
      throw new Refusal(401, 'M_UNAUTHORIZED', 'the Authorization headers do not agree')
    byKey[header.key] = header.signature
  }
  if (origin === undefined || destination === undefined)
    throw new Refusal(401, 'M_UNAUTHORIZED', 'the Authorization header names no server')
  const request = { ...open, destination, origin, signatures: { [origin]: byKey } }
  return content === undefined ? { request } : { request, body: content.bytes }
}

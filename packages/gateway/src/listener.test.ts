import { createServer, request, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import type { ServerName } from '@plexus/core'
import type { CarrierResponse, InboundHandler, InboundRequest } from '@plexus/engine/ports'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  MAX_ANSWERS_BYTES_PER_ADDRESS,
  MAX_BODIES_BYTES,
  MAX_BODIES_BYTES_PER_ADDRESS,
  MAX_REQUEST_BYTES,
  MAX_REQUESTS_PER_ADDRESS,
  SMALL_ANSWER_BYTES,
} from './bounds.ts'
import { answerClientError, createFederationListener } from './listener.ts'

const BURST = 2 * MAX_REQUESTS_PER_ADDRESS
const HERE = 'here.example' as ServerName
const AUTH = 'X-Matrix origin="a.example",destination="here.example",key="ed25519:1",sig="AB"'
const PUT = { method: 'PUT', uri: '/_matrix/federation/v1/send/1?x=%2F' }

let server: Server
let seen: InboundRequest[]
let logged: string[]
let handle: InboundHandler
const fine: CarrierResponse = {
  status: 200,
  contentType: 'application/json',
  body: new TextEncoder().encode('{"ok":true}'),
}

async function start(slowReaderMs?: number): Promise<void> {
  const log = { log: (level: string, message: string) => void logged.push(`${level} ${message}`) }
  server = createServer(
    createFederationListener({
      serverName: HERE,
      log,
      clock: { now: () => 0, after: () => () => undefined },
      handle: (inbound) => handle(inbound),
      requestBurst: BURST,
      addressOf: ({ headers }) => String(headers['x-address'] ?? '::1'),
      ...(slowReaderMs === undefined ? {} : { slowReaderMs }),
    }),
  )
  server.on('clientError', answerClientError)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
}
async function stop(): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => {
    server.close(resolve)
  })
}

beforeEach(async () => {
  seen = []
  logged = []
  handle = async (inbound) => {
    seen.push(inbound)
    return fine
  }
  await start()
})
afterEach(stop)

type Init = {
  readonly method: string
  readonly uri: string
  readonly body?: string | Buffer
  readonly authorization?: string | readonly string[]
  readonly headers?: Readonly<Record<string, string>>
}
type Reply = { status: number; body: unknown; type: string | undefined }

function ask({ method, uri, body, authorization = AUTH, headers = {} }: Init): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo
    const outgoing = request({ host: '127.0.0.1', port, method, path: uri, agent: false }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8').on('data', (part: string) => (text += part))
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          body: JSON.parse(text),
          type: incoming.headers['content-type'],
        }),
      )
    })
    if (authorization !== '') outgoing.setHeader('Authorization', authorization)
    for (const [name, value] of Object.entries(headers)) outgoing.setHeader(name, value)
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
const outcome = ({ status, body, type }: Reply): unknown => [
  status,
  (body as { errcode?: string }).errcode,
  type,
]
const refused = (status: number, errcode: string): unknown => [status, errcode, 'application/json']

describe('the listener of federation', () => {
  it('hands over what was signed, byte for byte in path and query, and the parsed body', async () => {
    const body = '{"b":1, "a":[]}'
    const reply = await ask({ ...PUT, body, headers: { 'Content-Type': 'text/plain' } })
    expect(reply).toEqual({ status: 200, body: { ok: true }, type: 'application/json' })
    expect(seen).toEqual([
      {
        request: {
          ...PUT,
          origin: 'a.example',
          destination: HERE,
          content: { a: [], b: 1 },
          signatures: { 'a.example': { 'ed25519:1': 'AB' } },
        },
        body: Buffer.from(body),
      },
    ])
  })

  it('takes an empty body for none, whatever its type', async () => {
    await ask({ ...PUT, body: '', headers: { 'Content-Type': 'application/json' } })
    expect(seen[0]?.request).not.toHaveProperty('content')
  })

  it('hands a request without X-Matrix over without an origin', async () => {
    for (const authorization of ['', 'Bearer abc']) await ask({ ...PUT, authorization })
    expect(seen.map(({ request: { origin, signatures } }) => [origin, signatures])).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ])
  })

  it('gathers the signatures of several keys', async () => {
    await ask({ ...PUT, authorization: [AUTH, AUTH.replace('ed25519:1', 'ed25519:2')] })
    expect(seen[0]?.request.signatures).toEqual({ 'a.example': { 'ed25519:1': 'AB', 'ed25519:2': 'AB' } })
  })

  it('takes a request of an old server, which names no destination', async () => {
    await ask({ ...PUT, authorization: AUTH.replace('destination="here.example",', '') })
    expect(seen[0]?.request.destination).toBe(HERE)
  })

  it.each<[string, Partial<Init>, unknown]>([
    ['a malformed header', { authorization: 'X-Matrix origin=' }, refused(401, 'M_UNAUTHORIZED')],
    [
      'an origin that is no server',
      { authorization: AUTH.replace('a.example', 'a b') },
      refused(401, 'M_UNAUTHORIZED'),
    ],
    ['two origins', { authorization: [AUTH, AUTH.replace('a.ex', 'b.ex')] }, refused(401, 'M_UNAUTHORIZED')],
    ['too many headers', { authorization: Array(9).fill(AUTH) }, refused(401, 'M_UNAUTHORIZED')],
    ['no JSON', { body: '{' }, refused(400, 'M_NOT_JSON')],
    ['no UTF-8', { body: Buffer.from([0x22, 0xff, 0x22]) }, refused(400, 'M_NOT_JSON')],
    ['JSON nested too deep', { body: '['.repeat(20_000) }, refused(400, 'M_NOT_JSON')],
    [
      'a length beyond the bound',
      { headers: { 'Content-Length': String(MAX_REQUEST_BYTES + 1) } },
      refused(413, 'M_TOO_LARGE'),
    ],
    [
      'a body beyond the bound',
      { body: Buffer.alloc(MAX_REQUEST_BYTES + 1, 'x') },
      refused(413, 'M_TOO_LARGE'),
    ],
  ])('refuses %s', async (_, init, expected) => {
    expect(outcome(await ask({ ...PUT, ...init }))).toEqual(expected)
    expect(seen).toEqual([])
    expect(logged).toEqual([])
  })

  it('answers a fault with 500, and logs it without telling it', async () => {
    handle = () => Promise.reject(new Error('secret'))
    const reply = await ask(PUT)
    expect(outcome(reply)).toEqual(refused(500, 'M_UNKNOWN'))
    expect(JSON.stringify(reply.body)).not.toContain('secret')
    expect(logged).toHaveLength(1)
  })

  /** The statuses of so many requests, each of another address unless `init` says of which. */
  async function statuses(count: number, init: Init): Promise<ReadonlySet<number>> {
    const found = new Set<number>()
    for (let done = 0; done < count; done += MAX_REQUESTS_PER_ADDRESS) {
      const batch = Array.from({ length: Math.min(MAX_REQUESTS_PER_ADDRESS, count - done) }, (_, index) =>
        ask({ ...init, headers: { 'X-Address': `${done + index}`, ...init.headers } }),
      )
      for (const { status } of await Promise.all(batch)) found.add(status)
    }
    return found
  }

  it('lets one address ask so often', async () => {
    const headers = { 'X-Address': '192.0.2.1' }
    expect(await statuses(BURST + 1, { ...PUT, authorization: '', headers })).toEqual(new Set([200]))
    expect(outcome(await ask({ ...PUT, headers }))).toEqual(refused(429, 'M_LIMIT_EXCEEDED'))
    expect((await ask(PUT)).status).toBe(200)
  })

  it('lets one server ask so often, and counts nothing that it did not sign', async () => {
    // Whatever the status: some endpoints are open, and some requests wrong before their signature is looked at.
    expect(await statuses(BURST + 1, PUT)).toEqual(new Set([200]))
    handle = async () => ({ ...fine, isProven: true })
    expect(await statuses(BURST + 1, PUT)).toEqual(new Set([200]))
    expect(outcome(await ask(PUT))).toEqual(refused(429, 'M_LIMIT_EXCEEDED'))
    expect((await ask({ ...PUT, authorization: AUTH.replace('a.example', 'b.example') })).status).toBe(200)
  })

  /** Requests with bodies of nearly the largest size, the last of which does not end unless `whole`. */
  function sendBodies(
    count: number,
    whole: boolean,
    addressOf: (index: number) => string,
  ): Promise<number>[] {
    const { port } = server.address() as AddressInfo
    const body = Buffer.alloc(MAX_REQUEST_BYTES - 1, ' ')
    body.write('{}')
    return Array.from({ length: count }, (_, index) => {
      const outgoing = request({ host: '127.0.0.1', port, method: 'PUT', path: PUT.uri, agent: false })
      outgoing.setHeader('X-Address', addressOf(index))
      outgoing.setHeader('Content-Length', body.length + (whole ? 0 : 1))
      outgoing.on('error', () => undefined)
      outgoing.write(body)
      if (whole) outgoing.end()
      return new Promise<number>((resolve) =>
        outgoing.on('response', ({ statusCode = 0 }) => resolve(statusCode)),
      )
    })
  }
  const ofOne = Math.ceil(MAX_BODIES_BYTES_PER_ADDRESS / MAX_REQUEST_BYTES) + 1

  it('takes no more than so much at once, of all and of one address', async () => {
    const ofAll = Math.ceil(MAX_BODIES_BYTES / MAX_REQUEST_BYTES) + 1
    expect(await Promise.race(sendBodies(ofOne, false, () => '192.0.2.1'))).toBe(429)
    expect((await ask({ ...PUT, body: '{}', headers: { 'X-Address': '192.0.2.2' } })).status).toBe(200)
    expect(await Promise.race(sendBodies(ofAll, false, (index) => `198.51.100.${index}`))).toBe(429)
    expect(seen).toHaveLength(1)
  })

  it('counts a body until its request is answered', async () => {
    const { promise: gate, resolve: release } = Promise.withResolvers<void>()
    handle = async () => {
      await gate
      return fine
    }
    const waiting = sendBodies(ofOne, true, () => '192.0.2.1')
    expect(await Promise.race(waiting)).toBe(429)
    release()
    expect((await Promise.all(waiting)).filter((status) => status === 200)).toHaveLength(ofOne - 1)
    expect(await Promise.all(sendBodies(1, true, () => '192.0.2.1'))).toEqual([200])
  })

  it('has no more than so much of answers on their way to one address, except small ones', async () => {
    const headers = { 'X-Address': '192.0.2.1' }
    handle = async () => ({
      ...fine,
      body: new Uint8Array(MAX_ANSWERS_BYTES_PER_ADDRESS - SMALL_ANSWER_BYTES),
    })
    const { port } = server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET ${PUT.uri} HTTP/1.1\r\nHost: x\r\nX-Address: 192.0.2.1\r\n\r\n`)
    await new Promise((resolve) => socket.once('readable', resolve))
    const large = new TextEncoder().encode(`"${' '.repeat(SMALL_ANSWER_BYTES)}"`)
    handle = async () => ({ ...fine, body: large })
    expect(outcome(await ask({ ...PUT, headers }))).toEqual(refused(429, 'M_LIMIT_EXCEEDED'))
    expect((await ask({ ...PUT, headers: { 'X-Address': '192.0.2.2' } })).status).toBe(200)
    handle = async () => fine
    expect((await ask({ ...PUT, headers })).status).toBe(200)
    socket.destroy()
    handle = async () => ({ ...fine, body: large })
    await expect.poll(async () => (await ask({ ...PUT, headers })).status).toBe(200)
  })

  it('cuts off who does not take an answer', async () => {
    await stop()
    await start(500)
    handle = async () => ({ ...fine, body: new Uint8Array(32 * 1024 * 1024) })
    const { port } = server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(`GET ${PUT.uri} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await new Promise((resolve) => socket.once('readable', resolve))
    const connections = (): Promise<number> =>
      new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))
    await expect.poll(connections).toBe(0)
    socket.destroy()
  })

  it('lets one address have so many requests under way', async () => {
    let release = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    let arrived = (): void => undefined
    const full = new Promise<void>((resolve) => {
      arrived = resolve
    })
    handle = async (inbound) => {
      if (seen.push(inbound) === MAX_REQUESTS_PER_ADDRESS) arrived()
      await gate
      return fine
    }
    const waiting = Array.from({ length: MAX_REQUESTS_PER_ADDRESS }, () => ask(PUT))
    await full
    expect(outcome(await ask(PUT))).toEqual(refused(429, 'M_LIMIT_EXCEEDED'))
    release()
    expect((await Promise.all(waiting)).every(({ status }) => status === 200)).toBe(true)
    expect((await ask(PUT)).status).toBe(200)
  })
})

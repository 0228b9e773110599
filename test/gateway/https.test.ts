/** The HTTPS carrier and the listener, over real TLS. */
import { createServer, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type LookupFunction } from 'node:net'
import type { ServerName } from '@plexus/core'
import type { CarrierResponse, InboundHandler, InboundRequest } from '@plexus/engine/ports'
import {
  createFederationListener,
  createHttpsCarrier,
  MAX_CONNECTIONS_PER_PLACE,
  MAX_REQUESTS_PER_SERVER,
  type Target,
} from '@plexus/gateway'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { newAccount, signedRequest } from '../kit/p2p.ts'
import { createTestCa, type TestCa } from '../kit/test-ca.ts'
import { realClock } from '../kit/real-clock.ts'

const THERE = 'there.example' as ServerName
const ACCOUNT = newAccount()
const encoder = new TextEncoder()
const answer = (text: string, status = 200): CarrierResponse => ({
  status,
  contentType: 'application/json',
  body: encoder.encode(text),
})

let ca: TestCa
beforeAll(async () => {
  ca = await createTestCa()
})

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})

type There = { readonly port: number; readonly seen: InboundRequest[]; connections: number }

type ThereInit = {
  readonly handle?: InboundHandler
  /** Instead of the listener. */
  readonly raw?: (incoming: IncomingMessage, response: ServerResponse) => void
  readonly names?: readonly string[]
  readonly expired?: boolean
  readonly by?: TestCa
}

async function listen({
  handle,
  raw,
  names = [THERE],
  expired = false,
  by = ca,
}: ThereInit = {}): Promise<There> {
  const seen: InboundRequest[] = []
  const listener =
    raw ??
    createFederationListener({
      serverName: THERE,
      log: { log: () => undefined },
      clock: realClock,
      handle: async (inbound) => {
        seen.push(inbound)
        return handle === undefined ? answer('{}') : handle(inbound)
      },
    })
  const server: Server = createServer({ ...(await by.issue(names, { expired })) }, listener)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const there = { port: (server.address() as AddressInfo).port, seen, connections: 0 }
  server.on('secureConnection', () => (there.connections += 1))
  cleanups.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => {
      server.close(resolve)
    })
  })
  return there
}

const loopback: LookupFunction = (_, options, callback) =>
  options.all === true
    ? callback(null, [{ address: '127.0.0.1', family: 4 }])
    : callback(null, '127.0.0.1', 4)

type Places = readonly (Partial<Target> & { readonly port: number })[]

function carrierTo(
  places: Places,
  init: { mayReach?: boolean; trust?: boolean; connectLimitMs?: number; maxBytes?: number } = {},
) {
  const carrier = createHttpsCarrier({
    resolver: {
      resolve: () =>
        Promise.resolve(
          places.map((place) => ({ host: THERE, hostHeader: THERE, certificateName: THERE, ...place })),
        ),
    },
    lookup: loopback,
    mayReach: () => init.mayReach === true,
    ...(init.trust === false ? {} : { ca: [ca.cert] }),
    ...(init.connectLimitMs === undefined ? {} : { connectLimitMs: init.connectLimitMs }),
  })
  cleanups.push(() => carrier[Symbol.dispose]())
  return (content = {}, timeoutMs = 10_000, signal?: AbortSignal) =>
    carrier.send(signedRequest(ACCOUNT, THERE, content), {
      timeoutMs,
      ...(init.maxBytes === undefined ? {} : { maxBytes: init.maxBytes }),
      ...(signal === undefined ? {} : { signal }),
    })
}

describe('federation over HTTPS', () => {
  it('brings a request as it was signed, and its answer', async () => {
    const there = await listen({ handle: async () => answer('{"n":1}', 403) })
    const response = await carrierTo([there])({ b: 'ü', a: [1] })
    expect([response.status, response.contentType, new TextDecoder().decode(response.body)]).toEqual([
      403,
      'application/json',
      '{"n":1}',
    ])
    const { request } = signedRequest(ACCOUNT, THERE, { b: 'ü', a: [1] })
    expect(there.seen).toEqual([{ request, body: Buffer.from('{"a":[1],"b":"ü"}') }])
  })

  it('uses a connection again', async () => {
    const there = await listen()
    const send = carrierTo([there])
    for (let n = 0; n < 5; n += 1) await send({ n })
    expect(there.connections).toBe(1)
  })

  it('sends no more than so many at once, the others wait', async () => {
    let most = 0
    let now = 0
    const there = await listen({
      handle: async () => {
        now += 1
        most = Math.max(most, now)
        await new Promise((resolve) => setImmediate(resolve))
        now -= 1
        return answer('{}')
      },
    })
    const send = carrierTo([there])
    await Promise.all(Array.from({ length: 40 }, (_, n) => send({ n })))
    expect(there.seen).toHaveLength(40)
    expect(most).toBeLessThanOrEqual(8)
  })

  it('goes on to the next place when one is not there', async () => {
    const there = await listen()
    const gone = await listen()
    await cleanups.pop()?.()
    expect((await carrierTo([gone, there])()).status).toBe(200)
  })

  it.each<[string, () => Promise<There>, { trust?: boolean }]>([
    ['of another name', () => listen({ names: ['other.example'] }), {}],
    ['that has expired', () => listen({ expired: true }), {}],
    ['of an authority that is not trusted', async () => listen({ by: await createTestCa() }), {}],
    ['of the test authority, where that is not trusted', () => listen(), { trust: false }],
  ])('tells nothing to a server with a certificate %s', async (_, make, trust) => {
    const there = await make()
    await expect(carrierTo([there], trust)()).rejects.toMatchObject({ code: 'unreachable' })
    expect(there.seen).toEqual([])
  })

  it('asks no literal address that may not be reached, unless the operator named it', async () => {
    const there = await listen({ names: ['127.0.0.1'] })
    const literal = { host: '127.0.0.1', certificateName: '127.0.0.1', port: there.port }
    await expect(carrierTo([literal])()).rejects.toMatchObject({ code: 'refused' })
    expect(there.connections).toBe(0)
    expect((await carrierTo([{ ...literal, isConfigured: true }])()).status).toBe(200)
    expect((await carrierTo([literal], { mayReach: true })()).status).toBe(200)
  })

  it('follows no redirect', async () => {
    const there = await listen({
      raw: (_, response) => response.writeHead(302, { Location: 'https://elsewhere.example/' }).end(),
    })
    expect((await carrierTo([there])()).status).toBe(302)
  })

  it('gives up after its time, and when its caller does', async () => {
    const silent = await listen({ raw: () => undefined })
    const send = carrierTo([silent])
    await expect(send({}, 200)).rejects.toMatchObject({ code: 'timeout' })
    const stop = new AbortController()
    const sending = send({}, 10_000, stop.signal)
    stop.abort(new Error('no more'))
    await expect(sending).rejects.toThrow('no more')
  })

  it('sends again what went out on a connection that was closed there, and only that', async () => {
    const asked = new Map<unknown, number>()
    const there = await listen({
      raw: ({ socket, url }, response) => {
        const times = (asked.get(socket) ?? 0) + 1
        asked.set(socket, times)
        if (times > 1 || url?.includes('dead') === true) socket.destroy()
        else response.end('{}')
      },
    })
    const send = carrierTo([there])
    for (let n = 0; n < 3; n += 1) expect((await send({ n })).status).toBe(200)
    expect(there.connections).toBe(3)
    const never = await listen({ raw: ({ socket }) => socket.destroy() })
    await expect(carrierTo([never])()).rejects.toMatchObject({ code: 'timeout' })
    expect(never.connections).toBe(1)
  })

  it('waits so long for a connection, then goes on to the next place', async () => {
    const mute = createTcpServer(() => undefined)
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => void mute.close())
    const hanging = { port: (mute.address() as AddressInfo).port }
    const there = await listen()
    // Longer than a busy machine takes to make one.
    const limit = { connectLimitMs: 1_000 }
    const alone = carrierTo([hanging], limit)()
    const send = carrierTo([hanging, there], limit)()
    await expect(alone).rejects.toMatchObject({ code: 'unreachable' })
    expect((await send).status).toBe(200)
  })

  it('does not count the time of an answer as that of a connection, on one that another request left either', async () => {
    const held: (() => void)[] = []
    const there = await listen({
      raw: (_, response) => {
        held.push(() => response.end('{}'))
        if (held.length === MAX_CONNECTIONS_PER_PLACE) for (const release of held) release()
        // The one that waited is answered after the time for a connection.
        if (held.length > MAX_CONNECTIONS_PER_PLACE) setTimeout(() => response.end('{}'), 2_500)
      },
    })
    const send = carrierTo([there], { connectLimitMs: 2_000 })
    const all = Array.from({ length: MAX_CONNECTIONS_PER_PLACE + 1 }, (_, n) => send({ n }))
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual(all.map(() => 200))
    expect(there.connections).toBe(MAX_CONNECTIONS_PER_PLACE)
  })

  it('lets one server have so many requests wait, and no more', async () => {
    const silent = await listen({ raw: () => undefined })
    const send = carrierTo([silent])
    const stop = new AbortController()
    const waiting = Array.from({ length: MAX_REQUESTS_PER_SERVER }, () => send({}, 10_000, stop.signal))
    await expect(send()).rejects.toMatchObject({ code: 'unreachable' })
    stop.abort(new Error('enough'))
    expect((await Promise.allSettled(waiting)).every(({ status }) => status === 'rejected')).toBe(true)
    await expect(send({}, 100)).rejects.toThrow('in time')
  })

  it('brings no more of an answer than is of use', async () => {
    const there = await listen()
    expect((await carrierTo([there], { maxBytes: 2 })()).status).toBe(200)
    await expect(carrierTo([there], { maxBytes: 1 })()).rejects.toMatchObject({ code: 'refused' })
  })

  it('takes no answer beyond its bound, and none that is cut short', async () => {
    const large = await listen({
      raw: (_, response) => {
        response.writeHead(200)
        const part = Buffer.alloc(1024 * 1024)
        const more = (): void => {
          while (!response.destroyed && response.write(part));
        }
        response.on('drain', more)
        more()
      },
    })
    await expect(carrierTo([large])()).rejects.toMatchObject({ code: 'refused' })
    const cut = await listen({
      raw: (incoming, response) => {
        response.writeHead(200, { 'Content-Length': 100 })
        response.write('{', () => incoming.socket.destroy())
      },
    })
    await expect(carrierTo([cut])()).rejects.toMatchObject({ code: 'timeout' })
  })
})

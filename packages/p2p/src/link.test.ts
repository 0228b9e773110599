import type { CarrierResponse, EnvelopedRequest } from '@plexus/engine/ports'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { createLink, HELLO_TIMEOUT_MS, RETIRE_TIMEOUT_MS, type Link } from './link.ts'
import {
  createAccount,
  createRequest,
  createResponse,
  silentLog,
  type TestAccount,
} from './testing/accounts.ts'
import { createStreamPair, type TestStream } from './testing/stream-pair.ts'
import { createVirtualClock, type VirtualClock } from './testing/virtual-clock.ts'
import { FederationFrame as K } from './wire/federation.ts'
import { createFrameReader, encodeFrame, type Frame } from './wire/frame.ts'
import { encodeHello, type SignedCertificate } from './wire/hello.ts'
import * as limits from './wire/limits.ts'
import { messagePart } from './wire/message.ts'

let alice: TestAccount
let bob: TestAccount
beforeAll(async () => {
  alice = await createAccount()
  bob = await createAccount()
})

const SESSION = 'ab'.repeat(16)

/** Lets everything that waits for nothing but promises go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

type End = {
  readonly link: Link
  readonly reasons: string[]
  readonly readies: number[]
  readonly handled: EnvelopedRequest[]
}

type EndInit = {
  readonly account: TestAccount
  readonly peerId: string
  readonly opener: 'local' | 'remote'
  readonly handle?: (request: EnvelopedRequest) => Promise<CarrierResponse>
  readonly certificate?: () => SignedCertificate
}

function createEnd(clock: VirtualClock, stream: TestStream, init: EndInit): End {
  const reasons: string[] = []
  const readies: number[] = []
  const handled: EnvelopedRequest[] = []
  const certificate = init.certificate ?? (() => init.account.certify(clock.now()))
  const link = createLink(
    {
      clock,
      log: silentLog,
      hello: (serial) => Promise.resolve({ ...certificate(), session: SESSION, serial, addresses: [] }),
      handle(request) {
        handled.push(request)
        return init.handle?.(request) ?? Promise.resolve(createResponse('fine'))
      },
      ready: () => readies.push(clock.now()),
      changed: () => undefined,
      closed: (_link, reason) => reasons.push(reason),
      ended: () => undefined,
    },
    { stream, peerId: init.peerId, direct: true, opener: init.opener, serial: 1 },
  )
  return { link, reasons, readies, handled }
}

/** Two links that have certified themselves. */
async function connect(init: { a?: Partial<EndInit>; b?: Partial<EndInit> } = {}) {
  const clock = createVirtualClock(Date.UTC(2026, 0, 1))
  const [sa, sb] = createStreamPair()
  const a = createEnd(clock, sa, { account: alice, peerId: bob.peerId, opener: 'local', ...init.a })
  const b = createEnd(clock, sb, { account: bob, peerId: alice.peerId, opener: 'remote', ...init.b })
  await settle()
  return { clock, a, b, sa, sb }
}

/** A link against a stream whose other end the test speaks itself. */
async function against(handle?: EndInit['handle']) {
  const clock = createVirtualClock(Date.UTC(2026, 0, 1))
  const [own, other] = createStreamPair()
  const facts = { account: alice, peerId: bob.peerId, opener: 'remote' } as const
  const end = createEnd(clock, own, handle === undefined ? facts : { ...facts, handle })
  const reader = createFrameReader()
  const got: Frame[] = []
  other.addEventListener('message', ({ data }) => {
    got.push(...reader.push(data instanceof Uint8Array ? data : data.subarray()).frames)
  })
  other.addEventListener('remoteCloseWrite', () => undefined)
  const hello = (signed = bob.certify(clock.now())): Uint8Array =>
    encodeFrame(K.hello, 0, encodeHello({ ...signed, session: SESSION, serial: 1, addresses: [] }))
  const say = async (...frames: Uint8Array[]): Promise<void> => {
    for (const frame of frames) if (other.status === 'open') other.send(frame)
    await settle()
  }
  return { ...end, clock, own, other, got, hello, say }
}

const header = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const requestFrame = (id: number, request: EnvelopedRequest): Uint8Array =>
  encodeFrame(K.request, id, messagePart({ header: header(request), body: new Uint8Array(0) }, 0))
const text = (response: CarrierResponse): string => new TextDecoder().decode(response.body)

describe('a link', () => {
  it('is ready when both sides have shown their certificates, and carries requests both ways', async () => {
    const { a, b } = await connect()
    expect([a.link.state, b.link.state]).toEqual(['ready', 'ready'])
    expect([a.link.name, b.link.name]).toEqual([bob.name, alice.name])
    const there = await a.link.request(createRequest(alice.name, bob.name, { n: 1 }), { timeoutMs: 1_000 })
    expect(there).toEqual(createResponse('fine'))
    await b.link.request(createRequest(bob.name, alice.name), { timeoutMs: 1_000 })
    expect(b.handled).toMatchObject([{ request: { content: { n: 1 } } }])
    expect(a.handled).toHaveLength(1)
  })

  it('carries acknowledgements, odd statuses and raw bytes unchanged', async () => {
    const response = {
      status: 404,
      contentType: 'image/png',
      body: Uint8Array.from({ length: 300_000 }, (_, index) => index % 251),
      acknowledgement: { incarnation: 'x', committed: 7 },
    }
    const { a } = await connect({ b: { handle: () => Promise.resolve(response) } })
    const got = await a.link.request(createRequest(alice.name, bob.name), { timeoutMs: 1_000 })
    expect(Buffer.compare(got.body, response.body)).toBe(0)
    expect({ ...got, body: 0 }).toEqual({ ...response, body: 0 })
  })

  it('carries a transaction of 50 events of 65 kB', async () => {
    const { a, b } = await connect()
    const pdus = Array.from({ length: 50 }, (_, n) => ({ n, body: 'x'.repeat(65_000) }))
    await a.link.request(createRequest(alice.name, bob.name, { pdus }), { timeoutMs: 1_000 })
    expect(b.handled[0]?.request.content).toEqual({ pdus })
  })

  it('has 64 requests under way at once, and further ones in turn', async () => {
    const gates: (() => void)[] = []
    const handle = (): Promise<CarrierResponse> =>
      new Promise((resolve) => gates.push(() => resolve(createResponse('late'))))
    const { a, b } = await connect({ b: { handle } })
    const sends = Array.from({ length: 100 }, () =>
      a.link.request(createRequest(alice.name, bob.name), { timeoutMs: 10_000 }),
    )
    await settle()
    expect(b.handled).toHaveLength(limits.MAX_IN_FLIGHT)
    while (gates.length > 0) {
      for (const open of gates.splice(0)) open()
      await settle()
    }
    expect((await Promise.all(sends)).map(text)).toEqual(Array.from({ length: 100 }, () => 'late'))
  })

  it('refuses at once what has no place to wait', async () => {
    const { a } = await connect({ b: { handle: () => new Promise(() => undefined) } })
    const places = limits.MAX_IN_FLIGHT + limits.MAX_WAITING_REQUESTS
    const outcomes: string[] = []
    for (let n = 0; n < places + 5; n += 1) {
      a.link.request(createRequest(alice.name, bob.name), { timeoutMs: 10_000 }).then(
        () => outcomes.push('answered'),
        (error: unknown) =>
          outcomes.push(error instanceof Error && 'code' in error ? String(error.code) : '?'),
      )
    }
    await settle()
    expect(outcomes).toEqual(Array.from({ length: 5 }, () => 'unreachable'))
    a.link.close('done')
    await settle()
    expect(outcomes).toHaveLength(places + 5)
  })

  it('ends a request at its deadline, with the other side told', async () => {
    const { clock, a, b } = await connect({ b: { handle: () => new Promise(() => undefined) } })
    const outcome = expect(
      a.link.request(createRequest(alice.name, bob.name), { timeoutMs: 3_000 }),
    ).rejects.toMatchObject({ name: 'CarrierError', code: 'timeout' })
    await settle()
    clock.advance(2_999)
    expect(a.link.active).toBe(1)
    clock.advance(1)
    await outcome
    expect(a.link.active).toBe(0)
    expect([a.link.state, b.link.state]).toEqual(['ready', 'ready'])
  })

  it('ends a request with its signal', async () => {
    const { a } = await connect({ b: { handle: () => new Promise(() => undefined) } })
    const abort = new AbortController()
    const options = { timeoutMs: 3_000, signal: abort.signal }
    const outcome = expect(a.link.request(createRequest(alice.name, bob.name), options)).rejects.toThrow(
      'enough',
    )
    abort.abort(new Error('enough'))
    await outcome
    expect(a.link.active).toBe(0)
  })

  it('ends all requests when the stream ends', async () => {
    const { a, sb } = await connect({ b: { handle: () => new Promise(() => undefined) } })
    const outcome = expect(
      a.link.request(createRequest(alice.name, bob.name), { timeoutMs: 60_000 }),
    ).rejects.toMatchObject({ code: 'timeout' })
    await settle()
    sb.abort(new Error('gone'))
    await outcome
    expect(a.link.state).toBe('closed')
    expect(a.reasons).toHaveLength(1)
  })

  it('answers for a handler that failed, and stays', async () => {
    const { a } = await connect({ b: { handle: () => Promise.reject(new Error('bug')) } })
    const request = createRequest(alice.name, bob.name)
    await expect(a.link.request(request, { timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'timeout' })
    expect(a.link.state).toBe('ready')
  })

  it('refuses an answer that is too large before it is kept', async () => {
    const body = new Uint8Array(limits.MAX_RESPONSE_BYTES + 1)
    const { a } = await connect({
      b: { handle: () => Promise.resolve({ status: 200, contentType: 'image/png', body }) },
    })
    const request = createRequest(alice.name, bob.name)
    await expect(a.link.request(request, { timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'refused' })
  })

  it('refuses to send a request that is too large', async () => {
    const { a } = await connect()
    const request = createRequest(alice.name, bob.name, { text: 'x'.repeat(limits.MAX_REQUEST_BYTES) })
    await expect(a.link.request(request, { timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'refused' })
  })

  it('measures the round trip', async () => {
    const { a } = await connect()
    expect(a.link.rttMs).toBe(0)
  })
})

describe('certificates', () => {
  it.each([
    ['for another peer id', () => bob.certify(0, { peerId: alice.peerId, ...validity() })],
    ['that expired', () => bob.certify(0, { notBefore: 1, expires: Date.UTC(2025, 11, 31) })],
    [
      'that is not valid yet',
      () => bob.certify(0, { notBefore: Date.UTC(2026, 1, 1), expires: Date.UTC(2026, 2, 1) }),
    ],
    [
      'that another key signed',
      () => ({ ...bob.certify(0, validity()), signature: alice.certify(0).signature }),
    ],
    [
      'with a name that did not sign',
      () => alice.certify(0, { name: bob.name, peerId: bob.peerId, ...validity() }),
    ],
  ])('%s end the stream before anything of it is processed', async (_what, certificate) => {
    const { a, b } = await connect({ b: { certificate } })
    expect(a.link.state).toBe('closed')
    expect(b.link.state).toBe('closed')
    expect(a.readies).toEqual([])
    expect(a.reasons).toHaveLength(1)
  })

  it('must come first, and in time', async () => {
    const early = await against()
    await early.say(requestFrame(1, createRequest(bob.name, alice.name)), early.hello())
    expect(early.reasons).toEqual(['no certificate'])
    expect(early.handled).toEqual([])
    const late = await against()
    late.clock.advance(HELLO_TIMEOUT_MS)
    expect(late.reasons).toEqual(['no certificate in time'])
  })

  it('can be renewed, for the same name only', async () => {
    const peer = await against()
    await peer.say(peer.hello(), peer.hello(bob.certify(peer.clock.now() + 1)))
    expect(peer.readies).toHaveLength(2)
    await peer.say(peer.hello(alice.certify(peer.clock.now(), { peerId: bob.peerId })))
    expect(peer.reasons).toEqual(['the name changed'])
  })

  it('end the stream when they expire unrenewed', async () => {
    const hour = 3_600_000
    const expires = Date.UTC(2026, 0, 1) + hour
    const { clock, a, b } = await connect({
      b: { certificate: () => bob.certify(Date.UTC(2026, 0, 1), { expires }) },
    })
    for (let minutes = 0; minutes < 59; minutes += 1) {
      clock.advance(60_000)
      await settle()
    }
    expect([a.link.state, b.link.state]).toEqual(['ready', 'ready'])
    clock.advance(120_000)
    expect(a.reasons).toEqual(['certificate expired'])
  })

  it('cannot be shown at a rate that costs us time', async () => {
    const peer = await against()
    await peer.say(...Array.from({ length: 40 }, () => peer.hello()))
    expect(peer.reasons).toEqual(['too many control frames'])
    expect(peer.readies.length).toBeLessThan(30)
  })
})

function validity() {
  const now = Date.UTC(2026, 0, 1)
  return { notBefore: now, expires: now + 3_600_000 }
}

describe('a hostile peer', () => {
  it('cannot speak for another origin', async () => {
    const peer = await against()
    await peer.say(peer.hello(), requestFrame(1, createRequest(alice.name, alice.name)))
    expect(peer.handled).toEqual([])
    expect(peer.got.at(-1)).toEqual({ kind: K.refuse, id: 1, body: Uint8Array.of(4) })
    expect(peer.link.state).toBe('ready')
  })

  it.each([
    [
      'a request that is none',
      encodeFrame(K.request, 1, messagePart({ header: header({ a: 1 }), body: new Uint8Array(0) }, 0)),
      3,
    ],
    [
      'a request that is no JSON',
      encodeFrame(K.request, 1, messagePart({ header: Uint8Array.of(0xff), body: new Uint8Array(0) }, 0)),
      3,
    ],
    [
      'a request that says it is too long',
      encodeFrame(K.request, 1, Uint8Array.of(0xff, 0, 0, 0, 0, 0, 0, 0)),
      2,
    ],
    [
      'a request with raw bytes',
      encodeFrame(K.request, 1, messagePart({ header: header({}), body: Uint8Array.of(1) }, 0)),
      2,
    ],
  ])('is refused %s', async (_what, frame, code) => {
    const peer = await against()
    await peer.say(peer.hello(), frame)
    expect(peer.handled).toEqual([])
    expect(peer.got.at(-1)).toEqual({ kind: K.refuse, id: 1, body: Uint8Array.of(code) })
  })

  it.each([
    ['an unknown kind', encodeFrame(200, 1, new Uint8Array(0))],
    ['a request cut into crumbs', encodeFrame(K.request, 1, Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 0, 1))],
    ['a credit of nothing', encodeFrame(K.credit, 0, Uint8Array.of(0, 0, 0, 1))],
    ['credit that was never spent', encodeFrame(K.credit, 0, Uint8Array.of(0x7f, 0, 0, 0))],
    ['an over-long frame', Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1)],
  ])('is cut off for %s', async (_what, frame) => {
    const peer = await against()
    await peer.say(peer.hello(), frame)
    expect(peer.link.state).toBe('closed')
    expect(peer.reasons).toHaveLength(1)
  })

  it('never makes it throw with any frames', async () => {
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.constant(
        messagePart({ header: header(createRequest(bob.name, alice.name)), body: new Uint8Array(0) }, 0),
      ),
    )
    const frame = fc.tuple(fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 3 }), body)
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 12 }), async (frames) => {
        const peer = await against()
        await peer.say(peer.hello(), ...frames.map(([kind, id, bytes]) => encodeFrame(kind, id, bytes)))
        if (peer.link.state === 'closed') expect(peer.reasons).toHaveLength(1)
        else await peer.say(requestFrame(9, createRequest(bob.name, alice.name)))
      }),
      { numRuns: 200 },
    )
  })

  it('that asks without reading costs a bounded queue of answers', async () => {
    const body = new Uint8Array(1_000_000)
    const peer = await against(() => Promise.resolve({ status: 200, contentType: 'image/png', body }))
    await peer.say(peer.hello())
    peer.other.stalled = true
    for (let n = 0; n < 200; n += 1) await peer.say(requestFrame(n + 1, createRequest(bob.name, alice.name)))
    expect(peer.handled).toHaveLength(200)
    expect(peer.own.writeBufferLength).toBeLessThan(limits.CREDIT_WINDOW)
    peer.other.stalled = false
    await settle()
    const refused = peer.got.filter(({ kind }) => kind === K.refuse).length
    expect(refused).toBe(200 - Math.floor(limits.MAX_QUEUED_BYTES / (body.length + 100)))
  })

  it('that asks faster than it may is answered at the rate that it may, and refused beyond what may wait', async () => {
    const peer = await against()
    await peer.say(peer.hello())
    const extra = limits.MAX_IN_FLIGHT + 10
    for (let n = 0; n < limits.REQUEST_BURST + extra; n += 1)
      await peer.say(requestFrame(n + 1, createRequest(bob.name, alice.name)))
    expect(peer.handled).toHaveLength(limits.REQUEST_BURST)
    expect(peer.got.filter(({ kind, body }) => kind === K.refuse && body[0] === 1)).toHaveLength(10)
    peer.clock.advance(limits.MAX_IN_FLIGHT / 2 / (limits.REQUESTS_PER_SECOND / 1_000))
    await settle()
    expect(peer.handled).toHaveLength(limits.REQUEST_BURST + limits.MAX_IN_FLIGHT / 2)
  })

  it('that cancels what waits for its turn is not served for it', async () => {
    const peer = await against()
    await peer.say(peer.hello())
    for (let n = 0; n <= limits.REQUEST_BURST; n += 1)
      await peer.say(requestFrame(n + 1, createRequest(bob.name, alice.name)))
    await peer.say(encodeFrame(K.cancel, limits.REQUEST_BURST + 1, new Uint8Array(0)))
    peer.clock.advance(1_000)
    await settle()
    expect(peer.handled).toHaveLength(limits.REQUEST_BURST)
    expect(peer.link.active).toBe(0)
  })

  it('that pings without end is cut off', async () => {
    const peer = await against()
    await peer.say(peer.hello())
    const pings = Array.from({ length: limits.CONTROL_FRAME_BURST + 10 }, (_, id) =>
      encodeFrame(K.ping, id, new Uint8Array(0)),
    )
    await peer.say(...pings)
    expect(peer.reasons).toEqual(['too many control frames'])
  })
})

describe('a slow peer', () => {
  it('gets no more than the window, and what waits for it is bounded', async () => {
    const { a, sa, sb } = await connect()
    sb.stalled = true
    const outcomes: unknown[] = []
    const content = { text: 'x'.repeat(10 * 1024 * 1024) }
    for (let n = 0; n < 20; n += 1)
      a.link
        .request(createRequest(alice.name, bob.name, content), { timeoutMs: 60_000 })
        .catch((error: unknown) => {
          outcomes.push(error)
        })
    await settle()
    expect(sa.writeBufferLength).toBeLessThan(limits.CREDIT_WINDOW)
    expect(outcomes.length).toBe(20 - Math.floor(limits.MAX_QUEUED_BYTES / (10 * 1024 * 1024 + 1_000)))
    expect(outcomes[0]).toMatchObject({ code: 'unreachable' })
  })

  it('gets everything once it reads', async () => {
    const { a, b, sb } = await connect()
    sb.stalled = true
    const content = { text: 'x'.repeat(3_000_000) }
    const sends = Array.from({ length: 3 }, () =>
      a.link.request(createRequest(alice.name, bob.name, content), { timeoutMs: 60_000 }),
    )
    await settle()
    expect(b.handled).toHaveLength(0)
    sb.stalled = false
    expect((await Promise.all(sends)).map(text)).toEqual(['fine', 'fine', 'fine'])
  })

  it('gets a small request before a large one is through', async () => {
    const { a, b, sb } = await connect()
    sb.stalled = true
    const large = a.link.request(createRequest(alice.name, bob.name, { text: 'x'.repeat(3_000_000) }), {
      timeoutMs: 60_000,
    })
    const small = a.link.request(createRequest(alice.name, bob.name, { text: 'small' }), {
      timeoutMs: 60_000,
    })
    await settle()
    sb.stalled = false
    await Promise.all([large, small])
    expect(b.handled[0]?.request.content).toEqual({ text: 'small' })
  })

  it('that says nothing for long is given up', async () => {
    const peer = await against()
    await peer.say(peer.hello())
    peer.clock.advance(60_000)
    expect(peer.reasons).toEqual([])
    peer.clock.advance(60_000)
    expect(peer.reasons).toEqual(['no sign of life'])
  })
})

describe('retiring', () => {
  it('lets requests under way finish, takes no more, and closes on both sides', async () => {
    const gates: (() => void)[] = []
    const handle = (): Promise<CarrierResponse> =>
      new Promise((resolve) => gates.push(() => resolve(createResponse('late'))))
    const { a, b } = await connect({ b: { handle } })
    const under = a.link.request(createRequest(alice.name, bob.name), { timeoutMs: 10_000 })
    await settle()
    a.link.retire()
    b.link.retire()
    await settle()
    expect([a.link.state, b.link.state]).toEqual(['retiring', 'retiring'])
    gates[0]?.()
    expect(text(await under)).toBe('late')
    await settle()
    expect([a.link.state, b.link.state]).toEqual(['closed', 'closed'])
  })

  it('needs the other side only to hear of it', async () => {
    const { a, b } = await connect()
    a.link.retire()
    await settle()
    expect([a.link.state, b.link.state]).toEqual(['closed', 'closed'])
  })

  it('ends in time with a peer that does not agree', async () => {
    const peer = await against()
    await peer.say(peer.hello())
    peer.link.retire()
    await settle()
    expect(peer.link.state).toBe('retiring')
    peer.clock.advance(RETIRE_TIMEOUT_MS)
    expect(peer.link.state).toBe('closed')
  })
})

/** What a link believes and bears of the other side. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HELLO_TIMEOUT_MS } from './link.ts'
import { createRequest } from './testing/accounts.ts'
import { against, alice, bob, connect, header, requestFrame, settle, text } from './testing/link-ends.ts'
import { FederationFrame as K } from './wire/federation.ts'
import { encodeFrame } from './wire/frame.ts'
import * as limits from './wire/limits.ts'
import { messagePart } from './wire/message.ts'

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

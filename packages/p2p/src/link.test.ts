/** What a link carries between two who keep to the protocol. */
import type { CarrierResponse } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import { RETIRE_TIMEOUT_MS } from './link.ts'
import { createRequest, createResponse } from './testing/accounts.ts'
import { against, alice, bob, connect, settle, text } from './testing/link-ends.ts'
import * as limits from './wire/limits.ts'

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

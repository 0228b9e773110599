import type { ServerName } from '@plexus/core'
import { CarrierError, FederationError, MailError, StoreError } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import { createBridge, type Bridge, type BridgePort, type Methods } from './bridge.ts'

/** Two ends of a channel; messages are cloned and arrive in order, later. */
function channel(): { a: BridgePort; b: BridgePort } {
  type Listener = (event: { readonly data: unknown }) => void
  const listeners = { a: new Set<Listener>(), b: new Set<Listener>() }
  const end = (own: 'a' | 'b', other: 'a' | 'b'): BridgePort => ({
    postMessage(message) {
      const data: unknown = structuredClone(message)
      queueMicrotask(() => {
        for (const listener of listeners[other]) listener({ data })
      })
    },
    addEventListener: (_type, listener) => listeners[own].add(listener),
    removeEventListener: (_type, listener) => listeners[own].delete(listener),
  })
  return { a: end('a', 'b'), b: end('b', 'a') }
}

function pair<Remote extends Methods>(remote: Remote): Bridge<Remote> {
  const { a, b } = channel()
  createBridge(b, remote)
  return createBridge<Remote>(a, {})
}

const OLD_RECORD = {
  name: 'k51' as ServerName,
  sequence: 1,
  expires: 2,
  mailboxes: [],
  devices: [],
  sealingKeys: [],
}

describe('the bridge', () => {
  it('calls both ways at once', async () => {
    const { a, b } = channel()
    type Upper = { upper: (text: string) => Promise<string> }
    type Twice = { twice: (count: number) => Promise<number> }
    const left = createBridge<Upper>(a, { twice: async (count: number) => count * 2 })
    const right = createBridge<Twice>(b, { upper: async (text: string) => text.toUpperCase() })
    const answers = await Promise.all([
      left.call('upper', 'abc'),
      right.call('twice', 21),
      left.call('upper', 'd'),
    ])
    expect(answers).toEqual(['ABC', 42, 'D'])
  })

  it('keeps bytes as bytes', async () => {
    const bridge = pair({ reverse: async (bytes: Uint8Array) => bytes.toReversed() })
    expect(await bridge.call('reverse', Uint8Array.of(1, 2, 3))).toEqual(Uint8Array.of(3, 2, 1))
  })

  it.each([
    new CarrierError('timeout', 'no answer'),
    new StoreError('fenced', 'another owner'),
    new FederationError({ status: 403, errcode: 'M_FORBIDDEN', error: 'no' }),
    new MailError('old-key', { record: OLD_RECORD, signature: 'c2ln' }),
    new RangeError('too long'),
  ])('brings %s over as it was', async (error) => {
    const bridge = pair({ fail: async (_argument: null) => Promise.reject(error) })
    const thrown = await bridge.call('fail', null).catch((fault: unknown) => fault)
    expect(thrown).toMatchObject({ name: error.name, message: error.message })
    for (const field of ['code', 'remote', 'record'] as const) {
      expect(Reflect.get(thrown as object, field)).toEqual(Reflect.get(error, field))
    }
  })

  it('keeps the error code of the specification', async () => {
    const error = Object.assign(new Error('no'), { errcode: 'M_LIMIT_EXCEEDED' })
    const bridge = pair({ fail: async (_argument: null) => Promise.reject(error) })
    await expect(bridge.call('fail', null)).rejects.toMatchObject({ errcode: 'M_LIMIT_EXCEEDED' })
  })

  it('refuses what is not offered, also what every object has', async () => {
    const bridge = pair<Methods>({})
    await expect(bridge.call('constructor', null as never)).rejects.toThrow('offers no constructor')
  })

  it('tells the other side when nobody waits any more', async () => {
    const aborted = Promise.withResolvers<void>()
    const bridge = pair({
      wait: async (_argument: null, signal: AbortSignal) => {
        signal.addEventListener('abort', () => aborted.resolve())
        return new Promise<never>(() => undefined)
      },
    })
    const controller = new AbortController()
    const call = bridge.call('wait', null, { signal: controller.signal })
    queueMicrotask(() => controller.abort(new Error('enough')))
    await expect(call).rejects.toThrow('enough')
    await aborted.promise
  })

  it('does not start a call whose signal has fired', async () => {
    let calls = 0
    const bridge = pair({
      count: async (_argument: null) => {
        calls += 1
      },
      done: async (_argument: null) => undefined,
    })
    await expect(
      bridge.call('count', null, { signal: AbortSignal.abort(new Error('late')) }),
    ).rejects.toThrow('late')
    await bridge.call('done', null)
    expect(calls).toBe(0)
  })

  it('fails what waits and what comes when it closes', async () => {
    const bridge = pair({ wait: async (_argument: null) => new Promise<never>(() => undefined) })
    const call = bridge.call('wait', null)
    bridge.close('the worker stopped')
    await expect(call).rejects.toThrow('the worker stopped')
    await expect(bridge.call('wait', null)).rejects.toThrow('the worker stopped')
  })
})

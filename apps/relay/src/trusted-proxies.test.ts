import type { IncomingMessage } from 'node:http'
import fc from 'fast-check'
import { isIP } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createClientOf, readTrustedProxies } from './trusted-proxies.ts'

const requestOf = (remoteAddress: string, forwarded?: string): IncomingMessage =>
  ({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  }) as unknown as IncomingMessage

describe('trusted proxies', () => {
  const clientOf = createClientOf(readTrustedProxies(['127.0.0.1', '10.0.0.0/8', 'fd00::/8']))

  it.each([
    ['127.0.0.1', '192.0.2.7', '192.0.2.7'],
    ['::ffff:127.0.0.1', '2001:db8::7', '2001:db8::7'],
    ['fd00::1', '192.0.2.7', '192.0.2.7'],
    // Another of them stands between, and somebody wrote the first.
    ['127.0.0.1', '203.0.113.9, 192.0.2.7, 10.1.2.3', '192.0.2.7'],
    // Nobody of theirs told it.
    ['192.0.2.1', '203.0.113.9', undefined],
    ['10.0.0.1', undefined, undefined],
    ['10.0.0.1', '', undefined],
    ['10.0.0.1', '192.0.2.7, unknown', undefined],
    ['10.0.0.1', '192.0.2.7:80', undefined],
    ['10.0.0.1', 'fe80::1%eth0', undefined],
    ['10.0.0.1', '10.0.0.2', undefined],
    ['10.0.0.1', `192.0.2.7${', 10.0.0.2'.repeat(8)}`, undefined],
  ])('at %s that tell %j mean %s', (from, forwarded, client) => {
    expect(clientOf(requestOf(from, forwarded))).toBe(client)
  })

  it('tell an address or nothing, whatever they say', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const client = clientOf(requestOf('10.0.0.1', text))
        return client === undefined || isIP(client) !== 0
      }),
    )
  })

  it('are none by default', () => {
    expect(createClientOf(readTrustedProxies())(requestOf('127.0.0.1', '192.0.2.7'))).toBeUndefined()
  })

  it.each(['', 'proxy.example.org', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/-1', '10.0.0/8', '::1%lo', '/8'])(
    'are not %j',
    (text) => {
      expect(() => readTrustedProxies([text])).toThrow(/--trusted-proxy/)
    },
  )

  it('are so many', () => {
    expect(() => readTrustedProxies(Array.from({ length: 33 }, () => '127.0.0.1'))).toThrow(/more than 32/)
  })
})

import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import { createGater } from './gater.ts'
import { isPublicAddress } from './wire/public-address.ts'

const RELAY = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'
const OTHER = '12D3KooWJsPyoEHJYkUDaFRYBBRHcLbmvFo9mtfQYHBNXjgvUPeC'
const PEER = '12D3KooWLUZUuPYNTYZ3xqCiYzMwqfMG4mRmpNhGwVjVxBCfJoBk'

describe('addresses on the public Internet', () => {
  it.each([
    '/ip4/8.8.8.8/tcp/1',
    '/ip4/172.32.0.1/tcp/1',
    '/ip4/100.63.0.1/tcp/1',
    '/ip6/2606:4700:4700::1111/tcp/1',
    '/dns4/relay.example.org/tcp/443/tls/ws',
    '/dns/relay.example.org/tcp/443/wss',
  ])('%s', (address) => expect(isPublicAddress(multiaddr(address))).toBe(true))

  it.each([
    '/ip4/127.0.0.1/tcp/1',
    '/ip4/0.0.0.0/tcp/1',
    '/ip4/10.1.2.3/tcp/1',
    '/ip4/100.64.0.1/tcp/1',
    '/ip4/169.254.169.254/tcp/80',
    '/ip4/172.16.0.1/tcp/1',
    '/ip4/192.168.1.1/tcp/1',
    '/ip4/224.0.0.1/tcp/1',
    '/ip4/255.255.255.255/tcp/1',
    '/ip6/::1/tcp/1',
    '/ip6/::/tcp/1',
    '/ip6/0:0:0:0:0:0:0:1/tcp/1',
    '/ip6/fe80::1/tcp/1',
    '/ip6/fd00::2/tcp/1',
    '/ip6/::ffff:127.0.0.1/tcp/1',
    '/ip6/::ffff:7f00:1/tcp/1',
    '/ip6/64:ff9b::7f00:1/tcp/1',
    '/ip6/2002:7f00:1::/tcp/1',
    '/ip6/2001::1/tcp/1',
    '/ip6/2001:db8::1/tcp/1',
    '/ip6/ff02::1/tcp/1',
    '/dns4/localhost/tcp/1',
    '/dns4/printer.local/tcp/1',
    '/dns4/intranet/tcp/1',
    '/dns4/10.0.0.1/tcp/1',
    '/dnsaddr/example.org',
    '/unix/tmp%2fsocket',
    `/p2p/${PEER}`,
    '/webrtc',
  ])('not %s', (address) => expect(isPublicAddress(multiaddr(address))).toBe(false))
})

describe('the connection gater', () => {
  const relay = `/ip4/127.0.0.1/tcp/8008/ws/p2p/${RELAY}`
  const gater = createGater({ relays: [relay], lan: false })

  it('allows the configured relay wherever it lies, and what it relays', () => {
    expect(gater.allows(relay)).toBe(true)
    expect(gater.allows(`${relay}/p2p-circuit/p2p/${PEER}`)).toBe(true)
    expect(gater.allows(`${relay}/p2p-circuit/webrtc/p2p/${PEER}`)).toBe(true)
    expect(gater.allows(`/ip4/10.0.0.1/tcp/1/ws/p2p/${RELAY}/p2p-circuit/p2p/${PEER}`)).toBe(true)
  })

  it('refuses private addresses of peers and of relays that are not configured', () => {
    expect(gater.allows(`/ip4/127.0.0.1/tcp/8008/ws/p2p/${OTHER}`)).toBe(false)
    expect(gater.allows(`/ip4/127.0.0.1/tcp/9/ws/p2p/${RELAY}`)).toBe(false)
    expect(gater.allows(`/ip4/192.168.0.1/tcp/80/p2p/${PEER}`)).toBe(false)
    expect(gater.allows(`/ip4/192.168.0.1/tcp/80/ws/p2p/${OTHER}/p2p-circuit/p2p/${PEER}`)).toBe(false)
    expect(gater.allows('no multiaddr')).toBe(false)
  })

  it('refuses a relay behind a relay', () => {
    expect(gater.allows(`${relay}/p2p-circuit/p2p/${OTHER}/p2p-circuit/p2p/${PEER}`)).toBe(false)
  })

  it('allows public addresses', () => {
    expect(gater.allows(`/ip4/8.8.8.8/tcp/80/ws/p2p/${OTHER}/p2p-circuit/p2p/${PEER}`)).toBe(true)
    expect(gater.allows(`/ip4/8.8.8.8/tcp/80/p2p/${PEER}`)).toBe(true)
  })

  it('allows private ones on a local network', () => {
    const lan = createGater({ relays: [], lan: true })
    expect(lan.allows(`/ip4/192.168.0.1/tcp/80/p2p/${PEER}`)).toBe(true)
  })

  it('is what libp2p asks', () => {
    const asked = gater.connectionGater
    expect(asked.denyDialMultiaddr?.(multiaddr(relay))).toBe(false)
    expect(asked.denyDialMultiaddr?.(multiaddr(`/ip4/127.0.0.1/tcp/1/p2p/${PEER}`))).toBe(true)
  })
})

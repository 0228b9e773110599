import { describe, expect, it } from 'vitest'
import { webrtcMultiaddrs, websocketMultiaddr } from './public-addresses.ts'

describe('public addresses', () => {
  it.each([
    ['http://127.0.0.1:8008', '/ip4/127.0.0.1/tcp/8008/ws'],
    ['http://127.0.0.1', '/ip4/127.0.0.1/tcp/80/ws'],
    ['https://relay.example.org/', '/dns/relay.example.org/tcp/443/tls/ws'],
    ['https://relay.example.org:8443', '/dns/relay.example.org/tcp/8443/tls/ws'],
    ['http://[::1]:8008', '/ip6/::1/tcp/8008/ws'],
  ])('%s is %s', (url, address) => expect(websocketMultiaddr(url)).toBe(address))

  it('come from URLs of HTTP servers only', () => {
    expect(() => websocketMultiaddr('ftp://relay.example.org')).toThrow(TypeError)
    expect(() => websocketMultiaddr('nonsense')).toThrow(TypeError)
  })

  it('of WebRTC-Direct lead to the same host', () => {
    const loopback = '/ip4/127.0.0.1/udp/9/webrtc-direct/certhash/uAAA'
    const lan = '/ip4/192.168.1.5/udp/9/webrtc-direct/certhash/uAAA'
    const listening = ['/ip4/127.0.0.1/tcp/1/ws', loopback, lan]
    expect(webrtcMultiaddrs('http://127.0.0.1:8008', listening)).toEqual([loopback])
    expect(webrtcMultiaddrs('http://192.168.1.5:8008', listening)).toEqual([lan])
    expect(webrtcMultiaddrs('https://relay.example.org', listening)).toEqual([lan])
  })
})

import { describe, expect, it } from 'vitest'
import { isLocalHost, MAX_ICE_SERVERS, MAX_RELAY_ADDRESSES, parseConfig } from './config.ts'

const RELAY = '/ip4/127.0.0.1/tcp/8008/ws/p2p/12D3KooWRelay'

describe('plexus.json', () => {
  it('names relays and ICE servers', () => {
    expect(parseConfig({ relays: [RELAY], iceServers: [] })).toEqual({ relays: [RELAY], iceServers: [] })
    expect(parseConfig({ relays: [] })).toEqual({ relays: [], iceServers: [] })
    const turn = { urls: 'turn:relay.example', username: 'u', credential: 'c' }
    expect(parseConfig({ relays: [], iceServers: [{ ...turn, extra: 1 }] })).toEqual({
      relays: [],
      iceServers: [turn],
    })
  })

  it.each([
    null,
    [],
    'x',
    {},
    { relays: RELAY },
    { relays: [1] },
    { relays: ['https://relay.example'] },
    { relays: [`/${'x'.repeat(1_000)}`] },
    { relays: Array.from({ length: MAX_RELAY_ADDRESSES + 1 }, () => RELAY) },
    { relays: [], iceServers: 1 },
    { relays: [], iceServers: ['stun:a'] },
    { relays: [], iceServers: [{ urls: 'https://a' }] },
    { relays: [], iceServers: Array.from({ length: MAX_ICE_SERVERS + 1 }, () => ({ urls: 'stun:a' })) },
  ])('is refused as %j', (value) => {
    expect(parseConfig(value)).toBeUndefined()
  })
})

describe('a page of the own network', () => {
  it.each([
    'localhost',
    '127.0.0.1',
    '10.1.2.3',
    '192.168.1.5',
    '172.16.0.1',
    '172.31.255.1',
    '[::1]',
    '[fd00::1]',
    'box.local',
  ])('is %s', (host) => expect(isLocalHost(host)).toBe(true))
  it.each([
    'plexus.example',
    '172.15.0.1',
    '172.32.0.1',
    '8.8.8.8',
    '[2001:db8::1]',
    'local.example',
    '110.0.0.1',
    '10.plexus.example',
    '127.0.0.1.example',
  ])('is not %s', (host) => expect(isLocalHost(host)).toBe(false))
})

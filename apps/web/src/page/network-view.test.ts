import { parseServerName, type ServerName } from '@plexus/core'
import type { NetworkStatus } from '@plexus/p2p'
import { describe, expect, it } from 'vitest'
import { networkStatus, peerViews } from './network-view.ts'

function server(text: string): ServerName {
  const name = parseServerName(text)
  if (name === undefined) throw new Error('the fixture is no server name')
  return name
}

const ADA = server('ada.example')
const BO = server('bo.example')
const RELAY = '/ip4/127.0.0.1/tcp/8008/ws/p2p/12D3KooWRelay'
const names = (name: ServerName): readonly string[] => (name === ADA ? ['Ada'] : name === BO ? ['Bo'] : [])

const status = (
  state: NetworkStatus['state'],
  relay: 'connected' | 'connecting' | 'away',
): NetworkStatus => ({
  state,
  relays: [{ address: RELAY, state: relay, reserved: relay === 'connected' }],
  peers: [{ name: BO, peerId: '12D3KooWBo', path: 'relayed', rttMs: 12, since: 5, streams: 1 }],
})

describe('the network as it is shown', () => {
  it('has five states', () => {
    const states = (['online', 'relayed', 'noRelay', 'connecting', 'offline'] as const).map((state) =>
      networkStatus(status(state, 'away')),
    )
    expect(states).toEqual(['online', 'relayed', 'no-relay', 'connecting', 'offline'])
  })

  it('lists people by name, also those who are away, then relays', () => {
    const views = peerViews(status('relayed', 'connected'), [BO, ADA], names)
    expect(views.map(({ names, kind, state, rtt }) => ({ names, kind, state, rtt }))).toEqual([
      { names: ['Ada'], kind: 'node', state: 'offline', rtt: undefined },
      { names: ['Bo'], kind: 'node', state: 'relayed', rtt: 12 },
      { names: [], kind: 'relay', state: 'direct', rtt: undefined },
    ])
  })

  it('shows what a relay does', () => {
    const state = (relay: 'connected' | 'connecting' | 'away'): unknown =>
      peerViews(status('noRelay', relay), [], names).find(({ kind }) => kind === 'relay')?.state
    expect([state('connected'), state('connecting'), state('away')]).toEqual([
      'direct',
      'connecting',
      'offline',
    ])
  })
})

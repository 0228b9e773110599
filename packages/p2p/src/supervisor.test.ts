import { parseServerName, type ServerName } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { ConnectResult } from './dialer.ts'
import type { LinkTable, PeerInfo } from './link-table.ts'
import { YIELD_MS } from './peer-keeper.ts'
import type { RelayKeeper, RelayStatus } from './relay-keeper.ts'
import { createSupervisor, MAX_WANTED_NAMES, WATCHDOG_MS, type NetworkStatus } from './supervisor.ts'
import { silentLog } from './testing/accounts.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function nameOf(text: string): ServerName {
  const name = parseServerName(text)
  if (name === undefined) throw new Error(text)
  return name
}
const friend = nameOf('friend.example')

function start(own = 'b', relayState: RelayStatus['state'] = 'connected') {
  const clock = createVirtualClock()
  const peers: PeerInfo[] = []
  const waiting = new Set<() => void>()
  const statuses: NetworkStatus[] = []
  const calls = {
    connects: 0,
    probes: 0,
    kicks: 0,
    appeared: [] as ServerName[],
    watched: new Set<ServerName>() as ReadonlySet<ServerName>,
  }
  const state = {
    result: 'failed' as ConnectResult,
    /** Who is there after an attempt. */
    meets: undefined as PeerInfo | undefined,
    relay: relayState,
    online: true,
  }
  let wake: () => void = () => undefined
  const table = {
    best: (name: ServerName) => (peers.some((peer) => peer.name === name) ? {} : undefined),
    peers: () => [...peers],
    probe: () => void (calls.probes += 1),
    until: (check: () => boolean, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (check()) resolve()
        }
        waiting.add(look)
        signal.addEventListener('abort', () => reject(signal.reason))
        look()
      }),
  } as unknown as LinkTable
  const relay = {
    get status() {
      return { address: 'relay', state: state.relay, reserved: true }
    },
    watch: (names: ReadonlySet<ServerName>) => void (calls.watched = names),
    kick: () => void (calls.kicks += 1),
  } as unknown as RelayKeeper
  const supervisor = createSupervisor({
    clock,
    log: silentLog,
    random: { bytes: (length) => new Uint8Array(length).fill(255) },
    platform: {
      transports: [],
      dialTransports: [],
      listen: [],
      announce: [],
      webrtc: false,
      maxConnections: 1,
      maxKeptPeers: 2,
      online: () => state.online,
      onWake(run) {
        wake = run
        return () => undefined
      },
    },
    table,
    relays: [relay],
    ownPeerId: own,
    connect() {
      calls.connects += 1
      if (state.meets !== undefined) peers.push(state.meets)
      return Promise.resolve(state.result)
    },
    peerIds: () => ['a'],
    changed: (status) => statuses.push(status),
    appeared: (name) => void calls.appeared.push(name),
  })
  const set = async (...infos: PeerInfo[]): Promise<void> => {
    peers.splice(0, peers.length, ...infos)
    for (const look of waiting) look()
    supervisor.touch()
    await settle()
  }
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await settle()
  }
  return { supervisor, statuses, calls, state, set, pass, clock, wake: () => wake() }
}

const peer = (path: 'direct' | 'relayed'): PeerInfo => ({
  name: friend,
  peerId: 'a',
  path,
  rttMs: 1,
  since: 0,
  streams: 1,
})

describe('the network state', () => {
  it('says how things stand', async () => {
    const { supervisor, state, set } = start()
    expect(supervisor.status.state).toBe('online')
    await set(peer('relayed'))
    expect(supervisor.status.state).toBe('relayed')
    await set(peer('direct'))
    expect(supervisor.status.state).toBe('online')
    state.relay = 'away'
    expect(supervisor.status.state).toBe('noRelay')
    await set()
    expect(supervisor.status.state).toBe('offline')
    state.relay = 'connected'
    state.online = false
    expect(supervisor.status.state).toBe('offline')
  })

  it('is that of somebody who connects until every relay was tried, and not when they are tried again', () => {
    const { supervisor, state } = start('b', 'connecting')
    expect(supervisor.status.state).toBe('connecting')
    state.online = false
    expect(supervisor.status.state).toBe('offline')
    state.online = true
    state.relay = 'away'
    expect(supervisor.status.state).toBe('offline')
    state.relay = 'connecting'
    expect(supervisor.status.state).toBe('offline')
  })

  it('is told once for many changes of a turn, and not when nothing changed', async () => {
    const { supervisor, statuses } = start()
    for (let n = 0; n < 5; n += 1) supervisor.touch()
    await settle()
    supervisor.touch()
    await settle()
    expect(statuses).toHaveLength(1)
  })
})

describe('a wanted name', () => {
  it('is tried again and again, then left alone while it is connected, then tried again', async () => {
    const { supervisor, calls, set, pass } = start()
    supervisor.want([friend])
    await settle()
    for (let second = 0; second < 60; second += 1) await pass(1_000)
    const tries = calls.connects
    expect(tries).toBeGreaterThan(3)
    expect(tries).toBeLessThan(12)
    await set(peer('direct'))
    for (let second = 0; second < 200; second += 1) await pass(1_000)
    const connected = calls.connects
    for (let second = 0; second < 200; second += 1) await pass(1_000)
    expect(calls.connects).toBe(connected)
    await set()
    expect(calls.connects).toBe(connected + 1)
  })

  it('that takes connections only to close them is not dialled in a loop', async () => {
    const { supervisor, calls, state, set, pass } = start()
    state.result = 'ready'
    state.meets = peer('direct')
    supervisor.want([friend])
    await settle()
    for (let flap = 0; flap < 100; flap += 1) {
      await set()
      await pass(100)
    }
    expect(calls.connects).toBeLessThan(10)
    for (let second = 0; second < 130; second += 1) await pass(1_000)
    const lasting = calls.connects
    await set()
    expect(calls.connects).toBe(lasting + 1)
  })

  it('of which nothing is known is not tried until there is news', async () => {
    const { supervisor, calls, state, pass } = start()
    state.result = 'unknown'
    supervisor.want([friend])
    for (let minutes = 0; minutes < 60; minutes += 1) await pass(60_000)
    expect(calls.connects).toBe(1)
    supervisor.news(friend)
    await pass(YIELD_MS)
    expect(calls.connects).toBe(2)
  })

  it('is dialled at once by the lower peer id, a little later by the higher one', async () => {
    for (const [own, atOnce] of [
      ['0', 2],
      ['z', 1],
    ] as const) {
      const { supervisor, calls, state, pass } = start(own)
      state.result = 'unknown'
      supervisor.want([friend])
      await pass(10_000)
      supervisor.news(friend)
      await pass(1)
      expect(calls.connects).toBe(atOnce)
      await pass(YIELD_MS)
      expect(calls.connects).toBe(2)
    }
  })

  it('is dialled no faster for a flood of news', async () => {
    const { supervisor, calls, state, pass } = start('0')
    state.result = 'unknown'
    supervisor.want([friend])
    await pass(10_000)
    for (let n = 0; n < 100; n += 1) {
      supervisor.news(friend)
      await pass(10)
    }
    expect(calls.connects).toBeLessThan(6)
  })

  it('is left when it is wanted no more', async () => {
    const { supervisor, calls, pass } = start()
    supervisor.want([friend])
    await settle()
    supervisor.want([])
    const before = calls.connects
    for (let minutes = 0; minutes < 10; minutes += 1) await pass(60_000)
    expect(calls.connects - before).toBeLessThan(2)
    expect(calls.watched.size).toBe(0)
  })

  it('is one of so many', () => {
    const { supervisor, calls } = start()
    supervisor.want(Array.from({ length: MAX_WANTED_NAMES + 5 }, (_, n) => nameOf(`n${n}.example`)))
    expect(calls.watched.size).toBe(MAX_WANTED_NAMES)
    expect(supervisor.wants(nameOf('n0.example'))).toBe(true)
    expect(supervisor.wants(nameOf(`n${MAX_WANTED_NAMES}.example`))).toBe(false)
    supervisor[Symbol.dispose]()
  })
})

describe('of more names than can be kept connected', () => {
  const names = ['first', 'second', 'third'].map((label) => nameOf(`${label}.example`))
  const [first, second, third] = names as [ServerName, ServerName, ServerName]

  it('the first are, and the others are told of when they appear', async () => {
    const { supervisor, calls, state, pass } = start('0')
    state.result = 'unknown'
    supervisor.want(names)
    await pass(10_000)
    expect(names.map((name) => supervisor.keeps(name))).toEqual([true, true, false])
    expect([calls.connects, calls.watched.size]).toEqual([2, 3])
    supervisor.news(third)
    supervisor.news(nameOf('stranger.example'))
    await pass(1)
    expect([calls.connects, calls.appeared]).toEqual([2, [third]])
  })

  it('one takes the place of another when it becomes more important', async () => {
    const { supervisor, calls, state, pass } = start('0')
    state.result = 'unknown'
    supervisor.want(names)
    await pass(10_000)
    supervisor.want([third, first, second])
    await pass(1)
    expect(names.map((name) => supervisor.keeps(name))).toEqual([true, false, true])
    expect(calls.connects).toBe(3)
  })
})

describe('waking up', () => {
  it('is noticed by the clock, also one that was set back', async () => {
    const { supervisor, calls, clock, pass } = start()
    for (let looks = 0; looks < 6; looks += 1) await pass(WATCHDOG_MS)
    expect(calls.probes).toBe(0)
    clock.freeze(3_600_000)
    await settle()
    expect([calls.probes, calls.kicks]).toEqual([1, 1])
    clock.set(-3_600_000)
    await pass(WATCHDOG_MS)
    expect(calls.probes).toBe(2)
    supervisor[Symbol.dispose]()
    clock.freeze(3_600_000)
    expect(calls.probes).toBe(2)
  })

  it('tries everything at once', async () => {
    const { supervisor, calls, state, pass, wake } = start('0')
    state.result = 'unknown'
    supervisor.want([friend])
    await pass(10_000)
    wake()
    await pass(1)
    expect(calls).toMatchObject({ probes: 1, kicks: 1, connects: 2 })
  })

  it('happens too when a relay comes back', async () => {
    const { supervisor, calls, state, pass } = start('0')
    state.result = 'unknown'
    state.relay = 'away'
    supervisor.touch()
    supervisor.want([friend])
    await pass(10_000)
    state.relay = 'connected'
    supervisor.touch()
    await settle()
    await pass(1)
    expect(calls.connects).toBe(2)
  })
})

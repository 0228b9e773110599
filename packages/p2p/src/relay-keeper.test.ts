import { peerIdFromString } from '@libp2p/peer-id'
import type { ServerName } from '@plexus/core'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  createRelayKeeper,
  FRESH_MS,
  QUESTION_BURST,
  REPLACED_WAIT_MS,
  RELAY_BACKOFF,
  RESERVE_RENEW_MS,
  type RelayKeeper,
} from './relay-keeper.ts'
import { createAccount, silentLog, type TestAccount } from './testing/accounts.ts'
import { createStreamPair, type TestStream } from './testing/stream-pair.ts'
import { createVirtualClock } from './testing/virtual-clock.ts'
import { encodeFrame, createFrameReader, type Frame } from './wire/frame.ts'
import { decodeNames, encodeEntry, RelayFrame as K, RelayRefusal, type RelayEntry } from './wire/relay.ts'

const RELAY = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'
const ADDRESS = `/ip4/127.0.0.1/tcp/8008/ws/p2p/${RELAY}`
const NOW = Date.UTC(2026, 0, 1)
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

let own: TestAccount
let friend: TestAccount
beforeAll(async () => {
  own = await createAccount()
  friend = await createAccount()
})

/** A relay that the test plays. */
function createFakeRelay() {
  const state = {
    up: true,
    /** Addresses that lead nowhere. */
    dead: new Set<string>(),
    /** The relay speaks its protocol. */
    opens: true,
    hangUps: 0,
    reserves: true,
    /** It answers for a place. */
    answers: true,
    here: [] as RelayEntry[],
    /** Comes right after the answer to a look-up. */
    comes: undefined as RelayEntry | undefined,
    registered: 0,
    dials: 0,
    reservations: 0,
    asked: 0,
  }
  let stream: TestStream | undefined
  const say = (kind: number, id: number, body?: Uint8Array): void =>
    void stream?.send(encodeFrame(kind, id, body ?? new Uint8Array(0)))
  function answer({ kind, id, body }: Frame): void {
    if (kind === K.ping) say(K.pong, id)
    if (kind === K.register) state.registered += 1
    if (kind === K.lookup) state.asked += 1
    if (kind === K.lookup || kind === K.watch) {
      const names = new Set(decodeNames(body))
      for (const entry of state.here) if (names.has(entry.name)) say(K.entry, id, encodeEntry(entry))
    }
    if (kind !== K.ping && kind !== K.unwatch) say(K.done, id)
    if (kind === K.lookup && state.comes !== undefined) say(K.entry, 0, encodeEntry(state.comes))
  }
  return {
    state,
    say,
    stop: (): void => {
      state.up = false
      stream?.abort(new Error('killed'))
    },
    network: {
      dial(address: string) {
        state.dials += 1
        return state.up && !state.dead.has(address)
          ? Promise.resolve(peerIdFromString(RELAY))
          : Promise.reject(new Error('refused'))
      },
      reserve() {
        state.reservations += 1
        if (!state.answers) return new Promise<void>(() => undefined)
        return state.reserves ? Promise.resolve() : Promise.reject(new Error('full'))
      },
      open() {
        if (!state.opens) return Promise.reject(new Error('no such protocol'))
        const [near, far] = createStreamPair()
        stream = far
        const reader = createFrameReader()
        far.addEventListener('message', ({ data }) => {
          for (const frame of reader.push(data instanceof Uint8Array ? data : data.subarray()).frames)
            answer(frame)
        })
        return Promise.resolve(near)
      },
      hangUp: () => void (state.hangUps += 1),
    },
  }
}

async function start(relay = createFakeRelay(), ...others: string[]) {
  const clock = createVirtualClock(NOW)
  const appeared: ServerName[] = []
  const keeper: RelayKeeper = createRelayKeeper(
    {
      clock,
      log: silentLog,
      random: { bytes: (length) => new Uint8Array(length).fill(255) },
      network: relay.network,
      certificate: () => Promise.resolve(own.certify(clock.now())),
      connected: () => () => undefined,
      registered: () => undefined,
      appeared: (name) => appeared.push(name),
      changed: () => undefined,
    },
    [ADDRESS, ...others],
  )
  await settle()
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await settle()
  }
  return { ...relay, keeper, appeared, pass }
}

const entryOf = (account: TestAccount): RelayEntry => ({
  name: account.name,
  devices: [account.certify(NOW)],
})
const circuit = (account: TestAccount): string => `${ADDRESS}/p2p-circuit/p2p/${account.peerId}`

describe('the relay keeper', () => {
  it('connects, reserves, registers and says so', async () => {
    const { keeper, state } = await start()
    expect(keeper.status).toEqual({ address: ADDRESS, state: 'connected', reserved: true })
    expect(state).toMatchObject({ registered: 1, reservations: 1 })
    await keeper[Symbol.asyncDispose]()
    expect(keeper.status.state).toBe('away')
  })

  it('comes back after the relay was away, at growing intervals', async () => {
    const { keeper, state, pass, stop } = await start()
    stop()
    await settle()
    expect(keeper.status).toMatchObject({ state: 'away', reserved: false })
    const before = state.dials
    for (let second = 0; second < 300; second += 1) await pass(1_000)
    const attempts = state.dials - before
    expect(attempts).toBeGreaterThan(8)
    expect(attempts).toBeLessThan(20)
    state.up = true
    for (let second = 0; second <= RELAY_BACKOFF.maxMs / 1_000; second += 1) await pass(1_000)
    expect(keeper.status).toMatchObject({ state: 'connected', reserved: true })
    expect(state.registered).toBe(2)
  })

  it('tries the addresses of the relay in turn, and gives out the one that leads to it', async () => {
    const relay = createFakeRelay()
    const other = `/ip4/127.0.0.1/udp/8008/webrtc-direct/p2p/${RELAY}`
    relay.state.dead.add(ADDRESS)
    relay.state.here = [entryOf(friend)]
    const { keeper, state } = await start(relay, other)
    expect(keeper.status).toEqual({ address: other, state: 'connected', reserved: true })
    expect(await keeper.find(friend.name)).toEqual([`${other}/p2p-circuit/p2p/${friend.peerId}`])
    expect(state.dials).toBe(2)
    await keeper[Symbol.asyncDispose]()
  })

  it('says of no place that it is reserved, and hangs up, when the relay does not speak its protocol', async () => {
    const relay = createFakeRelay()
    relay.state.opens = false
    const { keeper, state } = await start(relay)
    expect(keeper.status).toMatchObject({ state: 'away', reserved: false })
    expect(state.hangUps).toBe(1)
    await keeper[Symbol.asyncDispose]()
  })

  it('tries at once when it is kicked', async () => {
    const { keeper, state, stop } = await start()
    stop()
    await settle()
    state.up = true
    keeper.kick()
    await settle()
    expect(keeper.status.state).toBe('connected')
  })

  it('uses a relay without a free place, and asks for one again', async () => {
    const relay = createFakeRelay()
    relay.state.reserves = false
    const { keeper, state, pass } = await start(relay)
    expect(keeper.status).toMatchObject({ state: 'connected', reserved: false })
    state.reserves = true
    await pass(5_000)
    expect(keeper.status).toMatchObject({ state: 'connected', reserved: true })
  })

  it('asks for a place at growing intervals, and in none of a connection that is gone', async () => {
    const relay = createFakeRelay()
    relay.state.reserves = false
    const { state, pass, stop } = await start(relay)
    for (let second = 0; second < 600; second += 1) await pass(1_000)
    expect(state.reservations).toBeGreaterThan(12)
    expect(state.reservations).toBeLessThan(16)
    const before = state.reservations
    stop()
    for (let second = 0; second < 120; second += 1) await pass(1_000)
    expect(state.reservations).toBe(before)
  })

  it('waits for no place without an end, and stops meanwhile', async () => {
    const relay = createFakeRelay()
    relay.state.answers = false
    const { keeper, state, pass } = await start(relay)
    expect(state.registered).toBe(0)
    await pass(10_000)
    expect(keeper.status).toMatchObject({ state: 'connected', reserved: false })
    const other = createFakeRelay()
    other.state.answers = false
    await (await start(other)).keeper[Symbol.asyncDispose]()
    expect(other.state).toMatchObject({ registered: 0, hangUps: 1 })
  })

  it('renews its place, and asks for one again when that is refused', async () => {
    const { keeper, state, pass } = await start()
    await pass(RESERVE_RENEW_MS)
    expect(state.reservations).toBe(2)
    state.reserves = false
    await pass(RESERVE_RENEW_MS)
    expect(keeper.status).toMatchObject({ state: 'connected', reserved: false })
    state.reserves = true
    await pass(5_000)
    expect(keeper.status).toMatchObject({ state: 'connected', reserved: true })
    expect(state.reservations).toBe(4)
  })

  it('finds who is there by asking, and who is watched without', async () => {
    const { keeper, state, say, appeared, pass } = await start()
    expect(await keeper.find(friend.name)).toEqual([])
    expect(state.asked).toBe(1)
    keeper.watch(new Set([friend.name]))
    await settle()
    expect(await keeper.find(friend.name)).toEqual([])
    expect(state.asked).toBe(1)
    state.here = [entryOf(friend)]
    say(K.entry, 0, encodeEntry(entryOf(friend)))
    await settle()
    expect(appeared).toEqual([friend.name])
    expect(await keeper.find(friend.name)).toEqual([circuit(friend)])
    expect(state.asked).toBe(1)
    await pass(FRESH_MS)
    state.here = []
    expect(await keeper.find(friend.name)).toEqual([])
    expect(state.asked).toBe(2)
  })

  it('asks for a watched name as well until the relay has told who of those watched is there', async () => {
    const relay = createFakeRelay()
    relay.state.here = [entryOf(friend)]
    const { keeper, state } = await start(relay)
    keeper.watch(new Set([friend.name]))
    expect(await keeper.find(friend.name)).toEqual([circuit(friend)])
    expect(state.asked).toBe(1)
  })

  it('takes who comes right after the answer that nobody is there', async () => {
    const { keeper, state, appeared } = await start()
    state.comes = entryOf(friend)
    keeper.watch(new Set([friend.name]))
    expect(await keeper.find(friend.name)).toEqual([circuit(friend)])
    expect(appeared).toEqual([friend.name])
    // The relay tells of a change from here on, and is not asked again.
    await settle()
    expect(await keeper.find(friend.name)).toEqual([circuit(friend)])
    expect(state.asked).toBe(1)
  })

  it('asks so many questions at once', async () => {
    const { keeper, state, pass } = await start()
    for (let n = 0; n < QUESTION_BURST + 20; n += 1) await keeper.find(`n${n}.example` as ServerName)
    expect(state.asked).toBe(QUESTION_BURST)
    await pass(1_000)
    await keeper.find(friend.name)
    expect(state.asked).toBe(QUESTION_BURST + 1)
  })

  it('tells of watched names that are there already', async () => {
    const relay = createFakeRelay()
    relay.state.here = [entryOf(friend)]
    const { keeper, appeared } = await start(relay)
    keeper.watch(new Set([friend.name]))
    await settle()
    expect(appeared).toEqual([friend.name])
  })

  it('does not believe the relay in certificates that do not count, nor in names that it did not ask for', async () => {
    const relay = createFakeRelay()
    const wrong = { ...friend.certify(NOW), signature: own.certify(NOW).signature }
    relay.state.here = [{ name: friend.name, devices: [wrong, friend.certify(NOW, { expires: NOW })] }]
    const { keeper, say, appeared } = await start(relay)
    expect(await keeper.find(friend.name)).toEqual([])
    say(K.entry, 0, encodeEntry(entryOf(friend)))
    await settle()
    expect(appeared).toEqual([])
  })

  it('leaves the relay to another process that runs as the same node, for a while', async () => {
    const { keeper, say, pass } = await start()
    say(K.refuse, 0, Uint8Array.of(RelayRefusal.replaced))
    await settle()
    for (let second = 1; second < REPLACED_WAIT_MS / 1_000; second += 1) await pass(1_000)
    expect(keeper.status.state).toBe('away')
    for (let second = 0; second < 3; second += 1) await pass(1_000)
    expect(keeper.status.state).toBe('connected')
  })

  it('leaves a relay that speaks nonsense', async () => {
    const { keeper, say } = await start()
    say(99, 1)
    await settle()
    expect(keeper.status.state).toBe('away')
  })

  it('registers again when the certificate was renewed', async () => {
    const { keeper, state } = await start()
    keeper.renew()
    await settle()
    expect(state.registered).toBe(2)
  })
})

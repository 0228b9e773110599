/** What a device tells of where it is: the relays that it is at, and nothing else. */
import { deviceRecords, type DeviceRecord, type SignedRecord } from '@plexus/core/names'
import { CarrierError } from '@plexus/engine/ports'
import { createCommitter, createOwnDevice } from '@plexus/engine/testing'
import { createMemoryStore } from '@plexus/store/memory'
import { describe, expect, it } from 'vitest'
import { testSigner } from '../kit/keys.ts'

const PEER = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'
const RELAY = '/dns4/relay.example.org/tcp/443/wss/p2p/12D3KooWAd1otKgz5qQcqu7youoBhMsZUzFLw6Z26pvaYmM2LFcM'
const CIRCUIT = `${RELAY}/p2p-circuit/p2p/${PEER}`
const HOUR_MS = 3_600_000

async function start() {
  const store = await createMemoryStore()
  const state = { now: 1_700_000_000_000, addresses: [CIRCUIT] as string[], takes: true }
  const told: SignedRecord<DeviceRecord>[] = []
  const deps = {
    store,
    committer: await createCommitter(store),
    clock: { now: () => state.now, after: () => () => undefined },
    signer: testSigner(1),
    addresses: () => Promise.resolve(state.addresses),
    publish(signed: SignedRecord<DeviceRecord>) {
      told.push(signed)
      return state.takes ? Promise.resolve() : Promise.reject(new CarrierError('unreachable', 'nobody'))
    },
  }
  return { state, told, deps, publish: createOwnDevice(deps) }
}

describe('the record of a device', () => {
  it('has its ways through relays, and none of its own addresses or of others', async () => {
    const { state, told, publish } = await start()
    state.addresses = [
      CIRCUIT,
      `/ip4/192.168.1.7/tcp/4001/p2p/${PEER}`,
      `/ip4/203.0.113.7/tcp/4001/p2p/${PEER}`,
      `${RELAY}/p2p-circuit/webrtc/p2p/${PEER}`,
      RELAY,
    ]
    await publish(PEER)
    expect(told.map(({ record }) => record.multiaddrs)).toEqual([[CIRCUIT]])
    expect(told[0] && deviceRecords.check(told[0], state.now)).toBeUndefined()
    expect(told[0]?.record.expires).toBe(state.now + 24 * HOUR_MS)
  })

  it('is told when something changed, and every six hours; not while the device is at no relay', async () => {
    const { state, told, publish } = await start()
    await publish(PEER)
    state.now += 5 * HOUR_MS
    await publish(PEER)
    expect(told).toHaveLength(1)
    state.now += HOUR_MS
    await publish(PEER)
    expect(told).toHaveLength(2)
    state.addresses = []
    await publish(PEER)
    expect(told).toHaveLength(2)
    state.addresses = [CIRCUIT.replace('443', '444')]
    await publish(PEER)
    expect(told).toHaveLength(3)
  })

  it('has a higher sequence each time, also after a restart with the clock set back', async () => {
    const { state, told, deps, publish } = await start()
    state.takes = false
    await expect(publish(PEER)).rejects.toThrow('nobody')
    state.takes = true
    await createOwnDevice(deps)(PEER)
    state.now -= 48 * HOUR_MS
    await createOwnDevice(deps)(PEER)
    const [first, again, later] = told.map(({ record }) => record.sequence)
    expect(again).toBe(first)
    expect(later).toBeGreaterThan(again ?? 0)
  })
})

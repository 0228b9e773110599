/** Keys of who is away come within the time that the client gives, or as early after it as somebody shows them. */
import { encodeBase64, parseUserId, type JsonObject, type ServerName } from '@plexus/core'
import { shelfRecords, type MailboxAddress } from '@plexus/core/names'
import { CarrierError, FederationError, type CallOptions, type Federation } from '@plexus/engine/ports'
import {
  FIRST_SEEK_PAUSE_MS,
  loadSilentNames,
  MAX_SILENT_NAMES,
  SILENT_WAIT_MS,
  withShelves,
} from '@plexus/engine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { testSigner } from '../kit/keys.ts'
import { createTestNetwork, keysOf, type Member, type TestNetwork } from '../kit/node.ts'
import { ALGORITHM, deviceKeysOf, signed, testKey } from './users-kit.ts'

const bob = testSigner(9)
const user = parseUserId(`@bob:${bob.name}`) ?? expect.fail()
const key = testKey(5)
const relays = ['one', 'two'].map((peerId): MailboxAddress => ({ peerId, multiaddrs: [] }))
const claims = { [user]: { BOB: ALGORITHM } }
const oneTimeKey = { [`${ALGORITHM}:K1`]: signed({ key: 'K1' }, user, 'ed25519:BOB', key) }
const never = Infinity
const DAY = 86_400_000

describe('the time for keys of who is away', () => {
  let network: TestNetwork
  /** Milliseconds that the node, and the relays, take; what the node says then. */
  let nodeMs: number
  let relayMs: readonly number[]
  let nodeSays: JsonObject | Error
  let isOnline: boolean
  let awaySince: number | undefined
  /** The relays in the order in which they were asked. */
  let asked: string[]
  let keys: Pick<Federation, 'userDevices' | 'claimKeys'>

  const take = (ms: number): Promise<void> =>
    new Promise((resolve) => void (ms === never ? 0 : network.clock.after(ms, resolve)))
  /** As a carrier does it. */
  const askNode = async ({ timeoutMs = 0 }: CallOptions = {}): Promise<JsonObject> => {
    await take(Math.min(nodeMs, timeoutMs))
    if (nodeMs > timeoutMs) throw new CarrierError('timeout', 'no answer came')
    if (nodeSays instanceof Error) throw nodeSays
    return nodeSays
  }
  const shelfOf = async (sequence: number) => {
    const list = { devices: [{ device_id: 'BOB', keys: deviceKeysOf(user, 'BOB', key) }], n: sequence }
    const record = { name: bob.name, user, sequence, expires: network.clock.now() + 86_400_000, list }
    return { record, signature: encodeBase64(await bob.sign(shelfRecords.bytes(record))) }
  }
  /** What it comes to, and after how long. */
  const timed = async <T>(work: Promise<T>): Promise<readonly [T | Error, number]> => {
    const start = network.clock.now()
    let outcome: readonly [T | Error, number] | undefined
    const settle = (value: T | Error): void => void (outcome = [value, network.clock.now() - start])
    work.then(settle, settle)
    for (let n = 0; n < 100 && outcome === undefined; n += 1) await network.clock.advance(500)
    return outcome ?? expect.fail('nothing came')
  }
  const devices = (timeoutMs = 10_000) => timed(keys.userDevices(bob.name, user, { timeoutMs }))
  const claim = (timeoutMs = 10_000) => timed(keys.claimKeys(bob.name, claims, { timeoutMs }))

  beforeEach(async () => {
    network = await createTestNetwork(['alice'])
    const [alice] = network.members
    if (alice === undefined) return
    nodeMs = never
    relayMs = [never, never]
    nodeSays = { user_id: user }
    isOnline = true
    asked = []
    awaySince = undefined
    keys = await open(alice)
  })
  afterEach(() => network.close())

  const open = async ({ node: { engine, store } }: Member): ReturnType<typeof withShelves> => {
    const { committer, log } = engine
    const contact = { signed: { record: { mailboxes: relays } } } as never
    return withShelves(
      {
        userDevices: (_name, _user, options) => askNode(options),
        claimKeys: (_name, _claims, options) => askNode(options),
      },
      {
        store,
        committer,
        log,
        clock: network.clock,
        verifier: keysOf(1).verifier,
        contacts: { get: async () => contact, seek: async () => contact },
        awaySince: () => awaySince,
        isReachable: async () => isOnline,
        mailboxes: {
          async ask({ peerId }, _name, question) {
            asked.push(peerId)
            const n = relays.findIndex((relay) => relay.peerId === peerId)
            await take(relayMs[n] ?? 0)
            const given = Object.fromEntries(question.devices.map((device) => [device, oneTimeKey]))
            return { shelf: await shelfOf(n + 1), keys: given }
          },
        },
      },
    )
  }

  it('is the whole of it for a node that is slow', async () => {
    nodeMs = 9_000
    expect(await devices()).toEqual([nodeSays, 9_000])
    expect(await claim()).toEqual([nodeSays, 9_000])
    nodeMs = 1_000
    asked = []
    expect(await devices()).toEqual([nodeSays, 1_000])
    expect(asked).toEqual([])
  })

  it('is enough for a relay that is slow', async () => {
    relayMs = [6_000, 7_000]
    expect(await devices(4_000)).toMatchObject([{ n: 1 }, 7_000])
    expect(await devices()).toMatchObject([{ n: 2 }, 9_500])
    relayMs = [2_000, 2_000]
    expect(await claim()).toEqual([{ one_time_keys: { [user]: { BOB: oneTimeKey } } }, 6_500])
  })

  it('is not used up by a relay that is gone', async () => {
    relayMs = [never, 0]
    expect(await devices()).toMatchObject([{ n: 2 }, 10_000])
    asked = []
    expect(await claim()).toMatchObject([{ one_time_keys: {} }, 6_250])
    expect(asked).toEqual(['one', 'two', 'two'])
  })

  it('ends when the node speaks, whatever it says', async () => {
    nodeMs = 5_000
    relayMs = [4_000, 4_000]
    nodeSays = new FederationError({ status: 404, errcode: 'M_NOT_FOUND', error: 'no such user' })
    expect(await devices()).toEqual([nodeSays, 5_000])
  })

  it('ends a while later with what came of the node where nobody shows anything', async () => {
    expect(await devices()).toMatchObject([{ message: 'no answer came' }, 30_000])
    await network.clock.advance(FIRST_SEEK_PAUSE_MS)
    expect(await timed(keys.userDevices(bob.name, user))).toMatchObject([{ name: 'CarrierError' }, 30_000])
    await network.clock.advance(2 * FIRST_SEEK_PAUSE_MS)
    expect(await claim(2_000)).toMatchObject([{ message: 'no answer came' }, 21_250])
  })

  it('is short where nobody said anything lately, longer less and less often, and whole once somebody did', async () => {
    const ms = async (): Promise<number> => (await devices())[1]
    expect([await ms(), await ms(), (await claim())[1]]).toEqual([30_000, SILENT_WAIT_MS, SILENT_WAIT_MS])
    await network.clock.advance(FIRST_SEEK_PAUSE_MS)
    expect([await ms(), await ms()]).toEqual([30_000, SILENT_WAIT_MS])
    await network.clock.advance(FIRST_SEEK_PAUSE_MS)
    expect(await ms()).toBe(SILENT_WAIT_MS)
    relayMs = [500, 500]
    expect(await devices()).toMatchObject([{ n: 2 }, 1_000])
    relayMs = [never, never]
    expect([await ms(), await ms()]).toEqual([30_000, SILENT_WAIT_MS])
    nodeMs = 500
    expect(await ms()).toBe(500)
    nodeMs = never
    expect(await ms()).toBe(30_000)
  })

  it('is as short after a restart, and as whole once somebody spoke before it', async () => {
    const [alice = expect.fail()] = network.members
    const ms = async (): Promise<number> => (await devices())[1]
    expect([await ms(), await ms()]).toEqual([30_000, SILENT_WAIT_MS])
    keys = await open(alice)
    expect(await ms()).toBe(SILENT_WAIT_MS)
    // It goes on from where it was: the next pause is longer.
    await network.clock.advance(FIRST_SEEK_PAUSE_MS)
    expect(await ms()).toBe(30_000)
    await network.clock.advance(FIRST_SEEK_PAUSE_MS)
    keys = await open(alice)
    expect(await ms()).toBe(SILENT_WAIT_MS)
    nodeMs = 500
    expect(await ms()).toBe(500)
    nodeMs = never
    keys = await open(alice)
    expect(await ms()).toBe(30_000)
  })

  it('is whole once a day for who has been away for months', async () => {
    const [alice = expect.fail()] = network.members
    const ms = async (): Promise<number> => (await devices())[1]
    awaySince = network.clock.now() - 100 * DAY
    for (let n = 0; n < 4; n += 1) {
      expect(await ms()).toBe(30_000)
      await network.clock.advance(2 ** n * FIRST_SEEK_PAUSE_MS)
    }
    await network.clock.advance(DAY / 2)
    keys = await open(alice)
    expect(await ms()).toBe(SILENT_WAIT_MS)
    await network.clock.advance(DAY / 2)
    expect(await ms()).toBe(30_000)
    awaySince = undefined
    await network.clock.advance(DAY / 2)
    expect(await ms()).toBe(30_000)
  })

  it('is remembered of so many names: those noted first are forgotten, on disk too', async () => {
    const [{ node: { store, engine } } = expect.fail()] = network.members
    const { committer, log, clock } = engine
    const load = () => loadSilentNames({ store, committer, clock, log, awaySince: () => undefined })
    const names = Array.from({ length: MAX_SILENT_NAMES + 1 }, (_, n) => `${n}.example` as ServerName)
    const silent = await load()
    await Promise.all(names.map((name) => silent.note(name, silent.steady())))
    for (const each of [silent, await load()])
      expect(names.filter((name) => !each.has(name))).toEqual(names.slice(0, 1))
  })

  it('stays whole for what nobody said while this node was offline, and is short after one time for all who asked at once', async () => {
    isOnline = false
    expect([(await devices())[1], (await devices())[1]]).toEqual([30_000, 30_000])
    isOnline = true
    const both = await Promise.all([devices(), devices()])
    expect([...both, await devices()].map(([, ms]) => ms)).toEqual([30_000, 30_000, SILENT_WAIT_MS])
    await network.clock.advance(FIRST_SEEK_PAUSE_MS)
    expect((await devices())[1]).toBe(30_000)
  })
})

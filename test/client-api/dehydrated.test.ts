/** Dehydrated devices by the Client-Server API. source: proposal 3814 */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deviceKeysOf, oneTimeKeys, testKey } from '../engine/users-kit.ts'
import { at, clientOf, list, pick, text } from '../kit/api-client.ts'
import type { ApiClient } from '../kit/api-client.ts'
import { createTestNetwork } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { bringIn, createRoom } from '../server-api/room.ts'

const PATH = 'unstable/org.matrix.msc3814.v1/dehydrated_device'
/** Unpadded base64 has slashes. */
const FIRST = 'a/b+1'
const SECOND = 'a/b+2'

describe('a dehydrated device', () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member
  let api: ApiClient
  let other: ApiClient

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'])
    ;[alice, bob] = network.members as [Member, Member]
    api = await clientOf(alice)
    other = await clientOf(bob)
    await bringIn(alice, bob, await createRoom(alice))
    await network.settle()
  })
  afterEach(() => network.close())

  const bodyOf = (deviceId: string, more: JsonObject = {}): JsonObject => ({
    device_id: deviceId,
    device_data: { algorithm: 'm.dehydration.v2', device_pickle: deviceId },
    initial_device_display_name: 'spare',
    device_keys: { ...deviceKeysOf(alice.user, deviceId, testKey(1)), dehydrated: true },
    one_time_keys: oneTimeKeys(1),
    fallback_keys: { 'signed_curve25519:F': { key: 'f', fallback: true, signatures: {} } },
    ...more,
  })
  const put = (deviceId: string, more: JsonObject = {}): Promise<JsonObject> =>
    api.ok('PUT', PATH, { body: bodyOf(deviceId, more) })
  const devicesOf = async (by: ApiClient): Promise<readonly string[]> => {
    const found = await by.ok('POST', 'v3/keys/query', { body: { device_keys: { [alice.user]: [] } } })
    return Object.keys(pick(found, 'device_keys', alice.user) as JsonObject)
  }
  const claim = async (by: ApiClient, deviceId: string): Promise<unknown> => {
    const one_time_keys = { [alice.user]: { [deviceId]: 'signed_curve25519' } }
    const claimed = await by.ok('POST', 'v3/keys/claim', { body: { one_time_keys } })
    return pick(claimed, 'one_time_keys', alice.user, deviceId)
  }
  const sendTo = (deviceId: string, ...numbers: readonly number[]): Promise<unknown> =>
    Promise.all(
      numbers.map((number) =>
        other.ok('PUT', at`v3/sendToDevice/m.room.encrypted/${`${deviceId} ${number}`}`, {
          body: { messages: { [alice.user]: { [deviceId]: { number } } } },
        }),
      ),
    )

  it('is there for others, with its keys, until another takes its place', async () => {
    expect(await api.fails('GET', PATH)).toEqual([404, 'M_NOT_FOUND'])
    expect(await put(FIRST)).toEqual({ device_id: FIRST })
    expect(await api.ok('GET', PATH)).toEqual({
      device_id: FIRST,
      device_data: { algorithm: 'm.dehydration.v2', device_pickle: FIRST },
    })
    await network.settle()
    expect(await devicesOf(other)).toEqual([FIRST])
    expect(await claim(other, FIRST)).toEqual(oneTimeKeys(1))
    expect(await claim(other, FIRST)).toMatchObject({ 'signed_curve25519:F': { key: 'f' } })

    await put(SECOND)
    await network.settle()
    expect(await devicesOf(other)).toEqual([SECOND])
    expect(await devicesOf(api)).toEqual([SECOND])
    expect(await claim(other, FIRST)).toBeUndefined()
    expect(list(await api.ok('GET', 'v3/devices'), 'devices')).toEqual(
      expect.arrayContaining([expect.objectContaining({ device_id: SECOND, display_name: 'spare' })]),
    )
    expect((await api.ok('GET', PATH))['device_id']).toBe(SECOND)
  })

  it('may be put again under its id, with new keys', async () => {
    await put(FIRST)
    await claim(other, FIRST)
    await put(FIRST, { one_time_keys: oneTimeKeys(1) })
    expect(await claim(other, FIRST)).toEqual(oneTimeKeys(1))
  })

  it('keeps its messages for whoever rehydrates it, in batches', async () => {
    await put(FIRST)
    await sendTo(FIRST, ...Array.from({ length: 150 }, (_, index) => index))
    await network.settle()
    const path = at`unstable/org.matrix.msc3814.v1/dehydrated_device/${FIRST}/events`
    const read = async (): Promise<readonly (readonly number[])[]> => {
      const batches: number[][] = []
      let from: string | undefined
      do {
        const answer = await api.ok('GET', path, from === undefined ? {} : { query: { from } })
        const events = list(answer, 'events') as readonly { content: { number: number } }[]
        batches.push(events.map(({ content }) => content.number))
        from = answer['next_batch'] as string | undefined
      } while (from !== undefined)
      return batches
    }
    const batches = await read()
    expect(batches.length).toBeGreaterThan(1)
    expect(batches.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 150 }, (_, index) => index))
    expect(await read()).toEqual(batches)

    // As clients did before: until a batch is empty.
    const sizes: number[] = []
    for (let body: JsonObject = {}; sizes.at(-1) !== 0;) {
      const answer = await api.ok('POST', path, { body })
      sizes.push(list(answer, 'events').length)
      body = { next_batch: text(answer, 'next_batch') }
    }
    expect(sizes.reduce((sum, size) => sum + size)).toBe(150)
    expect(await api.fails('GET', path, { query: { from: 'x' } })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await api.fails('GET', `${PATH}/other/events`)).toEqual([403, 'M_FORBIDDEN'])
  })

  it.each([
    ['DELETE dehydrated_device', () => api.ok('DELETE', PATH)],
    ['POST logout/all', () => alice.node.engine.users.accounts.logoutAll(alice.user)],
    ['the end of the device', () => alice.node.engine.users.devices.delete(alice.user, [FIRST])],
  ])('goes with %s', async (_name, remove) => {
    await put(FIRST)
    await remove()
    const again = await clientOf(alice)
    expect(await again.fails('GET', PATH)).toEqual([404, 'M_NOT_FOUND'])
    expect(await again.fails('DELETE', PATH)).toEqual([404, 'M_NOT_FOUND'])
    await network.settle()
    expect(await devicesOf(other)).toEqual([])
  })

  it('is refused with what is wrong about it, and nothing is left of that', async () => {
    const refused = (body: JsonObject): Promise<readonly [number, string]> => api.fails('PUT', PATH, { body })
    const { device_keys: _without, ...keyless } = bodyOf(FIRST)
    expect(await refused(keyless)).toEqual([400, 'M_MISSING_PARAM'])
    expect(await refused({ ...bodyOf(FIRST), device_id: SECOND })).toEqual([400, 'M_BAD_JSON'])
    expect(await refused(bodyOf(FIRST, { device_data: {} }))).toEqual([400, 'M_MISSING_PARAM'])
    expect(await refused(bodyOf(FIRST, { one_time_keys: { nonsense: 1 } }))).toEqual([400, 'M_INVALID_PARAM'])
    const large = { algorithm: 'a', filler: 'x'.repeat(65_536) }
    expect(await refused(bodyOf(FIRST, { device_data: large }))).toEqual([413, 'M_TOO_LARGE'])
    expect(await refused(bodyOf(FIRST, { one_time_keys: oneTimeKeys(1_001) }))).toEqual([413, 'M_TOO_LARGE'])
    expect(await refused(bodyOf(alice.deviceId))).toEqual([403, 'M_FORBIDDEN'])
    expect(await api.fails('GET', PATH)).toEqual([404, 'M_NOT_FOUND'])
    expect(await devicesOf(api)).toEqual([])
  })
})

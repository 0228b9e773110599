/** Users of two whole nodes: keys, profiles, media and to-device messages, over signed requests. */
import type { DeviceId, JsonObject, RoomAlias, RoomId } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFakePeer } from '../kit/fake-peer.ts'
import { createTestNetwork, type Member, type TestNetwork } from '../kit/node.ts'
import { createSeededRandom } from '../kit/seeded-random.ts'
import { bringIn, createRoom } from './room.ts'

const callerOf = ({ user, deviceId }: Member) => ({ userId: user, deviceId: deviceId as DeviceId })

const deviceKeysOf = ({ user, deviceId }: Member): JsonObject => ({
  user_id: user,
  device_id: deviceId,
  algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
  keys: { [`curve25519:${deviceId}`]: 'A'.repeat(43), [`ed25519:${deviceId}`]: 'B'.repeat(43) },
  signatures: { [user]: { [`ed25519:${deviceId}`]: 'C'.repeat(86) } },
})

const oneTimeKey = (index: number): JsonObject => ({ key: `K${index}`.padEnd(43, 'A'), signatures: {} })
const ALGORITHM = 'signed_curve25519'

describe('users over federation', { timeout: 30_000 }, () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member
  let roomId: RoomId

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'])
    ;[alice, bob] = network.members as [Member, Member]
    roomId = await createRoom(alice)
    await bringIn(alice, bob, roomId)
    await network.settle()
  })

  afterEach(async () => {
    const faults = network.members.flatMap(({ node }) => node.complaints)
    expect(faults.filter((line) => line.startsWith('error'))).toEqual([])
    await network.close()
  })

  const upload = (member: Member, count: number): Promise<unknown> =>
    member.node.engine.users.keys.upload(callerOf(member), {
      deviceKeys: deviceKeysOf(member),
      oneTimeKeys: Object.fromEntries(
        Array.from({ length: count }, (_, i) => [`${ALGORITHM}:${i}`, oneTimeKey(i)]),
      ),
    })

  it('see the device keys of one another, and learn when they change', async () => {
    await upload(bob, 0)
    await network.settle()
    const query = async (): Promise<JsonObject | undefined> => {
      const answer = await alice.node.engine.users.keys.query(alice.user, { [bob.user]: [] })
      expect(answer.failures).toEqual({})
      return answer.device_keys[bob.user]?.[bob.deviceId]
    }
    expect(await query()).toMatchObject(deviceKeysOf(bob))
    const before = alice.node.engine.committer.committed
    await bob.node.engine.users.devices.rename(callerOf(bob), 'new name')
    await network.settle()
    const after = alice.node.engine.committer.committed
    expect(await alice.node.engine.users.deviceLists.changes(alice.user, before, after)).toMatchObject({
      changed: [bob.user],
    })
    expect(await query()).toMatchObject({ unsigned: { device_display_name: 'new name' } })
  })

  it('claim each one-time key once', async () => {
    await upload(bob, 3)
    const claim = async (): Promise<string[]> => {
      const claims = { [bob.user]: { [bob.deviceId]: ALGORITHM } }
      const answer = await alice.node.engine.users.keys.claim(claims)
      expect(answer.failures).toEqual({})
      return Object.keys(answer.one_time_keys[bob.user]?.[bob.deviceId] ?? {})
    }
    const claimed = (await Promise.all([claim(), claim(), claim()])).flat()
    expect(claimed.toSorted()).toEqual([`${ALGORITHM}:0`, `${ALGORITHM}:1`, `${ALGORITHM}:2`])
    expect(await claim()).toEqual([])
  })

  it('waste no one-time key when a claim arrives twice', async () => {
    await upload(bob, 2)
    network.loopback.decideFate(({ uri }) => ({ twice: uri.endsWith('/keys/claim') }))
    await alice.node.engine.users.keys.claim({ [bob.user]: { [bob.deviceId]: ALGORITHM } })
    expect((await bob.node.engine.users.keys.counts(callerOf(bob))).oneTimeKeys).toEqual({ [ALGORITHM]: 1 })
  })

  it('say whose server is away', async () => {
    network.loopback.offline(bob.node.name)
    const answer = await alice.node.engine.users.keys.claim({ [bob.user]: { [bob.deviceId]: ALGORITHM } })
    expect(Object.keys(answer.failures)).toEqual([bob.node.name])
  })

  it('read profiles, and only of those who exist', async () => {
    await bob.node.engine.users.profiles.set(bob.user, 'displayname', 'Bob')
    await network.settle()
    const { federation } = alice.node.engine
    expect(await federation.profile(bob.node.name, bob.user, 'displayname')).toEqual({ displayname: 'Bob' })
    const nobody = federation.profile(bob.node.name, bob.node.userId('nobody'), undefined)
    await expect(nobody).rejects.toMatchObject({ remote: { status: 404, errcode: 'M_NOT_FOUND' } })
    const stranger = federation.profile(bob.node.name, alice.user, undefined)
    await expect(stranger).rejects.toMatchObject({ remote: { status: 400, errcode: 'M_INVALID_PARAM' } })
  })

  it('list devices with the number of the list', async () => {
    await upload(bob, 0)
    const devices = await alice.node.engine.federation.userDevices(bob.node.name, bob.user)
    expect(devices).toMatchObject({
      user_id: bob.user,
      devices: [{ device_id: bob.deviceId, keys: deviceKeysOf(bob) }],
    })
    expect(devices['stream_id']).toEqual(expect.any(Number))
  })

  it('download media as it was uploaded', async () => {
    const bytes = createSeededRandom(5).bytes(200_000)
    const metadata = { contentType: 'image/png', fileName: 'Grüße.png' }
    const id = await bob.node.engine.users.media.upload(bob.user, bytes, metadata)
    expect(await alice.node.engine.users.media.download(bob.node.name, id)).toEqual({ ...metadata, bytes })
    await expect(alice.node.engine.users.media.download(bob.node.name, 'none')).rejects.toMatchObject({
      errcode: 'M_NOT_FOUND',
    })
  })

  it('get thumbnails of media, or the reason why there are none', async () => {
    const fake = createFakePeer({ loopback: network.loopback, clock: network.clock, seed: 9 })
    const upload = (contentType: string): Promise<string> =>
      bob.node.engine.users.media.upload(bob.user, Uint8Array.of(1, 2, 3), { contentType })
    const [picture, text] = [await upload('image/png'), await upload('text/plain')]
    const ask = async (path: string): Promise<unknown> => {
      const uri = `/_matrix/federation/v1/media/thumbnail/${path}`
      const { status, body } = await fake.ask(bob.node.name, { method: 'GET', uri })
      return status === 200 ? status : [status, body['errcode']]
    }
    expect(await ask(`${picture}?width=32&height=32&method=crop&animated=true&timeout_ms=1`)).toBe(200)
    expect(await ask(`${text}?width=32&height=32`)).toEqual([400, 'M_UNKNOWN'])
    expect(await ask(`none?width=32&height=32`)).toEqual([404, 'M_NOT_FOUND'])
    expect(await ask(`${picture}?width=32`)).toEqual([400, 'M_MISSING_PARAM'])
    for (const query of ['width=0&height=1', 'width=1&height=1.5', 'width=1&height=1&method=stretch'])
      expect(await ask(`${picture}?${query}`)).toEqual([400, 'M_INVALID_PARAM'])
  })

  it('find rooms by the aliases that their server gave them', async () => {
    const alias = `#tea:${bob.node.name}` as RoomAlias
    await bob.node.engine.roomDirectory.create(alias, roomId, bob.user)
    const { federation } = alice.node.engine
    const found = await federation.directory(bob.node.name, alias)
    expect(found.roomId).toBe(roomId)
    expect(found.servers.toSorted()).toEqual([alice.node.name, bob.node.name].toSorted())
    const unknown = federation.directory(bob.node.name, `#coffee:${bob.node.name}`)
    await expect(unknown).rejects.toMatchObject({ remote: { status: 404, errcode: 'M_NOT_FOUND' } })
  })

  describe('to-device messages', () => {
    const send = (from: Member, to: Member, index: number): Promise<void> =>
      from.node.engine.users.toDevice.send(callerOf(from), 'm.test', `t${index}`, {
        [to.user]: { [to.deviceId]: { index } },
      })
    const inboxOf = async (member: Member): Promise<unknown[]> => {
      const { users, committer } = member.node.engine
      const page = await users.toDevice.inbox(callerOf(member), 0, committer.committed, 1_000)
      return page.events.map(({ content }) => content['index'])
    }
    const count = 40
    const all = Array.from({ length: count }, (_, index) => index)

    it('arrive in order', async () => {
      for (const index of all) await send(alice, bob, index)
      await network.settle()
      expect(await inboxOf(bob)).toEqual(all)
    })

    it.each([11, 12, 13, 14, 15])(
      'arrive exactly once and in order over a bad line (seed %i)',
      async (seed) => {
        const random = createSeededRandom(seed)
        const seen = new Set<string>()
        network.loopback.decideFate(({ uri }) => {
          const lot = random.below(6)
          if (uri.includes('/send/')) seen.add(String(lot))
          if (lot === 0) return { lose: 'request' }
          if (lot === 1) return { lose: 'answer' }
          if (lot === 2) return { twice: true }
          return lot === 3 ? { delayMs: random.below(5_000) } : {}
        })
        for (const index of all) {
          await send(alice, bob, index)
          if (random.chance(0.3)) await network.clock.advance(random.below(3_000))
          if (random.chance(0.05)) alice = await network.restart(alice)
          if (random.chance(0.05)) bob = await network.restart(bob)
        }
        network.loopback.decideFate(() => ({}))
        alice.node.engine.control.peerAppeared(bob.node.name)
        await network.pass(30_000)
        expect(await inboxOf(bob)).toEqual(all)
        // A line on which nothing went wrong proves nothing.
        expect(seen.size).toBeGreaterThan(3)
      },
    )
  })
})

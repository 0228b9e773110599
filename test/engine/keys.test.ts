/** One-time keys, fallback keys, cross-signing and signatures, on whole nodes. */
import type { JsonObject } from '@plexus/core'
import { createMemoryDisk } from '@plexus/store/memory'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLoopback } from '../kit/loopback.ts'
import { createTestNetwork, createTestNode } from '../kit/node.ts'
import type { Member, TestNetwork } from '../kit/node.ts'
import { createVirtualClock } from '../kit/virtual-clock.ts'
import { bringIn, createRoom } from '../server-api/room.ts'
import {
  ALGORITHM,
  callerOf,
  crossSigningKey,
  deviceKeysOf,
  oneTimeKeys,
  signatureOf,
  signed,
  testKey,
} from './users-kit.ts'

const DEVICE = testKey(1)
const MASTER = testKey(2)
const SELF = testKey(3)
const USER = testKey(4)

describe('keys', () => {
  let network: TestNetwork
  let alice: Member
  let bob: Member

  beforeEach(async () => {
    network = await createTestNetwork(['alice', 'bob'])
    ;[alice, bob] = network.members as [Member, Member]
    const roomId = await createRoom(alice)
    await bringIn(alice, bob, roomId)
    await network.settle()
  })
  afterEach(() => network.close())

  const keysOf = ({ node }: Member) => node.engine.users.keys
  const claims = ({ user, deviceId }: Member) => ({ [user]: { [deviceId]: ALGORITHM } })
  const claim = async (by: Member, of: Member): Promise<string | undefined> => {
    const answer = await keysOf(by).claim(claims(of))
    return Object.keys(answer.one_time_keys[of.user]?.[of.deviceId] ?? {})[0]
  }

  describe('for one time', () => {
    it('are given out once, however many ask at a time, from here and from elsewhere', async () => {
      await keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(40) })
      const asking = Array.from({ length: 60 }, (_, index) => claim(index % 2 === 0 ? alice : bob, bob))
      const given = (await Promise.all(asking)).filter((name) => name !== undefined)
      expect(given).toHaveLength(40)
      expect(new Set(given).size).toBe(40)
    })

    it('go in the order of their uploads', async () => {
      await keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(1, 9) })
      await keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(1, 5) })
      expect(await claim(alice, bob)).toContain('K0009')
      expect(await claim(alice, bob)).toContain('K0005')
    })

    it('are counted by algorithm, at the position of the change', async () => {
      const uploaded = await keysOf(bob).upload(callerOf(bob), {
        oneTimeKeys: { ...oneTimeKeys(3), ...oneTimeKeys(2, 0, 'other') },
      })
      expect(uploaded.oneTimeKeys).toEqual({ [ALGORITHM]: 3, other: 2 })
      const before = bob.node.engine.committer.committed
      await claim(bob, bob)
      const counts = await keysOf(bob).counts(callerOf(bob))
      expect(counts.oneTimeKeys).toEqual({ [ALGORITHM]: 2, other: 2 })
      expect(counts.position).toBeGreaterThan(before)
    })

    it('may be uploaded again as they are, but not differently', async () => {
      await keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(2) })
      const again = await keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(2) })
      expect(again.oneTimeKeys).toEqual({ [ALGORITHM]: 2 })
      const [name = ''] = Object.keys(oneTimeKeys(1))
      const other = keysOf(bob).upload(callerOf(bob), {
        oneTimeKeys: { [name]: { key: 'other', signatures: {} } },
      })
      await expect(other).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
    })

    it('are not taken again once given out, also after a restart', async () => {
      await keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(2) })
      const given = await claim(alice, bob)
      bob = await network.restart(bob)
      // A client that did not get the answer to its upload sends it again.
      const counts = await keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(2) })
      expect(counts.oneTimeKeys).toEqual({ [ALGORITHM]: 1 })
      const rest = [await claim(alice, bob), await claim(alice, bob)]
      expect(rest).not.toContain(given)
      expect(rest[1]).toBeUndefined()
    })

    it('give way to the fallback key, which is then known to be used', async () => {
      await keysOf(bob).upload(callerOf(bob), {
        oneTimeKeys: oneTimeKeys(1),
        fallbackKeys: { [`${ALGORITHM}:F`]: { key: 'f', fallback: true, signatures: {} } },
      })
      const unused = async (): Promise<readonly string[]> =>
        (await keysOf(bob).counts(callerOf(bob))).unusedFallbackTypes
      expect(await claim(alice, bob)).toContain('K0000')
      expect(await unused()).toEqual([ALGORITHM])
      expect(await claim(alice, bob)).toBe(`${ALGORITHM}:F`)
      expect(await claim(alice, bob)).toBe(`${ALGORITHM}:F`)
      expect(await unused()).toEqual([])
      await keysOf(bob).upload(callerOf(bob), {
        fallbackKeys: { [`${ALGORITHM}:G`]: { key: 'g', fallback: true, signatures: {} } },
      })
      expect(await unused()).toEqual([ALGORITHM])
      expect(await claim(alice, bob)).toBe(`${ALGORITHM}:G`)
    })

    it('are bounded in number', async () => {
      for (let from = 0; from < 1_000; from += 250) {
        await keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(250, from) })
      }
      const more = keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(1, 5_000) })
      await expect(more).rejects.toMatchObject({ errcode: 'M_TOO_LARGE' })
    })

    it.each([
      ['a name without algorithm', { abc: { key: 'x', signatures: {} } }],
      ['a number', { [`${ALGORITHM}:a`]: 7 }],
      ['no signatures', { [`${ALGORITHM}:a`]: { key: 'x' } }],
      ['a fraction', { [`${ALGORITHM}:a`]: { key: 'x', signatures: {}, n: 0.5 } }],
    ])('are refused with %s', async (_, keys) => {
      const upload = keysOf(bob).upload(callerOf(bob), { oneTimeKeys: keys })
      await expect(upload).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' })
    })

    it('do not exist for devices that are gone', async () => {
      await keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(2) })
      await bob.node.engine.users.devices.delete(bob.user, [bob.deviceId])
      expect(await claim(alice, bob)).toBeUndefined()
      const upload = keysOf(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(2) })
      await expect(upload).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
    })

    it('that another server makes up are dropped', async () => {
      const queries = bob.node.engine.users.queries
      const [name] = Object.keys(oneTimeKeys(1))
      for (const answer of [{ [`other:1`]: 'x' }, { [name ?? '']: 7 }, 'x', { 'no-colon': 'x' }, []]) {
        queries.claimKeys = () =>
          Promise.resolve({
            one_time_keys: { [bob.user]: { [bob.deviceId]: answer as JsonObject }, '@x:y': {} },
          })
        expect((await keysOf(alice).claim(claims(bob))).one_time_keys).toEqual({})
      }
    })
  })

  it('given out in a commit whose process died are not given out again', async () => {
    const clock = createVirtualClock()
    let armed = false
    const disk = createMemoryDisk({ fault: () => (armed ? 'crash-after' : 'none') })
    const node = await createTestNode({ loopback: createLoopback({ clock }), clock, seed: 9, disk })
    const { userId: user, deviceId } = await node.signUp('carol')
    const carol: Member = { node, user, deviceId }
    await keysOf(carol).upload(callerOf(carol), { oneTimeKeys: oneTimeKeys(2) })
    armed = true
    await expect(claim(carol, carol)).rejects.toThrow()
    armed = false
    const after = { ...carol, node: await node.restart() }
    expect(await claim(after, after)).toContain('K0001')
    expect(await claim(after, after)).toBeUndefined()
    await after.node.close()
  })

  describe('of cross-signing', () => {
    const upload = (
      member: Member,
      master = MASTER,
      keys: { selfSigning?: JsonObject; userSigning?: JsonObject } = {},
    ): Promise<void> =>
      keysOf(member).uploadCrossSigning(member.user, {
        master: crossSigningKey(member.user, 'master', master),
        selfSigning: crossSigningKey(member.user, 'self_signing', SELF, master),
        userSigning: crossSigningKey(member.user, 'user_signing', USER, master),
        ...keys,
      })
    const query = async (by: Member, of: Member) => keysOf(by).query(by.user, { [of.user]: [] })

    it('are seen by others, the user-signing key by its owner alone', async () => {
      await upload(bob)
      await network.settle()
      const own = await query(bob, bob)
      expect(own.user_signing_keys[bob.user]).toMatchObject({ usage: ['user_signing'] })
      const others = await query(alice, bob)
      expect(others.master_keys[bob.user]).toEqual(crossSigningKey(bob.user, 'master', MASTER))
      expect(others.self_signing_keys[bob.user]).toMatchObject({ usage: ['self_signing'] })
      expect(others.user_signing_keys).toEqual({})
    })

    it('of nobody are absent, which is no failure', async () => {
      const nobody = [alice.node.userId('nobody'), bob.node.userId('nobody')]
      const answer = await keysOf(alice).query(alice.user, Object.fromEntries(nobody.map((id) => [id, []])))
      expect(answer.failures).toEqual({})
      expect(answer.device_keys[nobody[0] ?? '']).toBeUndefined()
      expect(answer.device_keys[nobody[1] ?? '']).toEqual({})
    })

    it('reach others with the signatures on the master key', async () => {
      await upload(bob)
      await keysOf(bob).upload(callerOf(bob), { deviceKeys: deviceKeysOf(bob.user, bob.deviceId, DEVICE) })
      const master = signatureOf(
        crossSigningKey(bob.user, 'master', MASTER),
        bob.user,
        `ed25519:${bob.deviceId}`,
        DEVICE,
      )
      await keysOf(bob).uploadSignatures(bob.user, { [bob.user]: { [MASTER.id]: master } })
      expect((await query(alice, bob)).master_keys[bob.user]).toEqual(master)
      await upload(bob, MASTER, {
        selfSigning: crossSigningKey(bob.user, 'self_signing', testKey(7), MASTER),
      })
      await network.settle()
      expect((await query(alice, bob)).master_keys[bob.user]).toEqual(master)
      expect((await query(alice, bob)).self_signing_keys[bob.user]).toMatchObject({
        keys: { [`ed25519:${testKey(7).id}`]: testKey(7).id },
      })
    })

    it('need authentication only to be replaced', async () => {
      const keys = { master: crossSigningKey(bob.user, 'master', MASTER) }
      expect(await keysOf(bob).crossSigningNeedsAuth(bob.user, keys)).toBe(false)
      await upload(bob)
      expect(await keysOf(bob).crossSigningNeedsAuth(bob.user, keys)).toBe(false)
      const other = { master: crossSigningKey(bob.user, 'master', testKey(9)) }
      expect(await keysOf(bob).crossSigningNeedsAuth(bob.user, other)).toBe(true)
      const selfSigning = crossSigningKey(bob.user, 'self_signing', testKey(9), MASTER)
      expect(await keysOf(bob).crossSigningNeedsAuth(bob.user, { selfSigning })).toBe(true)
    })

    it('that are uploaded again change nothing', async () => {
      await upload(bob)
      const before = bob.node.engine.committer.committed
      await upload(bob)
      expect(bob.node.engine.committer.committed).toBe(before)
    })

    it('must be signed by the master key', async () => {
      const wrong = upload(bob, MASTER, {
        selfSigning: crossSigningKey(bob.user, 'self_signing', SELF, testKey(9)),
      })
      await expect(wrong).rejects.toMatchObject({ errcode: 'M_INVALID_SIGNATURE' })
      const unsigned = upload(bob, MASTER, { userSigning: crossSigningKey(bob.user, 'user_signing', USER) })
      await expect(unsigned).rejects.toMatchObject({ errcode: 'M_INVALID_SIGNATURE' })
      const orphan = keysOf(bob).uploadCrossSigning(bob.user, {
        selfSigning: crossSigningKey(bob.user, 'self_signing', SELF, MASTER),
      })
      await expect(orphan).rejects.toMatchObject({ errcode: 'M_MISSING_PARAM' })
      expect((await query(bob, bob)).master_keys).toEqual({})
    })

    it('cannot share an id with a device', async () => {
      const { accounts } = bob.node.engine.users
      await accounts.openSession(bob.user, { deviceId: MASTER.id })
      await expect(upload(bob)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
      await bob.node.engine.users.devices.delete(bob.user, [MASTER.id])
      await upload(bob)
      await expect(accounts.openSession(bob.user, { deviceId: SELF.id })).rejects.toMatchObject({
        errcode: 'M_FORBIDDEN',
      })
    })

    it('that change forget the signatures on the old one', async () => {
      await upload(bob)
      const keys = deviceKeysOf(bob.user, bob.deviceId, DEVICE)
      await keysOf(bob).upload(callerOf(bob), { deviceKeys: keys })
      const onMaster = signatureOf(
        crossSigningKey(bob.user, 'master', MASTER),
        bob.user,
        `ed25519:${bob.deviceId}`,
        DEVICE,
      )
      expect(await keysOf(bob).uploadSignatures(bob.user, { [bob.user]: { [MASTER.id]: onMaster } })).toEqual(
        {},
      )
      await upload(bob, testKey(8))
      await upload(bob, MASTER)
      expect((await query(bob, bob)).master_keys[bob.user]?.['signatures']).toBeUndefined()
    })
  })

  describe('that are signed', () => {
    const keys = (): JsonObject => deviceKeysOf(bob.user, bob.deviceId, DEVICE)
    const master = (member: Member, key = MASTER): JsonObject => crossSigningKey(member.user, 'master', key)
    const aliceMaster = testKey(12)
    const aliceUser = testKey(14)

    beforeEach(async () => {
      await keysOf(bob).upload(callerOf(bob), { deviceKeys: keys() })
      await keysOf(bob).uploadCrossSigning(bob.user, {
        master: master(bob),
        selfSigning: crossSigningKey(bob.user, 'self_signing', SELF, MASTER),
      })
      await keysOf(alice).uploadCrossSigning(alice.user, {
        master: master(alice, aliceMaster),
        userSigning: crossSigningKey(alice.user, 'user_signing', aliceUser, aliceMaster),
      })
      await network.settle()
    })

    const sign = (by: Member, target: Member, keyId: string, object: JsonObject) =>
      keysOf(by).uploadSignatures(by.user, { [target.user]: { [keyId]: object } })
    const devicesOfBob = async (by: Member) =>
      (await keysOf(by).query(by.user, { [bob.user]: [] })).device_keys[bob.user]?.[bob.deviceId]

    it('by the self-signing key show it everywhere, next to the device’s own', async () => {
      await devicesOfBob(alice)
      const before = alice.node.engine.committer.committed
      const object = signatureOf(keys(), bob.user, `ed25519:${SELF.id}`, SELF)
      expect(await sign(bob, bob, bob.deviceId, object)).toEqual({})
      await network.settle()
      const expected = signed(keys(), bob.user, `ed25519:${SELF.id}`, SELF)['signatures']
      expect((await devicesOfBob(bob))?.['signatures']).toEqual(expected)
      expect((await devicesOfBob(alice))?.['signatures']).toEqual(expected)
      const { changed } = await alice.node.engine.users.deviceLists.changes(alice.user, before, 10 ** 9)
      expect(changed).toEqual([bob.user])
    })

    it('by a device show it on the master key', async () => {
      const object = signatureOf(master(bob), bob.user, `ed25519:${bob.deviceId}`, DEVICE)
      expect(await sign(bob, bob, MASTER.id, object)).toEqual({})
      await network.settle()
      const seen = (await keysOf(alice).query(alice.user, { [bob.user]: [] })).master_keys[bob.user]
      expect(seen).toEqual(object)
    })

    it('by another user’s user-signing key show it to that user alone', async () => {
      await devicesOfBob(alice)
      const before = alice.node.engine.committer.committed
      const object = signatureOf(master(bob), alice.user, `ed25519:${aliceUser.id}`, aliceUser)
      expect(await sign(alice, bob, MASTER.id, object)).toEqual({})
      await network.settle()
      const seen = async (by: Member) =>
        (await keysOf(by).query(by.user, { [bob.user]: [] })).master_keys[bob.user]?.['signatures']
      expect(await seen(alice)).toEqual(object['signatures'])
      expect(await seen(bob)).toBeUndefined()
      const { changed } = await alice.node.engine.users.deviceLists.changes(alice.user, before, 10 ** 9)
      expect(changed).toEqual([bob.user])
    })

    it.each([
      [
        'by a wrong key',
        (object: JsonObject) => signatureOf(object, bob.user, `ed25519:${SELF.id}`, USER),
        'M_INVALID_SIGNATURE',
      ],
      ['by nobody', (object: JsonObject) => ({ ...object, signatures: {} }), 'M_INVALID_SIGNATURE'],
      [
        'with another key in them',
        (object: JsonObject) =>
          signatureOf({ ...object, keys: { 'ed25519:X': USER.id } }, bob.user, `ed25519:${SELF.id}`, SELF),
        'M_INVALID_PARAM',
      ],
      ['with a fraction in them', (object: JsonObject) => ({ ...object, n: 0.5 }), 'M_INVALID_PARAM'],
    ])('%s are refused, and the others kept', async (_, make, errcode) => {
      const good = signatureOf(master(bob), bob.user, `ed25519:${bob.deviceId}`, DEVICE)
      const failures = await keysOf(bob).uploadSignatures(bob.user, {
        [bob.user]: { [bob.deviceId]: make(keys()), [MASTER.id]: good },
      })
      expect(failures).toMatchObject({ [bob.user]: { [bob.deviceId]: { errcode } } })
      expect(Object.keys(failures[bob.user] ?? {})).toEqual([bob.deviceId])
      expect((await devicesOfBob(bob))?.['signatures']).toEqual(keys()['signatures'])
      const { master_keys } = await keysOf(bob).query(bob.user, { [bob.user]: [] })
      expect(master_keys[bob.user]).toEqual(good)
    })

    it('must be known', async () => {
      const object = signatureOf(keys(), bob.user, `ed25519:${SELF.id}`, SELF)
      expect(await sign(bob, bob, 'NOBODY', object)).toMatchObject({
        [bob.user]: { NOBODY: { errcode: 'M_NOT_FOUND' } },
      })
      expect(await keysOf(bob).uploadSignatures(bob.user, { nobody: { X: object } })).toMatchObject({
        nobody: { X: { errcode: 'M_INVALID_PARAM' } },
      })
    })

    it('lose the signatures when the keys change', async () => {
      await sign(bob, bob, bob.deviceId, signatureOf(keys(), bob.user, `ed25519:${SELF.id}`, SELF))
      const fresh = deviceKeysOf(bob.user, bob.deviceId, testKey(20))
      await keysOf(bob).upload(callerOf(bob), { deviceKeys: fresh })
      expect((await devicesOfBob(bob))?.['signatures']).toEqual(fresh['signatures'])
    })
  })
})

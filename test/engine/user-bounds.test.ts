/** Every collection of a user has a bound, and what is over it is refused or makes room. */
import type { JsonObject } from '@plexus/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLoopback, type Loopback } from '../kit/loopback.ts'
import { createTestNode } from '../kit/node.ts'
import type { Member, TestNode } from '../kit/node.ts'
import { createVirtualClock, settled } from '../kit/virtual-clock.ts'
import type { VirtualClock } from '../kit/virtual-clock.ts'
import { bringIn, createRoom } from '../server-api/room.ts'
import { applyEdu, callerOf, deviceKeysOf, testKey } from './users-kit.ts'

const FAR = 10 ** 9
const MEBIBYTE = 1024 * 1024

describe('bounded', () => {
  let clock: VirtualClock
  let node: TestNode
  let other: TestNode
  let third: TestNode | undefined
  let loopback: Loopback
  let alice: Member
  let bob: Member

  beforeEach(async () => {
    clock = createVirtualClock()
    loopback = createLoopback({ clock })
    const users = {
      maxAccounts: 2,
      maxAccountDataEntries: 50,
      maxUploadBytes: 2 * MEBIBYTE,
      maxMediaBytesPerUser: 3 * MEBIBYTE,
      maxRemoteMediaBytes: 3 * MEBIBYTE,
    }
    node = await createTestNode({ loopback, clock, seed: 1, users })
    other = await createTestNode({ loopback, clock, seed: 2 })
    const own = await node.signUp('alice')
    const theirs = await other.signUp('bob')
    alice = { node, user: own.userId, deviceId: own.deviceId }
    bob = { node: other, user: theirs.userId, deviceId: theirs.deviceId }
  })
  afterEach(async () => {
    await node.close()
    await other.close()
    await third?.close()
    third = undefined
  })

  const users = () => node.engine.users
  const refused = (work: Promise<unknown>, errcode: string): Promise<void> =>
    expect(work).rejects.toMatchObject({ errcode })
  const numbered = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index)

  it('are the accounts of a node', async () => {
    await users().accounts.register({ localpart: 'carol' })
    await refused(users().accounts.register({ localpart: 'dave' }), 'M_FORBIDDEN')
    await refused(users().accounts.checkAvailable('dave'), 'M_FORBIDDEN')
    expect(await users().accounts.list()).toEqual([alice.user, node.userId('carol')])
  })

  it('are the devices of a user', async () => {
    for (const _ of numbered(499)) await users().accounts.openSession(alice.user, {})
    await refused(users().accounts.openSession(alice.user, {}), 'M_FORBIDDEN')
    await users().accounts.openSession(alice.user, { deviceId: alice.deviceId })
    await users().devices.delete(alice.user, [alice.deviceId])
    await users().accounts.openSession(alice.user, {})
  })

  it('are filters and pushers', async () => {
    for (const index of numbered(200)) await users().filters.create(alice.user, { index })
    await refused(users().filters.create(alice.user, { index: 200 }), 'M_LIMIT_EXCEEDED')
    await users().filters.create(alice.user, { index: 0 })
    await refused(users().filters.create(alice.user, { index: 'x'.repeat(70_000) }), 'M_TOO_LARGE')
    const data = { url: 'https://a/_matrix/push/v1/notify' }
    const pusher = (index: number): JsonObject => ({
      app_id: 'a',
      pushkey: String(index),
      kind: 'http',
      data,
    })
    for (const index of numbered(100)) await users().pushers.set(callerOf(alice), pusher(index))
    await refused(users().pushers.set(callerOf(alice), pusher(100)), 'M_LIMIT_EXCEEDED')
    await users().pushers.set(callerOf(alice), pusher(0))
    const long = { ...pusher(0), data: { ...data, more: 'x'.repeat(20_000) } }
    await refused(users().pushers.set(callerOf(alice), long), 'M_TOO_LARGE')
    await refused(
      users().pushers.set(callerOf(alice), { ...pusher(0), app_id: 'x'.repeat(65) }),
      'M_INVALID_PARAM',
    )
  })

  it('are the entries of account data', async () => {
    const { accountData } = users()
    const set = (index: number): Promise<number> => accountData.set(alice.user, undefined, `t${index}`, {})
    // One is there from the start: the push rules.
    await Promise.all(numbered(49).map(set))
    await refused(set(50), 'M_TOO_LARGE')
    await set(0)
    await refused(accountData.set(alice.user, undefined, 'x'.repeat(256), {}), 'M_TOO_LARGE')
  })

  it('are backups', async () => {
    const { backups } = users()
    for (const _ of numbered(50)) await backups.createVersion(alice.user, 'a', {})
    await refused(backups.createVersion(alice.user, 'a', {}), 'M_LIMIT_EXCEEDED')
    await backups.deleteVersion(alice.user, '1')
    await backups.createVersion(alice.user, 'a', {})
    await refused(backups.createVersion(alice.user, 'a', { x: 'x'.repeat(70_000) }), 'M_TOO_LARGE')
    const many = Object.fromEntries(numbered(10_001).map((index) => [String(index), {}]))
    await refused(backups.putKeys(alice.user, '51', { room: many }), 'M_TOO_LARGE')
  })

  it('are queries, claims and signatures in one request', async () => {
    const ids = (count: number) => numbered(count).map((index) => `@u${index}:${node.name}`)
    const query = Object.fromEntries(ids(5_001).map((id) => [id, []]))
    await refused(users().keys.query(alice.user, query), 'M_TOO_LARGE')
    const claims = Object.fromEntries(ids(5_001).map((id) => [id, { D: 'a' }]))
    await refused(users().keys.claim(claims), 'M_TOO_LARGE')
    await refused(users().queries.queryKeys(other.name, query), 'M_TOO_LARGE')
    await refused(users().queries.claimKeys(other.name, 'r', claims), 'M_TOO_LARGE')
    const devices = Object.fromEntries(numbered(1_001).map((index) => [String(index), 'a']))
    await refused(users().queries.claimKeys(other.name, 's', { [alice.user]: devices }), 'M_TOO_LARGE')
    const objects = Object.fromEntries(numbered(501).map((index) => [String(index), {}]))
    await refused(users().keys.uploadSignatures(alice.user, { [alice.user]: objects }), 'M_TOO_LARGE')
  })

  it('are device keys and fallback keys', async () => {
    const keys = { ...deviceKeysOf(alice.user, alice.deviceId, testKey(1)), extra: 'x'.repeat(40_000) }
    await refused(users().keys.upload(callerOf(alice), { deviceKeys: keys }), 'M_BAD_JSON')
    const fallback = (count: number): JsonObject =>
      Object.fromEntries(numbered(count).map((index) => [`algorithm${index}:a`, 'key']))
    await refused(users().keys.upload(callerOf(alice), { fallbackKeys: fallback(11) }), 'M_TOO_LARGE')
    await users().keys.upload(callerOf(alice), { fallbackKeys: fallback(10) })
    const two = { 'b:1': 'key', 'b:2': 'key' }
    await refused(users().keys.upload(callerOf(alice), { fallbackKeys: two }), 'M_INVALID_PARAM')
  })

  describe('an inbox', () => {
    const deliver = async (from: Member, count: number, content: JsonObject = {}): Promise<void> => {
      const one = (index: number): Promise<boolean> =>
        applyEdu(alice, 'm.direct_to_device', from.node.name, {
          sender: from.user,
          type: 't',
          message_id: `m${index}`,
          messages: { [alice.user]: { [alice.deviceId]: content } },
        })
      for (let start = 0; start < count; start += 100)
        await Promise.all(numbered(Math.min(100, count - start)).map((index) => one(start + index)))
    }
    /** Somebody who shares a room with Alice. */
    const addCarol = async (): Promise<Member> => {
      third = await createTestNode({ loopback, clock, seed: 3 })
      const { userId, deviceId } = await third.signUp('carol')
      const carol = { node: third, user: userId, deviceId }
      await bringIn(alice, carol, await createRoom(alice))
      return carol
    }
    const senders = async (): Promise<readonly unknown[]> => {
      const page = await users().toDevice.inbox(callerOf(alice), 0, FAR, 20_000)
      return page.events.map(({ sender }) => sender)
    }

    it('has a number of messages, of which strangers can fill the tenth part', async () => {
      await deliver(bob, 1_100)
      expect(await senders()).toEqual(numbered(1_000).map(() => bob.user))
      // Carol, who shares a room with Alice, is heard still.
      const carol = await addCarol()
      await deliver(carol, 9_100)
      expect((await senders()).slice(1_000)).toEqual(numbered(9_000).map(() => carol.user))
    })

    it('has a length, of which strangers can fill the tenth part', async () => {
      const content = { text: 'x'.repeat(60_000) }
      await deliver(bob, 60, content)
      expect(await senders()).toHaveLength(55)
      await deliver(await addCarol(), 600, content)
      expect(await senders()).toHaveLength(559)
    })
  })

  describe('media', () => {
    const bytes = (mebibytes: number, fill: number): Uint8Array =>
      new Uint8Array(mebibytes * MEBIBYTE).fill(fill)

    it('of one user has a quota, and each its size', async () => {
      await refused(users().media.upload(alice.user, bytes(2.5, 1), {}), 'M_TOO_LARGE')
      await users().media.upload(alice.user, bytes(2, 1), {})
      await refused(users().media.upload(alice.user, bytes(2, 2), {}), 'M_FORBIDDEN')
      await users().media.upload(alice.user, bytes(1, 3), {})
    })

    it('of other servers makes room for newer, and shares its bytes', async () => {
      const fetch = (id: string) => users().media.download(other.name, id)
      const upload = (fill: number) => other.engine.users.media.upload(bob.user, bytes(1, fill), {})
      // The same bytes under two names, here and there.
      const [first, twin] = [await upload(1), await upload(1)]
      const own = await users().media.upload(alice.user, bytes(1, 1), {})
      for (const id of [first, twin]) {
        await fetch(id)
        await clock.advance(1)
      }
      for (const fill of [2, 3]) {
        await fetch(await upload(fill))
        await clock.advance(1)
      }
      await other.close()
      await expect(fetch(first)).rejects.toThrow()
      expect((await fetch(twin)).bytes).toEqual(bytes(1, 1))
      expect((await users().media.download(node.name, own)).bytes).toEqual(bytes(1, 1))
    })

    it('that is larger than this node takes is not fetched', async () => {
      const id = await other.engine.users.media.upload(bob.user, bytes(2.5, 1), {})
      await expect(users().media.download(other.name, id)).rejects.toThrow()
    })

    it('is fetched from other servers a bounded number at a time', async () => {
      const running = numbered(40).map((index) => users().media.download(other.name, `none${index}`))
      const results = await Promise.allSettled(running)
      const codes = results.map((result) =>
        result.status === 'rejected' ? (result.reason as { errcode: string }).errcode : '',
      )
      expect(codes.filter((code) => code === 'M_LIMIT_EXCEEDED')).toHaveLength(8)
      await refused(users().media.download(other.name, 'none'), 'M_NOT_FOUND')
    })

    it('is waited for by a bounded number', async () => {
      const { mediaId } = await users().media.create(alice.user)
      const waiting = numbered(201).map(() => users().media.download(node.name, mediaId))
      await refused(waiting.at(-1) ?? Promise.resolve(), 'M_NOT_YET_UPLOADED')
      await settled()
      await users().media.complete(alice.user, mediaId, bytes(1, 1), {})
      expect(await Promise.all(waiting.slice(0, 200))).toHaveLength(200)
    })

    it('is no longer waited for by who went away', async () => {
      const { mediaId } = await users().media.create(alice.user)
      const away = new AbortController()
      const waiting = users().media.download(node.name, mediaId, { signal: away.signal })
      await settled()
      away.abort()
      await refused(waiting, 'M_NOT_YET_UPLOADED')
    })
  })

  it('are directory and OpenID tokens', async () => {
    const { openId, directory } = users()
    const { token } = openId.create(alice.user)
    for (const _ of numbered(1_000)) openId.create(alice.user)
    expect(openId.userOf(token)).toBeUndefined()
    expect(await directory.search(alice.user, 'alice', 0)).toEqual({ results: [], limited: true })
  })
})

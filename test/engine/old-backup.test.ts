/** A node whose store is an old copy: what it did since comes back from others, and nothing that it does from then on is lost. */
import type { JsonObject } from '@plexus/core'
import { NO_SYNC_FILTER, parseSyncToken } from '@plexus/engine'
import { expect, it } from 'vitest'
import { createFakeRelays, createQuickSealer } from '../kit/mail-relay.ts'
import { createTestNetwork, type Member } from '../kit/node.ts'
import { bringIn, createRoom, read, say } from '../server-api/room.ts'
import { ALGORITHM, callerOf, deviceKeysOf, oneTimeKeys, testKey } from './users-kit.ts'

const HOUR = 3_600_000
const FAR = 10 ** 9

it('catches up with its own past, and goes on beyond it', async () => {
  const relays = createFakeRelays()
  const relay = relays.add()
  const network = await createTestNetwork(['alice', 'bob'], 1, {
    mail: { relays, sealer: createQuickSealer(7) },
  })
  const [alice, first] = network.members as [Member, Member]
  let bob = first
  const roomId = await createRoom(alice)
  await bringIn(alice, bob, roomId)
  await network.pass(3_000)
  const toDevice = async (n: number): Promise<void> => {
    const messages = { [alice.user]: { [alice.deviceId]: { n } } }
    await bob.node.engine.users.toDevice.send(callerOf(bob), 'm.test', `t${n}`, messages)
  }
  const inbox = async (): Promise<readonly unknown[]> => {
    const page = await alice.node.engine.users.toDevice.inbox(callerOf(alice), 0, FAR, 1_000)
    return page.events.map(({ content }) => content['n'])
  }
  const sequence = (): number => relays.published.get(bob.node.name)?.record.sequence ?? 0

  await toDevice(1)
  await say(bob, roomId, 'before')
  await network.pass(3_000)
  const backup = bob.node.disk.copy()
  for (const n of [2, 3, 4]) await toDevice(n)
  await say(bob, roomId, 'since')
  await network.clock.advance(13 * HOUR)
  await network.settle()
  const published = sequence()

  bob = await network.restart(bob, backup)
  // The first thing that it does is what it would have numbered as others before.
  await toDevice(5)
  await say(bob, roomId, 'after')
  await network.pass(60_000)
  expect(await inbox()).toEqual([1, 2, 3, 4, 5])
  expect((await read(alice, roomId)).toSorted()).toEqual(['after', 'before', 'since'])
  expect((await read(bob, roomId)).toSorted()).toEqual(['after', 'before', 'since'])
  expect(sequence()).toBeGreaterThan(published)

  // Also where nobody is there to tell it.
  const older = backup.copy()
  network.loopback.offline(alice.node.name, true)
  relays.setOffline(alice.node.name, true)
  bob = await network.restart(bob, older)
  await toDevice(6)
  await network.pass(60_000)
  expect(relay.waiting(alice.node.name).length).toBeGreaterThan(0)
  network.loopback.offline(alice.node.name, false)
  relays.setOffline(alice.node.name, false)
  await network.pass(60_000)
  expect(await inbox()).toEqual([1, 2, 3, 4, 5, 6])
  await network.close()
})

it('gives no one-time key twice, and asks again whose devices it knew', async () => {
  const network = await createTestNetwork(['alice', 'bob'])
  const [alice, first] = network.members as [Member, Member]
  let bob = first
  await bringIn(alice, bob, await createRoom(alice))
  const keysAt = ({ node }: Member) => node.engine.users.keys
  await keysAt(bob).upload(callerOf(bob), { oneTimeKeys: oneTimeKeys(10) })
  const upload = (deviceId: string): Promise<unknown> => {
    const deviceKeys = deviceKeysOf(alice.user, deviceId, testKey(1))
    return keysAt(alice).upload({ userId: alice.user, deviceId }, { deviceKeys })
  }
  await upload(alice.deviceId)
  const devices = async (): Promise<readonly string[]> => {
    const answer = await keysAt(bob).query(bob.user, { [alice.user]: [] })
    return Object.keys(answer.device_keys[alice.user] ?? {})
  }
  expect(await devices()).toEqual([alice.deviceId])
  const backup = bob.node.disk.copy()
  const claim = async (): Promise<JsonObject | undefined> => {
    const answer = await keysAt(alice).claim({ [bob.user]: { [bob.deviceId]: ALGORITHM } })
    return answer.one_time_keys[bob.user]?.[bob.deviceId]
  }
  expect(await claim()).toBeDefined()
  await alice.node.engine.users.accounts.openSession(alice.user, { deviceId: 'SECOND' })
  await upload('SECOND')
  await network.settle()
  expect(await devices()).toEqual([alice.deviceId, 'SECOND'].toSorted())

  const seen = bob.node.engine.committer.committed
  bob = await network.restart(bob, backup)
  const { committer, users } = bob.node.engine
  const { changed } = await users.deviceLists.changes(bob.user, seen, committer.committed)
  expect(changed).toEqual([alice.user])
  expect(await devices()).toEqual([alice.deviceId, 'SECOND'].toSorted())
  expect(await claim()).toBeUndefined()
  expect((await keysAt(bob).counts(callerOf(bob))).oneTimeKeys).toEqual({ [ALGORITHM]: 0 })
  await network.close()
})

it('shows a client that saw more than the copy has all that comes after it', async () => {
  const network = await createTestNetwork(['alice', 'bob'])
  const [alice, first] = network.members as [Member, Member]
  let bob = first
  const roomId = await createRoom(alice)
  await bringIn(alice, bob, roomId)
  const sync = (since?: string): Promise<JsonObject> => {
    const token = since === undefined ? undefined : parseSyncToken(since)
    return bob.node.engine.sync.sync({
      recipient: callerOf(bob),
      filter: NO_SYNC_FILTER,
      fullState: false,
      stateKind: 'state',
      timeoutMs: 0,
      ...(token === undefined ? {} : { since: token }),
    })
  }
  const sayAll = async (texts: readonly string[]): Promise<void> => {
    for (const text of texts) await say(alice, roomId, text)
    await network.settle()
  }
  /** What concerns nobody else, and so comes back from nobody. */
  const doMuch = async (): Promise<void> => {
    for (let n = 0; n < 30; n += 1) await bob.node.engine.committer.submit({ writes: () => [] })
  }
  const backup = bob.node.disk.copy()
  await sayAll(['1', '2', '3'])
  await doMuch()
  const since = (await sync())['next_batch'] as string
  bob = await network.restart(bob, backup)
  const later = ['4', '5', '6', '7']
  await sayAll(later)
  await doMuch()
  const seen = JSON.stringify(await sync(since))
  expect(later.filter((text) => !seen.includes(`"body":"${text}"`))).toEqual([])
  await network.close()
})

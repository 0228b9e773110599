/**
 * A tab that is closed for sixty days, while its mailboxes run over. ABSENCE_EVENTS=200 has as many events a day; the quota grows
 * with them.
 */
import type { JsonObject, RoomId } from '@plexus/core'
import { DEFAULT_MAIL_POLICY } from '@plexus/relay/mail-policy'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { callerOf, deviceKeysOf, testKey } from '../engine/users-kit.ts'
import { at, clientOf, list, pick, text, type ApiClient } from '../kit/api-client.ts'
import { createFakeRelays, createQuickSealer, type FakeRelay, type FakeRelays } from '../kit/mail-relay.ts'
import { createNetwork, type Member, type TestNetwork } from '../kit/whole-node.ts'
import { keysOf } from '../kit/node.ts'
import { createVirtualClock } from '../kit/virtual-clock.ts'
import { bringIn, createRoom, read, say } from '../server-api/room.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const FAR = 10 ** 9
const EVENTS_A_DAY = Number(process.env['ABSENCE_EVENTS'] ?? 2)
const DAYS = 60
const RETENTION_DAYS = DEFAULT_MAIL_POLICY.retentionMs / DAY
/** The others are there for a while every so many days, and one of them not after this one until all is over. */
const STEP_DAYS = 5
const LAST_DAY_OF_CAROL = 50

describe('a tab that was closed for sixty days', { timeout: 600_000 }, () => {
  let relays: FakeRelays
  let one: FakeRelay
  let network: TestNetwork
  let alice: Member
  let bob: Member
  let carol: Member
  let roomId: RoomId

  beforeEach(async () => {
    const clock = createVirtualClock()
    // Sixty days of one of them are as much as both leave in thirty: both do not fit.
    const events = { ...DEFAULT_MAIL_POLICY.quotas.events, mails: EVENTS_A_DAY * 15 }
    relays = createFakeRelays({
      ...DEFAULT_MAIL_POLICY,
      quotas: { ...DEFAULT_MAIL_POLICY.quotas, events },
      clock,
    })
    one = relays.add()
    relays.add()
    const sealer = createQuickSealer(7)
    network = await createNetwork(['alice', 'bob', 'carol'], clock, async (index) => ({
      seed: index + 1,
      keys: keysOf(index + 1),
      mail: { relays, sealer },
    }))
    ;[alice, bob, carol] = network.members as [Member, Member, Member]
    roomId = await createRoom(alice)
    await bringIn(alice, bob, roomId)
    await bringIn(alice, carol, roomId)
    await network.pass(5_000)
  })
  afterEach(() => network.close())

  const pass = async (ms: number): Promise<void> => {
    await network.clock.advance(ms)
    await network.settle()
  }
  const close = ({ node }: Member): void => {
    node.disk.kill()
    node.end()
  }
  const sendToDevice = (from: Member, n: number): Promise<void> => {
    const messages = { [bob.user]: { [bob.deviceId]: { n } } }
    return from.node.engine.users.toDevice.send(callerOf(from), 'm.test', `t${n}`, messages)
  }
  const uploadKeys = ({ node, user, deviceId }: Member): Promise<unknown> =>
    node.engine.users.keys.upload(
      { userId: user, deviceId },
      { deviceKeys: deviceKeysOf(user, deviceId, testKey(2)) },
    )
  const inbox = async (from: Member): Promise<readonly unknown[]> => {
    const page = await bob.node.engine.users.toDevice.inbox(callerOf(bob), 0, FAR, 10_000)
    return page.events.flatMap(({ sender, content }) => (sender === from.user ? [content['n']] : []))
  }
  const sync = (client: ApiClient, since: string): Promise<JsonObject> =>
    client.ok('GET', 'v3/sync', { query: since === '' ? {} : { since } })

  /** The texts since a token, by the timeline of a sync and what lies before it. */
  const readBack = async (client: ApiClient, since: string): Promise<unknown[]> => {
    const room = pick(await sync(client, since), 'rooms', 'join', roomId)
    const found = list(room, 'timeline', 'events').toReversed()
    let next: string | undefined = text(room, 'timeline', 'prev_batch')
    while (next !== undefined) {
      const query: Record<string, string> = { dir: 'b', from: next, to: since, limit: '500' }
      const page: JsonObject = await client.ok('GET', at`v3/rooms/${roomId}/messages`, { query })
      found.push(...list(page, 'chunk'))
      next = page['end'] as string | undefined
    }
    return found.flatMap((event) => pick(event, 'content', 'body') ?? []).toReversed()
  }

  /** What was said, and how many to-device messages each has sent. */
  const live = async (): Promise<{ said: string[]; sent: number }> => {
    const said: string[] = []
    let sent = 0
    for (let day = 0; day < DAYS; day += STEP_DAYS) {
      const isCarolHere = day <= LAST_DAY_OF_CAROL
      if (day > 0) {
        alice = await network.restart(alice)
        if (isCarolHere) carol = await network.restart(carol)
        await pass(MINUTE)
      }
      for (let count = 0; count < STEP_DAYS * EVENTS_A_DAY; count += 1) {
        const body = `${day} ${count}`
        said.push(body)
        await say(isCarolHere && count % 2 === 1 ? carol : alice, roomId, body)
        await network.settle()
      }
      await sendToDevice(alice, sent)
      if (isCarolHere) await sendToDevice(carol, sent)
      if (day === 10) await uploadKeys(alice)
      if (day === 40) await uploadKeys(carol)
      sent += 1
      await pass(10 * MINUTE)
      close(alice)
      close(carol)
      await network.clock.advance(STEP_DAYS * DAY - 11 * MINUTE)
    }
    return { said, sent }
  }

  it('gets what relays keep no more when its sender comes back, also if the two are never there together', async () => {
    close(bob)
    close(carol)
    await say(alice, roomId, 'old')
    await sendToDevice(alice, 0)
    await pass(10 * MINUTE)
    close(alice)
    await network.clock.advance((RETENTION_DAYS + 10) * DAY)
    bob = await network.restart(bob)
    await pass(10 * MINUTE)
    expect([await read(bob, roomId), await inbox(alice)]).toEqual([[], []])
    close(bob)
    alice = await network.restart(alice)
    await pass(10 * MINUTE)
    close(alice)
    bob = await network.restart(bob)
    await pass(10 * MINUTE)
    expect([await read(bob, roomId), await inbox(alice)]).toEqual([['old'], [0]])
  })

  it('gets all that relays still keep, and the rest from who comes back: nothing is lost, and a gap can be read back', async () => {
    const since = text(await sync(await clientOf(bob), ''), 'next_batch')
    close(bob)
    const { said, sent } = await live()
    const mailed = one.waiting(bob.node.name).filter(({ lane }) => lane === 'events')
    expect(mailed.length).toBe(EVENTS_A_DAY * 15)

    // Nobody else is there.
    bob = await network.restart(bob)
    await pass(5 * MINUTE)
    const all = Array.from({ length: sent }, (_, n) => n)
    const ofCarol = all.filter((n) => STEP_DAYS * n <= LAST_DAY_OF_CAROL)
    expect(await inbox(alice)).toEqual(all)
    const young = ofCarol.filter((n) => STEP_DAYS * n > DAYS - RETENTION_DAYS)
    expect(await inbox(carol)).toEqual(expect.arrayContaining(young))
    const first = await read(bob, roomId)
    expect(first.length).toBeGreaterThan(EVENTS_A_DAY * 5)
    expect(first).toEqual(said.slice(0, first.length))

    alice = await network.restart(alice)
    await pass(20 * MINUTE)
    const client = await clientOf(bob)
    const answer = await sync(client, since)
    expect(pick(answer, 'rooms', 'join', roomId, 'timeline', 'limited')).toBe(true)
    expect(await readBack(client, since)).toEqual(said)

    carol = await network.restart(carol)
    await pass(20 * MINUTE)
    expect((await inbox(carol)).toSorted((a, b) => Number(a) - Number(b))).toEqual(ofCarol)
    const { changed } = (await sync(client, since))['device_lists'] as { changed: string[] }
    expect(changed.toSorted()).toEqual([alice.user, carol.user].toSorted())
    expect(await read(carol, roomId)).toEqual(said)
  })
})

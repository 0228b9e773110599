import type { JsonObject, JsonValue, ServerName, UserId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import {
  DEVICE_GONE_MS,
  IDLE_MS,
  MAX_PRESENCE_PUSH,
  MAX_PRESENCE_RECORDS,
  MAX_PRESENCE_SERVERS,
  MAX_PRESENT_DEVICES,
  MAX_STATUS_LENGTH,
  REFRESH_MS,
  REMOTE_GONE_MS,
  createPresence,
} from './presence.ts'
import { ALICE, BOB, HERE, ROOM, THERE, settled, world, type World } from './test-world.ts'
import type { Rooms } from '../rooms/types.ts'
import type { Presence } from './types.ts'

const PHONE = { userId: ALICE, deviceId: 'PHONE' }
const LAPTOP = { userId: ALICE, deviceId: 'LAPTOP' }
const CAROL = '@carol:there.x' as UserId

function presenceWorld(members?: readonly UserId[]): World & { readonly presence: Presence } {
  const made = world(members)
  return { ...made, presence: createPresence(made.deps) }
}

const push = (...told: readonly JsonValue[]): JsonObject => ({ push: told })
const told = (userId: string, more: JsonObject = {}): JsonObject => ({
  user_id: userId,
  presence: 'online',
  last_active_ago: 500,
  currently_active: true,
  ...more,
})

describe('presence of our users', () => {
  it('is what the most present device is', () => {
    const { presence } = presenceWorld()
    presence.syncing(PHONE, 'unavailable', 0)
    expect(presence.get(ALICE)?.presence).toBe('unavailable')
    presence.syncing(LAPTOP, 'online', 0)
    expect(presence.get(ALICE)?.presence).toBe('online')
    presence.syncing(PHONE, 'unavailable', 0)
    expect(presence.get(ALICE)?.presence).toBe('online')
    presence.set(LAPTOP, 'offline')
    expect(presence.get(ALICE)?.presence).toBe('unavailable')
  })

  it('ends a moment after the last device stopped to ask for news', () => {
    const { presence, pass } = presenceWorld()
    presence.syncing(PHONE, 'online', 60_000)
    presence.syncing(LAPTOP, 'online', 0)
    pass(60_000 + DEVICE_GONE_MS - 1)
    expect(presence.get(ALICE)?.presence).toBe('online')
    pass(1)
    expect(presence.get(ALICE)?.presence).toBe('offline')
  })

  it('is not touched by a client that asks for news as nobody', () => {
    const { presence, timers } = presenceWorld()
    presence.syncing(PHONE, 'offline', 0)
    presence.active(ALICE)
    expect(presence.get(ALICE)).toBeUndefined()
    expect(timers.size).toBe(0)
  })

  it('turns to idle after five minutes in which nothing is done', () => {
    const { presence, pass } = presenceWorld()
    presence.syncing(PHONE, 'online', 2 * IDLE_MS)
    pass(IDLE_MS - 1)
    presence.active(ALICE)
    pass(IDLE_MS - 1)
    presence.syncing(PHONE, 'online', 2 * IDLE_MS)
    expect(presence.get(ALICE)?.presence).toBe('online')
    pass(1)
    expect(presence.get(ALICE)?.presence).toBe('unavailable')
    presence.active(ALICE)
    expect(presence.get(ALICE)?.presence).toBe('online')
  })

  it('carries a status until another is set or none', () => {
    const { presence } = presenceWorld()
    presence.set(PHONE, 'online', 'x'.repeat(2 * MAX_STATUS_LENGTH))
    expect(presence.get(ALICE)?.statusMessage).toHaveLength(MAX_STATUS_LENGTH)
    presence.syncing(PHONE, 'online', 0)
    expect(presence.get(ALICE)?.statusMessage).toHaveLength(MAX_STATUS_LENGTH)
    presence.set(PHONE, 'online')
    expect(presence.get(ALICE)).not.toHaveProperty('statusMessage')
  })

  it('is told to the servers of their rooms when it changes, and again while it lasts', async () => {
    const { presence, sent, pass } = presenceWorld()
    presence.set(PHONE, 'unavailable', 'tea')
    presence.syncing(PHONE, 'unavailable', 2 * REFRESH_MS)
    await settled()
    const content = push({
      user_id: ALICE,
      presence: 'unavailable',
      last_active_ago: 0,
      currently_active: false,
      status_msg: 'tea',
    })
    expect(sent).toEqual([{ to: THERE, edu: { edu_type: 'm.presence', content } }])
    pass(REFRESH_MS)
    await settled()
    expect(sent).toHaveLength(2)
    expect(sent[1]?.edu.content).toMatchObject({ push: [{ last_active_ago: REFRESH_MS }] })
  })

  it('is neither told nor taken for the sake of a room of many servers', async () => {
    const crowd = (count: number): ServerName[] =>
      Array.from({ length: count }, (_, index) => `s${index}.x` as ServerName)
    const exchanged = async (servers: number): Promise<readonly unknown[]> => {
      const { deps, sent } = world()
      const joinedServers = [HERE, THERE, ...crowd(servers - 2)]
      const rooms = {
        ...deps.rooms(),
        snapshot: () =>
          Promise.resolve({ roomId: ROOM, joinedMembers: [ALICE, BOB], joinedServers } as never),
      }
      const presence = createPresence({ ...deps, rooms: () => rooms })
      presence.set(PHONE, 'online')
      await settled()
      await presence.edu(THERE, push(told(BOB)))
      return [sent.length, presence.get(BOB)?.presence]
    }
    expect(await exchanged(MAX_PRESENCE_SERVERS)).toEqual([MAX_PRESENCE_SERVERS - 1, 'online'])
    expect(await exchanged(MAX_PRESENCE_SERVERS + 1)).toEqual([0, undefined])
  })

  it('wakes who listens, only for what others can see', () => {
    const { presence, serial } = presenceWorld()
    let woken = 0
    const stop = presence.onChange(() => (woken += 1))
    const before = serial.current
    presence.syncing(PHONE, 'online', 0)
    presence.active(ALICE)
    presence.syncing(PHONE, 'online', 0)
    expect(woken).toBe(1)
    expect(presence.changedSince(before)).toEqual([ALICE])
    expect(presence.changedSince(serial.current)).toEqual([])
    stop()
    presence.set(PHONE, 'offline')
    expect(woken).toBe(1)
  })

  it('outlives a store that cannot be read', async () => {
    const { deps, lines } = world()
    const broken = { memberships: () => Promise.reject(new Error('closed')) } as Partial<Rooms> as Rooms
    const presence = createPresence({ ...deps, rooms: () => broken })
    presence.set(PHONE, 'online')
    await settled()
    expect(presence.get(ALICE)?.presence).toBe('online')
    expect(lines).toEqual(['warn other servers were not told of presence'])
  })

  it('is for who shares a room', async () => {
    const { presence } = presenceWorld([ALICE, BOB])
    expect(await presence.maySee(ALICE, BOB)).toBe(true)
    expect(await presence.maySee(ALICE, CAROL)).toBe(false)
    expect(await presence.maySee(CAROL, CAROL)).toBe(true)
    expect(await presence.maySee(CAROL, BOB)).toBe(false)
  })
})

describe('presence of others', () => {
  it('comes from their own server, and goes when it is silent for long', async () => {
    const { presence, clock, pass } = presenceWorld()
    await presence.edu(THERE, push(told(BOB, { status_msg: 'hi' })))
    const record = { presence: 'online', lastActiveAt: clock.now() - 500, statusMessage: 'hi' }
    expect(presence.get(BOB)).toEqual(record)
    pass(REMOTE_GONE_MS - 1)
    expect(presence.get(BOB)?.presence).toBe('online')
    pass(1)
    expect(presence.get(BOB)).toEqual({ ...record, presence: 'offline' })
  })

  it.each<[string, ServerName, JsonObject]>([
    ['of another server', 'evil.x' as ServerName, push(told(BOB))],
    ['of our own user', THERE, push(told(ALICE))],
    ['of who is in no room with us', THERE, push(told(CAROL))],
    ['of no user', THERE, push(told('bob'), 7, null)],
    ['of an unknown kind', THERE, push(told(BOB, { presence: 'toString' }))],
    ['without a list', THERE, { push: told(BOB) }],
    ['past its bound', THERE, push(...Array<JsonValue>(MAX_PRESENCE_PUSH).fill(0), told(BOB))],
  ])('is not taken from an EDU %s', async (_, origin, content) => {
    const { presence, timers } = presenceWorld()
    await presence.edu(origin, content)
    for (const user of [ALICE, BOB, CAROL]) expect(presence.get(user)).toBeUndefined()
    expect(timers.size).toBe(0)
  })

  it.each([-1e300, 1e300, '5', null])('takes no time of activity from %s', async (ago) => {
    const { presence, clock } = presenceWorld()
    await presence.edu(THERE, push(told(BOB, { last_active_ago: ago })))
    const at = presence.get(BOB)?.lastActiveAt ?? Number.NaN
    expect(at).toBeGreaterThanOrEqual(0)
    expect(at).toBeLessThanOrEqual(clock.now())
  })
})

it('bounds the devices of a user and the users', () => {
  const { presence, timers } = presenceWorld()
  for (let index = 0; index <= MAX_PRESENT_DEVICES; index += 1)
    presence.syncing({ userId: ALICE, deviceId: `D${index}` }, 'unavailable', 0)
  presence.syncing({ userId: ALICE, deviceId: 'ONE MORE' }, 'online', 0)
  expect(presence.get(ALICE)?.presence).toBe('unavailable')
  for (let index = 0; index < MAX_PRESENCE_RECORDS; index += 1)
    presence.set({ userId: `@u${index}:here.x` as UserId, deviceId: 'D' }, 'online')
  expect(presence.get(ALICE)).toBeUndefined()
  expect(presence.get('@u0:here.x' as UserId)?.presence).toBe('online')
  expect(timers.size).toBe(2 * MAX_PRESENCE_RECORDS)
})

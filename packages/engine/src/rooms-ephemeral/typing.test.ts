import type { JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import type { Edu } from '../outbox-types.ts'
import type { Rooms } from '../rooms/types.ts'
import {
  MAX_TYPING_MS,
  MAX_TYPING_ROOMS,
  MAX_TYPING_USERS,
  REMOTE_TYPING_MS,
  createTyping,
} from './typing.ts'
import type { Typing } from './types.ts'

const HERE = 'here.x' as ServerName
const THERE = 'there.x' as ServerName
const ROOM = '!room:here.x' as RoomId
const ALICE = '@alice:here.x' as UserId
const BOB = '@bob:there.x' as UserId

type Timer = { at: number; run: () => void }

type World = {
  typing: Typing
  sent: { to: ServerName; edu: Edu }[]
  pass: (ms: number) => void
  timers: Set<Timer>
}

function world(members: readonly UserId[] = [ALICE, BOB]): World {
  let now = 1_000
  const timers = new Set<Timer>()
  const sent: World['sent'] = []
  const rooms: Partial<Rooms> = {
    membership: (userId, roomId) =>
      Promise.resolve(
        members.includes(userId)
          ? { roomId, membership: 'join', eventId: '$e' as never, sender: userId, position: 1 }
          : undefined,
      ),
    snapshot: () => Promise.resolve({ joinedMembers: members, joinedServers: [HERE, THERE] } as never),
  }
  const typing = createTyping({
    rooms: () => rooms as Rooms,
    outbox: { sendVolatile: (to, edu) => void sent.push({ to, edu }) },
    clock: {
      now: () => now,
      after(ms, run) {
        const timer = { at: now + ms, run }
        timers.add(timer)
        return () => timers.delete(timer)
      },
    },
    serverName: HERE,
  })
  const pass = (ms: number): void => {
    now += ms
    for (const timer of timers) {
      if (timer.at > now) continue
      timers.delete(timer)
      timer.run()
    }
  }
  return { typing, sent, pass, timers }
}

const edu = (userId: string, typing: unknown = true, roomId: string = ROOM): JsonObject =>
  ({ room_id: roomId, user_id: userId, typing }) as JsonObject

describe('typing', () => {
  it('shows a user until the time is up, and tells the other servers', async () => {
    const { typing, sent, pass } = world()
    const before = typing.serial
    await typing.set(ALICE, ROOM, true, 5_000)
    expect(typing.users(ROOM)).toEqual([ALICE])
    expect(typing.changedSince(before)).toEqual([ROOM])
    expect(typing.changedSince(typing.serial)).toEqual([])
    expect(sent).toEqual([{ to: THERE, edu: { edu_type: 'm.typing', content: edu(ALICE) } }])
    const shown = typing.serial
    pass(5_000)
    expect(typing.users(ROOM)).toEqual([])
    expect(typing.changedSince(shown)).toEqual([ROOM])
  })

  it('prolongs without a change, and stops at once', async () => {
    const { typing, pass } = world()
    await typing.set(ALICE, ROOM, true, 5_000)
    const shown = typing.serial
    pass(4_000)
    await typing.set(ALICE, ROOM, true, 5_000)
    pass(4_000)
    expect(typing.users(ROOM)).toEqual([ALICE])
    expect(typing.serial).toBe(shown)
    await typing.set(ALICE, ROOM, false, 0)
    expect(typing.users(ROOM)).toEqual([])
  })

  it('bounds the time', async () => {
    const { typing, pass } = world()
    await typing.set(ALICE, ROOM, true, Number.MAX_SAFE_INTEGER)
    pass(MAX_TYPING_MS)
    expect(typing.users(ROOM)).toEqual([])
  })

  it('is for members', async () => {
    const { typing } = world([BOB])
    await expect(typing.set(ALICE, ROOM, true, 5_000)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  it('takes EDUs of joined users from their own server, for a while', async () => {
    const { typing, pass } = world()
    await typing.edu(THERE, edu(BOB))
    expect(typing.users(ROOM)).toEqual([BOB])
    pass(REMOTE_TYPING_MS)
    expect(typing.users(ROOM)).toEqual([])
  })

  it.each<[string, ServerName, JsonObject]>([
    ['of another server', 'evil.x' as ServerName, edu(BOB)],
    ['of our own user', THERE, edu(ALICE)],
    ['of somebody who is not in the room', THERE, edu('@carol:there.x')],
    ['without a user', THERE, { room_id: ROOM, typing: true }],
    ['with a broken room', THERE, edu(BOB, true, 'nonsense')],
    ['that does not say so', THERE, edu(BOB, 'yes')],
  ])('ignores an EDU %s', async (_, origin, content) => {
    const { typing } = world()
    await typing.edu(origin, content)
    expect(typing.users(ROOM)).toEqual([])
  })

  it('bounds users of a room and rooms', async () => {
    const crowd = Array.from({ length: MAX_TYPING_USERS + 1 }, (_, index) => `@u${index}:there.x` as UserId)
    const { typing, timers } = world(crowd)
    for (const user of crowd) await typing.edu(THERE, edu(user))
    expect(typing.users(ROOM)).toHaveLength(MAX_TYPING_USERS)
    const [first = BOB] = crowd
    for (let index = 0; index < MAX_TYPING_ROOMS; index += 1)
      await typing.edu(THERE, edu(first, true, `!${index}:x`))
    expect(typing.changedSince(0)).toHaveLength(MAX_TYPING_ROOMS)
    expect(typing.users(ROOM)).toEqual([])
    expect(timers.size).toBe(MAX_TYPING_ROOMS)
  })
})

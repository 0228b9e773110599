import type { JsonObject, ServerName, UserId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { ALICE, BOB, ROOM, THERE, world, type World } from './test-world.ts'
import {
  MAX_TYPING_MS,
  MAX_TYPING_ROOMS,
  MAX_TYPING_USERS,
  REMOTE_TYPING_MS,
  createTyping,
} from './typing.ts'
import type { Rooms } from '../rooms/types.ts'
import type { Typing } from './types.ts'

function typingWorld(members?: readonly UserId[]): World & { readonly typing: Typing } {
  const made = world(members)
  return { ...made, typing: createTyping(made.deps) }
}

const edu = (userId: string, typing: unknown = true, roomId: string = ROOM): JsonObject =>
  ({ room_id: roomId, user_id: userId, typing }) as JsonObject

describe('typing', () => {
  it('shows a user until the time is up, and tells the other servers', async () => {
    const { typing, serial, sent, pass } = typingWorld()
    const before = serial.current
    await typing.set(ALICE, ROOM, true, 5_000)
    expect(typing.users(ROOM)).toEqual([ALICE])
    expect(typing.changedSince(before)).toEqual([ROOM])
    expect(typing.changedSince(serial.current)).toEqual([])
    expect(sent).toEqual([{ to: THERE, edu: { edu_type: 'm.typing', content: edu(ALICE) } }])
    const shown = serial.current
    pass(5_000)
    expect(typing.users(ROOM)).toEqual([])
    expect(typing.changedSince(shown)).toEqual([ROOM])
  })

  it('tells no server that the ACL denies', async () => {
    const { deps, sent } = world([ALICE, BOB], [THERE])
    await createTyping(deps).set(ALICE, ROOM, true, 5_000)
    expect(sent).toEqual([])
  })

  it('prolongs without a change, and stops at once', async () => {
    const { typing, serial, pass } = typingWorld()
    await typing.set(ALICE, ROOM, true, 5_000)
    const shown = serial.current
    pass(4_000)
    await typing.set(ALICE, ROOM, true, 5_000)
    pass(4_000)
    expect(typing.users(ROOM)).toEqual([ALICE])
    expect(serial.current).toBe(shown)
    await typing.set(ALICE, ROOM, false, 0)
    expect(typing.users(ROOM)).toEqual([])
  })

  it('bounds the time', async () => {
    const { typing, pass } = typingWorld()
    await typing.set(ALICE, ROOM, true, Number.MAX_SAFE_INTEGER)
    pass(MAX_TYPING_MS)
    expect(typing.users(ROOM)).toEqual([])
  })

  it('is for members', async () => {
    const { typing } = typingWorld([BOB])
    await expect(typing.set(ALICE, ROOM, true, 5_000)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' })
  })

  it('takes EDUs of joined users from their own server, for a while', async () => {
    const { typing, pass } = typingWorld()
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
    const { typing } = typingWorld()
    await typing.edu(origin, content)
    expect(typing.users(ROOM)).toEqual([])
  })

  it('is taken of who may be a member that is not known yet', async () => {
    const { deps } = world([ALICE])
    const partial = { isPartial: true, joinedMembers: [ALICE], joinedServers: [THERE], state: new Map() }
    const rooms: Partial<Rooms> = { snapshot: () => Promise.resolve(partial as never) }
    const typing = createTyping({ ...deps, rooms: () => rooms as Rooms })
    await typing.edu(THERE, edu(BOB))
    await typing.edu('else.x' as ServerName, edu('@eve:else.x'))
    expect(typing.users(ROOM)).toEqual([BOB])
  })

  it('bounds users of a room and rooms', async () => {
    const crowd = Array.from({ length: MAX_TYPING_USERS + 1 }, (_, index) => `@u${index}:there.x` as UserId)
    const { typing, timers } = typingWorld(crowd)
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

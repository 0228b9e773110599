import type { EventId, RoomId, UserId } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import { MAX_LAZY_MEMBERS, createLazyMembers } from './lazy-members.ts'

const ROOM = '!r:x' as RoomId
const BOB = '@bob:x' as UserId
const ONE = '$one' as EventId
const TWO = '$two' as EventId
const device = { userId: '@alice:x' as UserId, deviceId: 'D' }

describe('lazy members', () => {
  it('count as known once the device comes back with the token of the answer', () => {
    const members = createLazyMembers()
    const first = members.begin(device, undefined)
    first.sent(ROOM, BOB, ONE)
    first.finish('s1')
    const second = members.begin(device, 's1')
    expect(second.has(ROOM, BOB, ONE)).toBe(true)
    expect(second.has(ROOM, BOB, TWO)).toBe(false)
    expect(members.begin({ ...device, deviceId: 'E' }, 's1').has(ROOM, BOB, ONE)).toBe(false)
  })

  it('do not count when the answer was lost', () => {
    const members = createLazyMembers()
    members.begin(device, undefined).finish('s1')
    const second = members.begin(device, 's1')
    second.sent(ROOM, BOB, ONE)
    second.finish('s2')
    expect(members.begin(device, 's1').has(ROOM, BOB, ONE)).toBe(false)
  })

  it('are forgotten when the device starts again, or comes with another token', () => {
    const members = createLazyMembers()
    const known = (): void => {
      const answer = members.begin(device, undefined)
      answer.sent(ROOM, BOB, ONE)
      answer.finish('s1')
      members.begin(device, 's1').finish('s2')
    }
    known()
    expect(members.begin(device, 's2').has(ROOM, BOB, ONE)).toBe(true)
    known()
    expect(members.begin(device, undefined).has(ROOM, BOB, ONE)).toBe(false)
    known()
    expect(members.begin(device, 's0').has(ROOM, BOB, ONE)).toBe(false)
  })

  it('are bounded for each device', () => {
    const members = createLazyMembers()
    const answer = members.begin(device, undefined)
    for (let index = 0; index <= MAX_LAZY_MEMBERS; index += 1)
      answer.sent(ROOM, `@u${index}:x` as UserId, ONE)
    answer.finish('s1')
    const next = members.begin(device, 's1')
    expect(next.has(ROOM, '@u0:x' as UserId, ONE)).toBe(false)
    expect(next.has(ROOM, `@u${MAX_LAZY_MEMBERS}:x` as UserId, ONE)).toBe(true)
  })
})

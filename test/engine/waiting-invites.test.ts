/** Invites that wait for an answer, where there are as many as may. */
import type { EventId, RoomId, UserId } from '@plexus/core'
import { MAX_INVITES_OF_SERVER, MAX_WAITING_INVITES, memberships } from '@plexus/engine/testing'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { BareNode } from '../kit/bare-rooms.ts'
import { createRoom, threeServers } from './rooms-kit.ts'

describe('a new invite, where as many wait as may,', () => {
  let alice: BareNode
  let bob: BareNode

  beforeEach(async () => {
    ;({ alice, bob } = await threeServers())
  })

  /** Invites of so many names in turn wait at Bob's; the rooms, oldest first. */
  const fill = async (names: number): Promise<readonly RoomId[]> => {
    const rooms = Array.from({ length: MAX_WAITING_INVITES }, (_, n) => `!${n}:example.org` as RoomId)
    const eventId = '$invite' as EventId
    await bob.committer.submit({
      writes: () =>
        rooms.map((room, n) => {
          const sender = `@x:s${n % names}.example.org` as UserId
          const row = { roomId: room, eventId, sender, position: n + 1, strippedState: [{}] }
          return memberships.put([bob.user, room], { ...row, membership: 'invite' })
        }),
    })
    return rooms
  }
  const waiting = async (): Promise<readonly RoomId[]> =>
    (await bob.rooms.memberships(bob.user)).flatMap(({ roomId: room, membership }) =>
      membership === 'invite' ? [room] : [],
    )
  const inviteTo = async (): Promise<RoomId> => {
    const room = await createRoom(alice)
    await alice.rooms.invite(alice.user, room, bob.user)
    return room
  }

  it('ends the oldest of who has most, so that few names keep nobody out', async () => {
    const rooms = await fill(MAX_WAITING_INVITES / MAX_INVITES_OF_SERVER)
    const invited: RoomId[] = []
    for (let n = 0; n < 4; n += 1) invited.push(await inviteTo())
    const left = new Set(await waiting())
    expect(left.size).toBe(MAX_WAITING_INVITES)
    expect(invited.every((room) => left.has(room))).toBe(true)
    expect(rooms.filter((room) => !left.has(room))).toEqual(rooms.slice(0, 4))
    // What is left of those that ended makes room.
    const kept = await bob.store.range('membership', '', '\u00ff')
    expect(kept.length).toBe(MAX_WAITING_INVITES + 1)
  })

  it('is refused where nobody has more, so that many names end nothing that was accepted', async () => {
    await fill(MAX_WAITING_INVITES / 2)
    const room = await inviteTo()
    await expect(inviteTo()).rejects.toThrow('too many invites wait')
    expect((await waiting()).filter((each) => each === room)).toEqual([room])
    expect((await waiting()).length).toBe(MAX_WAITING_INVITES)
  })

  it('costs as much where it is refused as the list of those that wait, and nothing for each', async () => {
    await fill(MAX_WAITING_INVITES)
    const get = vi.spyOn(bob.store, 'get')
    const getMany = vi.spyOn(bob.store, 'getMany')
    await expect(inviteTo()).rejects.toThrow('too many invites wait')
    expect(get.mock.calls.length + getMany.mock.calls.length).toBeLessThan(100)
  })
})

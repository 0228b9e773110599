import { describe, expect, it } from 'vitest'
import { BOB, publicRoom } from '../testing/random-room.ts'
import { message, requireVersion } from '../testing/rooms.ts'
import { checkAuthEvents, checkRoom } from './auth-events.ts'

const V12 = requireVersion('12')

describe('auth events', () => {
  it('that are no state are strays, however many', () => {
    const { room } = publicRoom()
    const more = [room.add(message(BOB, 'a')), room.add(message(BOB, 'b'))].map(({ id }) => id)
    const { pdu } = room.build(message(BOB, 'x'))
    const named = { ...pdu, auth_events: [...pdu.auth_events, ...more] }
    expect(checkAuthEvents(V12, named, room.roomId, room.view)).toMatchObject({ rule: 'v12 auth 3.2' })
  })

  it('have a room that names its create event from version 12 on', () => {
    const { room } = publicRoom()
    const create = { ...room.create, verdict: 'rejected' } as const
    expect(checkRoom(V12, create)).toMatchObject({ rule: 'v12 auth 2' })
    expect(checkRoom(requireVersion('11'), create)).toBeUndefined()
  })
})

import { createClient, EventStatus, MatrixEvent, PendingEventOrdering, Room } from 'matrix-js-sdk'
import { beforeEach, describe, expect, it } from 'vitest'
import { eventsOf } from './shown-events.ts'

const ME = '@me:x'
const ROOM = '!room'

const event = (id: string): MatrixEvent =>
  new MatrixEvent({
    event_id: id,
    room_id: ROOM,
    sender: ME,
    type: 'm.room.message',
    content: { msgtype: 'm.text', body: id },
    origin_server_ts: 1,
  })

describe('the events of a room', () => {
  let room: Room
  beforeEach(() => {
    const client = createClient({ baseUrl: 'http://node.invalid', userId: ME })
    room = new Room(ROOM, client, ME, { pendingEventOrdering: PendingEventOrdering.Detached })
  })
  const ids = (): (string | undefined)[] => eventsOf(room).map((each) => each.getId())

  it('are what the node took, then what it has not taken yet', async () => {
    await room.addLiveEvents([event('$1')], { addToState: false })
    const sending = event('~local')
    sending.setStatus(EventStatus.SENDING)
    room.addPendingEvent(sending, 'txn')
    expect(ids()).toEqual(['$1', '~local'])
  })

  it('hold a message once that was fetched as history before its echo came', () => {
    const sending = event('~local')
    sending.setStatus(EventStatus.SENDING)
    room.addPendingEvent(sending, 'txn')
    room.updatePendingEvent(sending, EventStatus.SENT, '$1')
    expect(ids()).toEqual(['$1'])
    room.addEventsToTimeline([event('$1')], true, false, room.getLiveTimeline(), 't1')
    expect(room.getPendingEvents()).toHaveLength(1)
    expect(ids()).toEqual(['$1'])
  })

  it('wait at the end until they are decrypted, and nowhere else', async () => {
    const opening = [event('$2'), event('$4'), event('$5')]
    const read = new Set<MatrixEvent>()
    for (const each of opening) each.isBeingDecrypted = () => !read.has(each)
    const [second, fourth] = opening
    const added = [event('$1'), ...opening.slice(0, 1), event('$3'), ...opening.slice(1)]
    await room.addLiveEvents(added, { addToState: false })
    expect(second?.isBeingDecrypted()).toBe(true)
    expect(ids()).toEqual(['$1', '$2', '$3'])
    if (fourth !== undefined) read.add(fourth)
    expect(ids()).toEqual(['$1', '$2', '$3', '$4'])
    for (const each of opening) read.add(each)
    expect(ids()).toEqual(['$1', '$2', '$3', '$4', '$5'])
  })
})

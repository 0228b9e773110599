/** What a stock client shows of its rooms: timelines, members, receipts, typing, edits, redactions, leaving. */
import type { MatrixClient, MatrixEvent, Room } from 'matrix-js-sdk'
import {
  ClientEvent,
  Direction,
  EventType,
  MatrixEventEvent,
  MsgType,
  NotificationCountType,
  Preset,
  RelationType,
} from 'matrix-js-sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ClientPair } from '../kit/stock-client.ts'
import { createClientPair } from '../kit/stock-client.ts'

const TEN_SECONDS = 10_000

let pair: ClientPair
let alice: MatrixClient
let bob: MatrixClient
let roomId: string

/** Waits until `found` answers; asked again after each sync, and at what follows from one later. */
function until<T>(client: MatrixClient, found: () => T | undefined): Promise<T> {
  return new Promise((resolve) => {
    const look = (): void => {
      const answer = found()
      if (answer === undefined) return
      client.off(ClientEvent.Sync, look)
      client.off(MatrixEventEvent.Replaced, look)
      resolve(answer)
    }
    client.on(ClientEvent.Sync, look)
    client.on(MatrixEventEvent.Replaced, look)
    look()
  })
}

function roomOf(client: MatrixClient, id = roomId): Room {
  const room = client.getRoom(id)
  if (room === null) throw new Error('the client has no such room')
  return room
}

const textsOf = (events: readonly MatrixEvent[]): unknown[] =>
  events
    .filter((event) => event.getType() === EventType.RoomMessage)
    .map((event) => event.getContent()['body'])

const say = async (client: MatrixClient, body: string): Promise<string> =>
  (await client.sendMessage(roomId, { msgtype: MsgType.Text, body })).event_id

const eventAt = (client: MatrixClient, eventId: string): Promise<MatrixEvent> =>
  until(client, () => roomOf(client).findEventById(eventId))

beforeAll(async () => {
  pair = await createClientPair()
  alice = await pair.start(pair.first, 'alice')
  bob = await pair.start(pair.second, 'bob')
  roomId = (await alice.createRoom({ preset: Preset.PrivateChat, name: 'Kitchen', topic: 'Tea' })).room_id
  for (let index = 0; index < 30; index += 1) await say(alice, `before ${index}`)
  await alice.invite(roomId, bob.getSafeUserId())
  await until(bob, () => (bob.getRoom(roomId)?.getMyMembership() === 'invite' ? true : undefined))
  await bob.joinRoom(roomId)
  await until(bob, () => (bob.getRoom(roomId)?.getMyMembership() === 'join' ? true : undefined))
}, 3 * TEN_SECONDS)

afterAll(() => pair.close())

describe('a stock client', { timeout: 2 * TEN_SECONDS }, () => {
  it('shows name, topic and members of a room that it joined', async () => {
    const room = await until(bob, () => (bob.getRoom(roomId)?.name === 'Kitchen' ? roomOf(bob) : undefined))
    expect(room.currentState.getStateEvents(EventType.RoomTopic, '')?.getContent()['topic']).toBe('Tea')
    await room.loadMembersIfNeeded()
    expect(
      room
        .getJoinedMembers()
        .map(({ userId }) => userId)
        .toSorted(),
    ).toEqual([alice.getSafeUserId(), bob.getSafeUserId()].toSorted())
  })

  it('pages back to the beginning, through history of before it joined', async () => {
    const room = roomOf(bob)
    while (room.getLiveTimeline().getPaginationToken(Direction.Backward) !== null)
      await bob.scrollback(room, 10)
    const events = room.getLiveTimeline().getEvents()
    expect(textsOf(events)).toEqual(Array.from({ length: 30 }, (_, index) => `before ${index}`))
    expect(events[0]?.getType()).toBe(EventType.RoomCreate)
    expect(new Set(events.map((event) => event.getId())).size).toBe(events.length)
  })

  it('knows its own message again, and counts what it has not read until it has', async () => {
    const room = roomOf(bob)
    const eventId = await say(alice, 'read me')
    const own = await eventAt(alice, eventId)
    await until(alice, () => (own.status === null ? true : undefined))
    expect(
      textsOf(roomOf(alice).getLiveTimeline().getEvents()).filter((body) => body === 'read me'),
    ).toHaveLength(1)
    const event = await eventAt(bob, eventId)
    const unread = (): number => room.getUnreadNotificationCount(NotificationCountType.Total)
    expect(await until(bob, () => (unread() > 0 ? true : undefined))).toBe(true)
    await bob.sendReadReceipt(event)
    expect(await until(bob, () => (unread() === 0 ? true : undefined))).toBe(true)
    await until(alice, () =>
      roomOf(alice).getEventReadUpTo(bob.getSafeUserId()) === eventId ? true : undefined,
    )
  })

  it('shows who is typing, and that they stopped', async () => {
    const typing = (): boolean => roomOf(bob).getMember(alice.getSafeUserId())?.typing ?? false
    await alice.sendTyping(roomId, true, TEN_SECONDS)
    expect(await until(bob, () => (typing() ? true : undefined))).toBe(true)
    await alice.sendTyping(roomId, false, TEN_SECONDS)
    expect(await until(bob, () => (typing() ? undefined : true))).toBe(true)
  })

  it('shows an edit, a reaction and a redaction', async () => {
    const eventId = await say(alice, 'tpyo')
    const event = await eventAt(bob, eventId)
    await alice.sendMessage(roomId, {
      msgtype: MsgType.Text,
      body: '* typo',
      'm.new_content': { msgtype: MsgType.Text, body: 'typo' },
      'm.relates_to': { rel_type: RelationType.Replace, event_id: eventId },
    })
    expect(await until(bob, () => (event.getContent()['body'] === 'typo' ? true : undefined))).toBe(true)
    await bob.sendEvent(roomId, EventType.Reaction, {
      'm.relates_to': { rel_type: RelationType.Annotation, event_id: eventId, key: '+' },
    })
    await until(alice, () =>
      roomOf(alice)
        .relations.getChildEventsForEvent(eventId, RelationType.Annotation, EventType.Reaction)
        ?.getSortedAnnotationsByKey()
        ?.find(([key]) => key === '+'),
    )
    const { events } = await alice.relations(roomId, eventId, RelationType.Annotation, EventType.Reaction)
    expect(events).toHaveLength(1)
    await alice.redactEvent(roomId, eventId, undefined, { reason: 'enough' })
    expect(await until(bob, () => (event.isRedacted() ? true : undefined))).toBe(true)
    expect(event.getRedactionEvent()?.['content']).toMatchObject({ reason: 'enough' })
  })

  it('follows changes of the state and of names', async () => {
    await alice.setRoomName(roomId, 'Hall')
    await until(bob, () => (roomOf(bob).name === 'Hall' ? true : undefined))
    await alice.setDisplayName('Alice A.')
    await until(bob, () =>
      roomOf(bob).getMember(alice.getSafeUserId())?.name === 'Alice A.' ? true : undefined,
    )
  })

  it('finds an event by its id and by its time', async () => {
    const { chunk } = await alice.createMessagesRequest(roomId, null, 100, Direction.Backward)
    const found = chunk.find(({ content }) => content['body'] === 'before 3')
    if (found === undefined) throw new Error('no such message')
    expect(await alice.fetchRoomEvent(roomId, found.event_id)).toMatchObject({
      content: { body: 'before 3' },
    })
    const nearest = await alice.timestampToEvent(roomId, found.origin_server_ts, Direction.Forward)
    expect(nearest.origin_server_ts).toBe(found.origin_server_ts)
  })

  it('is told when it is thrown out, and can forget the room', async () => {
    await alice.kick(roomId, bob.getSafeUserId(), 'late')
    await until(bob, () => (roomOf(bob).getMyMembership() === 'leave' ? true : undefined))
    await bob.forget(roomId)
    expect(bob.getRoom(roomId)).toBeNull()
  })
})

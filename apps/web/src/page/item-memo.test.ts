import { parseEventId, parseRoomId } from '@plexus/core'
import type { Delivery } from '@plexus/engine/ports'
import { describe, expect, it } from 'vitest'
import { createItemMemo } from './item-memo.ts'
import { itemOf, type ItemContext } from './items.ts'
import { EventStatus, MatrixEvent, type IEvent } from './sdk.ts'

const ME = '@me:a.example'
const ADA = '@ada:b.example'
const EVENT_ID = `$${'e'.repeat(43)}`
const ROOM_ID = `!${'r'.repeat(43)}`

function eventOf(fields: Partial<IEvent> = {}): MatrixEvent {
  return new MatrixEvent({
    event_id: EVENT_ID,
    room_id: ROOM_ID,
    sender: ME,
    origin_server_ts: 1_000,
    type: 'm.room.message',
    content: { msgtype: 'm.text', body: 'hello' },
    ...fields,
  })
}

/** What a room may learn about an event. */
function room(): {
  context: ItemContext
  facts: {
    name: string
    delivery: Delivery | undefined
    readers: string[]
    removable: boolean
    target: MatrixEvent | undefined
  }
} {
  const facts = {
    name: 'Ada',
    delivery: undefined as Delivery | undefined,
    readers: [] as string[],
    removable: false,
    target: undefined as MatrixEvent | undefined,
  }
  const context: ItemContext = {
    me: ME,
    nameOf: (userId) => (userId === ADA ? facts.name : userId),
    delivery: () => facts.delivery,
    readBy: () => [...facts.readers],
    canRemove: () => facts.removable,
    find: () => facts.target,
  }
  return { context, facts }
}

function delivery(delivered: number): Delivery {
  const eventId = parseEventId(EVENT_ID)
  const roomId = parseRoomId(ROOM_ID)
  if (eventId === undefined || roomId === undefined) throw new Error('the fixture is no identifier')
  return { eventId, roomId, delivered, atRelay: 0, members: 2 }
}

type Facts = ReturnType<typeof room>['facts']

describe('the items of a room', () => {
  it('are the same objects while nothing changes', () => {
    const { context, facts } = room()
    const shown = createItemMemo(context)
    const events = [
      eventOf(),
      eventOf({ event_id: '$b', sender: ADA }),
      eventOf({ event_id: '$c', type: 'm.room.name', state_key: '', content: { name: 'x' } }),
      eventOf({ event_id: '$d', content: { 'm.relates_to': { 'm.in_reply_to': { event_id: '$a' } } } }),
    ]
    const first = events.map(shown)
    expect(first.every((item) => item !== undefined)).toBe(true)
    facts.readers = []
    events.map(shown).forEach((item, index) => expect(item).toBe(first[index]))
  })

  it.each<[string, (event: MatrixEvent, facts: Facts) => void]>([
    ['its state on the way', (event) => event.setStatus(EventStatus.SENDING)],
    ['its id', (event) => event.replaceLocalEventId(`$${'f'.repeat(43)}`)],
    ['its delivery', (_, facts) => (facts.delivery = delivery(1))],
    ['its readers', (_, facts) => facts.readers.push('Ada')],
    ['what one may do', (_, facts) => (facts.removable = true)],
    [
      'an edit',
      (event) =>
        event.makeReplaced(
          eventOf({ event_id: '$r', content: { 'm.new_content': { msgtype: 'm.text', body: 'new' } } }),
        ),
    ],
    ['its content', (event) => (event.event.content = { msgtype: 'm.text', body: 'decrypted' })],
    [
      'its removal',
      (event) => (event.event.unsigned = { redacted_because: eventOf({ sender: ADA }).event as never }),
    ],
  ])('of an own message follow %s', (_, change) => {
    const { context, facts } = room()
    const shown = createItemMemo(context)
    const event = eventOf()
    const before = shown(event)
    change(event, facts)
    expect(shown(event)).toEqual(itemOf(event, context))
    expect(shown(event)).not.toEqual(before)
  })

  it('follow the names and the words of others', () => {
    const { context, facts } = room()
    facts.target = eventOf({ event_id: '$a', sender: ADA })
    const shown = createItemMemo(context)
    const events = [
      eventOf({ sender: ADA }),
      eventOf({ event_id: '$m', sender: ADA, type: 'm.room.name', state_key: '', content: { name: 'x' } }),
      eventOf({ event_id: '$d', content: { 'm.relates_to': { 'm.in_reply_to': { event_id: '$a' } } } }),
    ]
    const before = events.map(shown)
    facts.name = 'Ada L.'
    expect(events.map(shown)).toEqual(events.map((event) => itemOf(event, context)))
    events.map(shown).forEach((item, index) => expect(item).not.toEqual(before[index]))
    facts.target.event.content = { msgtype: 'm.text', body: 'other words' }
    expect(events.map(shown)).toEqual(events.map((event) => itemOf(event, context)))
  })

  it('are not made again for each change elsewhere', () => {
    const { context } = room()
    const content = { msgtype: 'm.text', body: 'hello' }
    let reads = 0
    const event = eventOf({
      content: {
        ...content,
        get body() {
          reads += 1
          return content.body
        },
      },
    })
    const shown = createItemMemo(context)
    shown(event)
    const once = reads
    shown(event)
    shown(event)
    expect([once > 0, reads]).toEqual([true, once])
  })
})

import { parseEventId, parseRoomId } from '@plexus/core'
import type { Delivery } from '@plexus/engine/ports'
import fc from 'fast-check'
import { EventStatus, MatrixEvent, type IEvent } from './sdk.ts'
import { describe, expect, it } from 'vitest'
import { fileName, itemOf, MAX_SHOWN_TEXT, type ItemContext } from './items.ts'

const ME = '@me:a.example'
const ADA = '@ada:b.example'
const EVENT_ID = `$${'e'.repeat(43)}`
const ROOM_ID = `!${'r'.repeat(43)}`

function context(overrides: Partial<ItemContext> = {}): ItemContext {
  return {
    me: ME,
    nameOf: (userId) => (userId === ADA ? 'Ada' : userId),
    delivery: () => undefined,
    readBy: () => [],
    canRemove: () => false,
    find: () => undefined,
    ...overrides,
  }
}

function eventOf(fields: Partial<IEvent>): MatrixEvent {
  return new MatrixEvent({
    event_id: EVENT_ID,
    room_id: ROOM_ID,
    sender: ADA,
    origin_server_ts: 1_000,
    type: 'm.room.message',
    content: { msgtype: 'm.text', body: 'hello' },
    ...fields,
  })
}

const contentOf = (content: object): unknown => {
  const item = itemOf(eventOf({ content: { ...content } }), context())
  return item?.kind === 'message' ? item.content : item
}

const delivery = (delivered: number, members: number): Delivery => {
  const eventId = parseEventId(EVENT_ID)
  const roomId = parseRoomId(ROOM_ID)
  if (eventId === undefined || roomId === undefined) throw new Error('the fixture is no identifier')
  return { eventId, roomId, delivered, atRelay: 0, members }
}

describe('messages in the timeline', () => {
  it('are text, notices and emotes', () => {
    expect(contentOf({ msgtype: 'm.text', body: 'hi' })).toEqual({
      kind: 'text',
      text: 'hi',
      style: 'text',
      edited: false,
    })
    expect(contentOf({ msgtype: 'm.notice', body: 'hi' })).toMatchObject({ style: 'notice' })
    expect(contentOf({ msgtype: 'm.emote', body: 'waves' })).toMatchObject({ style: 'emote' })
    expect(contentOf({ msgtype: 'org.example.new', body: 'fallback' })).toMatchObject({
      kind: 'text',
      text: 'fallback',
    })
  })

  it('are images with the claimed size, and files', () => {
    const info = { mimetype: 'image/png', size: 10, w: 640, h: 480 }
    expect(contentOf({ msgtype: 'm.image', body: 'a.png', url: 'mxc://a/b', info })).toEqual({
      kind: 'image',
      name: 'a.png',
      media: { url: 'mxc://a/b', mime: 'image/png', size: 10, encryption: undefined },
      width: 640,
      height: 480,
    })
    expect(contentOf({ msgtype: 'm.video', body: 'a.mp4', url: 'mxc://a/b' })).toMatchObject({
      kind: 'file',
      name: 'a.mp4',
    })
  })

  it('have no nonsense as size', () => {
    for (const w of [-1, 0.5, 1e9, '640', null]) {
      const item = contentOf({ msgtype: 'm.image', body: 'a', url: 'mxc://a/b', info: { w, h: 1, size: -5 } })
      expect(item).toMatchObject({ width: undefined, media: { size: undefined } })
    }
  })

  it('are text when an image names no media', () => {
    expect(contentOf({ msgtype: 'm.image', body: 'a.png' })).toMatchObject({ kind: 'text', text: 'a.png' })
    expect(contentOf({ msgtype: 'm.image', body: 'a.png', file: { v: 'v2' } })).toMatchObject({
      kind: 'text',
    })
  })

  it('are cut where they are endless', () => {
    const shown = contentOf({ msgtype: 'm.text', body: 'x'.repeat(MAX_SHOWN_TEXT + 10) }) as { text: string }
    expect(shown.text).toHaveLength(MAX_SHOWN_TEXT)
  })

  it('lose the fallback of a reply and name what they answer', () => {
    const content = {
      msgtype: 'm.text',
      body: '> <@me:a.example> before\n\nafter',
      'm.relates_to': { 'm.in_reply_to': { event_id: '$before' } },
    }
    const before = eventOf({ event_id: '$before', sender: ADA })
    const item = itemOf(
      eventOf({ content }),
      context({ find: (id) => (id === '$before' ? before : undefined) }),
    )
    expect(item).toMatchObject({
      content: { text: 'after' },
      replyTo: { eventId: '$before', name: 'Ada', text: 'hello' },
    })
    expect(itemOf(eventOf({ content }), context())).toMatchObject({
      replyTo: { name: 'Earlier message', text: '' },
    })
  })

  it('say who removed them', () => {
    const redacted = (sender: string): MatrixEvent =>
      eventOf({
        content: {},
        unsigned: { redacted_because: eventOf({ sender, type: 'm.room.redaction' }).event as never },
      })
    expect(itemOf(redacted(ME), context())).toMatchObject({ content: { kind: 'removed', by: ME } })
    expect(itemOf(redacted(ADA), context())).toMatchObject({ content: { kind: 'removed', by: undefined } })
  })

  it('say that they are still being decrypted', () => {
    const content = { algorithm: 'm.megolm.v1.aes-sha2' }
    expect(itemOf(eventOf({ type: 'm.room.encrypted', content }), context())).toMatchObject({
      content: { kind: 'unreadable', why: 'Decrypting…' },
    })
  })

  it('are removed when nothing of them is left', () => {
    expect(itemOf(eventOf({ type: 'm.room.encrypted', content: {} }), context())).toMatchObject({
      content: { kind: 'removed', by: undefined },
    })
  })

  it('are not replacements, reactions or unknown events', () => {
    const replacement = {
      msgtype: 'm.text',
      body: '* x',
      'm.relates_to': { rel_type: 'm.replace', event_id: '$a' },
    }
    expect(itemOf(eventOf({ content: replacement }), context())).toBeUndefined()
    expect(itemOf(eventOf({ type: 'm.reaction', content: {} }), context())).toBeUndefined()
    expect(itemOf(eventOf({ type: 'org.example.thing', content: {} }), context())).toBeUndefined()
  })

  it('never throw, whatever the content', () => {
    const contents = fc.dictionary(
      fc.constantFrom(
        'msgtype',
        'body',
        'url',
        'file',
        'info',
        'filename',
        'm.relates_to',
        'm.new_content',
        'membership',
      ),
      fc.oneof(fc.jsonValue(), fc.constantFrom('m.image', 'm.file', 'm.text', 'join', 'leave')),
    )
    const types = fc.constantFrom(
      'm.room.message',
      'm.room.encrypted',
      'm.room.member',
      'm.room.name',
      'm.reaction',
    )
    fc.assert(
      fc.property(types, contents, fc.option(fc.string(), { nil: undefined }), (type, content, stateKey) => {
        const fields = stateKey === undefined ? { type, content } : { type, content, state_key: stateKey }
        const item = itemOf(eventOf(fields), context())
        expect(item === undefined || item.kind === 'notice' || item.kind === 'message').toBe(true)
      }),
    )
  })
})

describe('the delivery state', () => {
  const deliveryOf = (event: MatrixEvent, state?: Delivery | null): unknown => {
    const item = itemOf(event, context({ delivery: () => state }))
    return item?.kind === 'message' ? item.delivery : undefined
  }
  const own = (status: EventStatus | null): MatrixEvent => {
    const event = eventOf({ sender: ME })
    event.setStatus(status)
    return event
  }

  it('of others is received', () => {
    expect(deliveryOf(eventOf({}), delivery(1, 2))).toEqual({ kind: 'received' })
  })

  it('of an own event goes from sending to sent', () => {
    expect(deliveryOf(own(EventStatus.ENCRYPTING))).toEqual({ kind: 'sending' })
    expect(deliveryOf(own(EventStatus.SENDING))).toEqual({ kind: 'sending' })
    expect(deliveryOf(own(EventStatus.SENT))).toEqual({ kind: 'sent', reached: 0, atRelay: 0, members: 0 })
    expect(deliveryOf(own(null), delivery(1, 2))).toEqual({
      kind: 'sent',
      reached: 1,
      atRelay: 0,
      members: 2,
    })
  })

  it('of an own event from another device is received', () => {
    expect(deliveryOf(own(null), null)).toEqual({ kind: 'received' })
  })

  it('of a failed one says so', () => {
    expect(deliveryOf(own(EventStatus.NOT_SENT))).toEqual({
      kind: 'failed',
      problem: 'This message was not sent.',
    })
  })
})

describe('state changes', () => {
  const member = (fields: {
    sender?: string
    target?: string
    content: object
    before?: object
  }): unknown => {
    const item = itemOf(
      eventOf({
        type: 'm.room.member',
        sender: fields.sender ?? ADA,
        state_key: fields.target ?? ADA,
        content: { ...fields.content },
        unsigned: { prev_content: { ...fields.before } },
      }),
      context(),
    )
    return item?.kind === 'notice' ? item.text : item
  }

  it.each([
    [{ content: { membership: 'join' } }, 'Ada joined'],
    [{ sender: ME, target: ME, content: { membership: 'join' } }, 'You joined'],
    [{ target: ME, content: { membership: 'invite' } }, 'Ada invited you'],
    [{ content: { membership: 'leave' }, before: { membership: 'join' } }, 'Ada left'],
    [{ content: { membership: 'leave' }, before: { membership: 'invite' } }, 'Ada refused the invitation'],
    [{ sender: ME, content: { membership: 'leave' }, before: { membership: 'join' } }, 'You removed Ada'],
    [
      { sender: ME, content: { membership: 'leave' }, before: { membership: 'invite' } },
      'You took back the invitation of Ada',
    ],
    [{ sender: ME, content: { membership: 'ban' } }, 'You banned Ada'],
    [
      {
        content: { membership: 'join', displayname: 'Ada L.' },
        before: { membership: 'join', displayname: 'Ada' },
      },
      'Ada is called Ada L.',
    ],
    [
      {
        content: { membership: 'join', displayname: 'Ada' },
        before: { membership: 'join', displayname: 'Ada' },
      },
      undefined,
    ],
  ])('of members are told: %o', (fields, words) => {
    expect(member(fields)).toBe(words)
  })
})

describe('the name of a file', () => {
  it.each([
    ['a.png', 'a.png'],
    ['../../etc/passwd', 'etc passwd'],
    ['C:\\boot.ini', 'C: boot.ini'],
    ['.bashrc', 'bashrc'],
    ['photo\u202Egnp.exe', 'photo gnp.exe'],
    ['a\u0000b', 'a b'],
    ['', 'file'],
    ['...', 'file'],
  ])('%j is saved as %j', (claimed, saved) => {
    expect(fileName({ body: claimed })).toBe(saved)
  })

  it('is the one of its own field where there is one', () => {
    expect(fileName({ body: 'look at this', filename: 'hut.png' })).toBe('hut.png')
    expect(fileName({ body: 5 })).toBe('file')
  })
})

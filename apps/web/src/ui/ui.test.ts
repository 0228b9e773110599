import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  byteSize,
  dayName,
  dayOf,
  duration,
  hueOf,
  initialOf,
  listNames,
  saneTime,
  shortenId,
  timeOfDay,
} from './format.ts'
import { linkParts } from './link-parts.ts'
import { shownSize } from './media-size.ts'
import { deliveryWords, spokenText } from './message-text.ts'
import type { MessageItem, TimelineItem } from './model.ts'
import { clockWords, networkWords, waitingWords } from './network-words.ts'
import { parseRoute, routeHref, type Route } from './route.ts'
import { GROUP_MS, timelineRows } from './timeline-rows.ts'
import { titleFor } from './title.ts'

describe('routes', () => {
  const routes: readonly Route[] = [
    { page: 'home' },
    { page: 'connection' },
    { page: 'settings' },
    { page: 'room', roomId: '!a/b?c#d:e.example' },
  ]

  it.each(routes)('come back from the address: %o', (route) => {
    expect(parseRoute(routeHref(route))).toEqual(route)
  })

  it('of anything are a screen', () => {
    fc.assert(
      fc.property(fc.string(), (text) =>
        ['home', 'room', 'connection', 'settings'].includes(parseRoute(`#${text}`).page),
      ),
    )
    expect(parseRoute('#/room/%')).toEqual({ page: 'home' })
    expect(parseRoute(`#/room/${'x'.repeat(2_000)}`)).toEqual({ page: 'home' })
  })
})

describe('words', () => {
  it('for delivery are those of the specification of the app', () => {
    const sent = (reached: number, members: number, atRelay = 0): string =>
      deliveryWords({ kind: 'sent', reached, atRelay, members })
    expect([sent(0, 0), sent(0, 2), sent(1, 2), sent(2, 2)]).toEqual([
      'on this device',
      'on this device',
      'delivered to 1 of 2',
      'delivered',
    ])
    expect([sent(0, 1, 1), sent(0, 3, 2), sent(1, 3, 2)]).toEqual([
      'at relay',
      'at relay for 2 of 3',
      'delivered to 1 of 3',
    ])
    expect(deliveryWords({ kind: 'received' })).toBe('received')
    expect(deliveryWords({ kind: 'sending' })).toBe('sending')
    expect(deliveryWords({ kind: 'failed', problem: 'x' })).toBe('failed')
  })

  it('for the network name what waits', () => {
    expect(networkWords({ status: 'online', waiting: 0 })).toBe('Online')
    expect(networkWords({ status: 'offline', waiting: 3 })).toBe('Offline, 3 waiting')
    expect(networkWords({ status: 'no-relay', waiting: 0 })).toBe('No relay')
    expect(networkWords({ status: 'connecting', waiting: 1 })).toBe('Connecting, 1 waiting')
    expect([0, 1, 2].map(waitingWords)).toEqual([
      '',
      'One of your messages has not reached everybody yet.',
      '2 of your messages have not reached everybody yet.',
    ])
  })

  it('for the clock say by how much it is wrong, and what to do', () => {
    expect(clockWords(719_000)).toContain('12 minutes ahead of the clock of the relay')
    expect(clockWords(7_300_000)).toContain('2 hours ahead of the clock of the relay')
    expect(clockWords(-90_000_000)).toContain('1 day behind the clock of the relay')
  })

  it('for names are a list', () => {
    expect(listNames([])).toBe('')
    expect(listNames(['Ada'])).toBe('Ada')
    expect(listNames(['Ada', 'Bo'])).toBe('Ada and Bo')
    expect(listNames(['Ada', 'Bo', 'Cleo'])).toBe('Ada, Bo and Cleo')
    expect(listNames(['Ada', 'Bo', 'Cleo', 'Dan'])).toBe('Ada, Bo and 2 others')
  })

  it('for a message are one line', () => {
    expect(spokenText({ kind: 'removed', by: undefined })).toBe('Message removed')
    expect(spokenText({ kind: 'unreadable', why: 'x' })).toBe('A message that cannot be read yet')
  })

  it('for the title count', () => {
    expect([titleFor(0), titleFor(3)]).toEqual(['Plexus', '(3) Plexus'])
  })

  it('for sizes, times and names', () => {
    expect([byteSize(0), byteSize(999), byteSize(1_500), byteSize(14_200_000)]).toEqual([
      '0 bytes',
      '999 bytes',
      '1.5 kB',
      '14.2 MB',
    ])
    expect([duration(5), duration(300_000), duration(7_200_000), duration(200_000_000)]).toEqual([
      'just now',
      '5 min',
      '2 h',
      '2 d',
    ])
    expect([initialOf('ada'), initialOf('@bo:x'), initialOf(''), initialOf('🏔️ hut')]).toEqual([
      'A',
      'B',
      '?',
      '🏔️',
    ])
    expect([shortenId('short'), shortenId('abcdefghijklmnop', 3)]).toEqual(['short', 'abc…nop'])
  })
})

describe('days', () => {
  const noon = new Date(2026, 10, 20, 12).getTime()
  const daysBefore = (days: number): number => new Date(2026, 10, 20 - days, 23, 59).getTime()

  it('have names near today', () => {
    expect([dayName(noon, noon), dayName(daysBefore(1), noon)]).toEqual(['Today', 'Yesterday'])
    expect(dayName(daysBefore(400), noon)).toContain('2025')
  })

  it('stand up to any timestamp', () => {
    fc.assert(
      fc.property(fc.double(), (time) => {
        expect(Number.isFinite(saneTime(time))).toBe(true)
        expect(typeof timeOfDay(time)).toBe('string')
        expect(typeof dayName(time, noon)).toBe('string')
        expect(Number.isFinite(dayOf(time))).toBe(true)
      }),
    )
  })
})

describe('colours', () => {
  it('are the same for the same text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(hueOf(text)).toBe(hueOf(text))
        expect(hueOf(text) >= 0 && hueOf(text) < 360).toBe(true)
      }),
    )
  })
})

describe('addresses in a text', () => {
  const hrefs = (text: string): readonly string[] => linkParts(text).flatMap(({ href }) => href ?? [])

  it('are found, without the punctuation around', () => {
    expect(hrefs('see https://example.org/a?b=c#d, and (http://x.example).')).toEqual([
      'https://example.org/a?b=c#d',
      'http://x.example/',
    ])
  })

  it('are http and https only, and say where they lead', () => {
    for (const text of [
      'javascript:alert(1)',
      'data:text/html,x',
      'https://user:secret@evil.example',
      'ftp://a',
      'https://',
    ]) {
      expect(hrefs(text)).toEqual([])
    }
  })

  it('lose nothing of the text', () => {
    const pieces = [
      'https://a.example/x?y=z',
      'http://',
      'https://u:p@b.example',
      ' ',
      '.',
      ')',
      'é',
      '\n',
      'text',
      '🏔️',
      '"',
    ]
    const texts = fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((all) => all.join(''))
    fc.assert(
      fc.property(texts, (text) => {
        expect(
          linkParts(text)
            .map((part) => part.text)
            .join(''),
        ).toBe(text)
      }),
    )
  })

  it('are bounded in number', () => {
    expect(hrefs('https://a.example '.repeat(500))).toHaveLength(50)
  })
})

describe('the rows of a timeline', () => {
  const noon = new Date(2026, 10, 20, 12).getTime()
  const item = (sender: string, time: number): MessageItem => ({
    kind: 'message',
    key: `${sender}${time}`,
    eventId: '$a',
    sender,
    senderName: sender,
    time,
    own: false,
    content: { kind: 'text', text: 'x', style: 'text', edited: false },
    replyTo: undefined,
    delivery: { kind: 'received' },
    readBy: [],
    canRemove: false,
  })
  const shape = (...items: readonly TimelineItem[]): string[] =>
    timelineRows(items).map(
      ({ newDay, first, last }) => `${newDay ? 'D' : ''}${first ? '<' : ''}${last ? '>' : ''}`,
    )

  it('group what one sender says in a row', () => {
    expect(shape(item('a', noon), item('a', noon + 1), item('a', noon + 2), item('b', noon + 3))).toEqual([
      'D<',
      '',
      '>',
      '<>',
    ])
    expect(shape(item('a', noon), item('a', noon + GROUP_MS))).toEqual(['D<>', '<>'])
  })

  it('part at a notice and at midnight', () => {
    const notice: TimelineItem = { kind: 'notice', key: 'n', time: noon, text: 'x' }
    expect(shape(item('a', noon), notice, item('a', noon + 1))).toEqual(['D<>', '<>', '<>'])
    const midnight = new Date(2026, 10, 21).getTime()
    expect(shape(item('a', midnight - 1), item('a', midnight))).toEqual(['D<>', 'D<>'])
  })
})

describe('the room kept for an image', () => {
  it('has its proportions and bounds', () => {
    expect(shownSize(720, 480)).toEqual({ width: 360, height: 240 })
    expect(shownSize(100, 50)).toEqual({ width: 100, height: 50 })
    expect(shownSize(undefined, undefined)).toEqual({ width: 320, height: 200 })
    fc.assert(
      fc.property(fc.nat(20_000), fc.nat(20_000), (width, height) => {
        const shown = shownSize(width, height)
        expect(shown.width <= 360 && shown.height <= 340 && shown.width >= 32 && shown.height >= 32).toBe(
          true,
        )
      }),
    )
  })
})

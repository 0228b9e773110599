import fc from 'fast-check'
import type { JsonObject, JsonValue } from '@plexus/core'
import { describe, expect, it } from 'vitest'
import {
  MAX_FILTER_LIMIT,
  MAX_FILTER_LIST,
  allows,
  allowsRoom,
  parseEventFilter,
  parseSyncFilter,
} from './filter.ts'
import type { EventFilter, Filterable } from './filter.ts'

function filter(value: JsonValue): EventFilter {
  const parsed = parseEventFilter(value)
  if (parsed === undefined) throw new Error('not a filter')
  return parsed
}

const event = (type: string, sender = '@a:x', content: JsonObject = {}): Filterable => ({
  type,
  sender,
  content,
})

describe('event filters', () => {
  it.each<[JsonValue, string, boolean]>([
    [{}, 'm.room.message', true],
    [{ types: [] }, 'm.room.message', false],
    [{ types: ['m.room.message'] }, 'm.room.message', true],
    [{ types: ['m.room.message'] }, 'm.room.messages', false],
    [{ types: ['m.room.*'] }, 'm.room.message', true],
    [{ types: ['m.room.*'] }, 'm.roo', false],
    [{ types: ['*'] }, '', true],
    [{ types: ['m.*.message'] }, 'm.room.message', true],
    [{ types: ['m.*.message'] }, 'm.message', false],
    [{ types: ['a*b*c'] }, 'axbxc', true],
    [{ types: ['a*b*c'] }, 'acb', false],
    [{ types: ['a*a'] }, 'a', false],
    [{ types: ['*.*.*'] }, 'a.b', false],
    [{ types: ['m.*'], not_types: ['m.room.*'] }, 'm.room.message', false],
    [{ types: ['m.(room|x).*'] }, 'm.room.message', false],
    [{ senders: ['@a:x'] }, 'm', true],
    [{ senders: ['@b:x'] }, 'm', false],
    [{ not_senders: ['@a:x'], senders: ['@a:x'] }, 'm', false],
    [{ contains_url: true }, 'm', false],
    [{ contains_url: false }, 'm', true],
  ])('%j on %s: %s', (value, type, expected) => {
    expect(allows(filter(value), event(type))).toBe(expected)
  })

  it('looks for url in the content itself', () => {
    expect(allows(filter({ contains_url: true }), event('m', '@a:x', { url: 'mxc://a/b' }))).toBe(true)
  })

  it('matches patterns in linear time', () => {
    const hostile = filter({ types: [`${'a*'.repeat(100)}b`] })
    expect(allows(hostile, event('a'.repeat(50_000)))).toBe(false)
  })

  it('excludes rooms before it includes them', () => {
    expect(allowsRoom(filter({ rooms: ['!a:x'], not_rooms: ['!a:x'] }), '!a:x')).toBe(false)
    expect(allowsRoom(filter({ rooms: ['!a:x'] }), '!b:x')).toBe(false)
    expect(allowsRoom(filter({}), '!b:x')).toBe(true)
  })

  it('bounds limits', () => {
    expect(filter({ limit: 1_000_000 }).limit).toBe(MAX_FILTER_LIMIT)
    expect(filter({ limit: 5 }).limit).toBe(5)
  })

  it.each<JsonValue>([
    1,
    null,
    [],
    { limit: -1 },
    { limit: 1.5 },
    { limit: '1' },
    { types: 'm.*' },
    { types: [1] },
    { types: Array<string>(MAX_FILTER_LIST + 1).fill('a') },
    { senders: {} },
    { senders: ['alice'] },
    { rooms: ['kitchen'] },
    { lazy_load_members: 'yes' },
  ])('refuses %j', (value) => {
    expect(parseEventFilter(value)).toBeUndefined()
    expect(parseSyncFilter({ room: { timeline: value } })).toBeUndefined()
  })

  it('never throws on any JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        parseSyncFilter(value)
        parseEventFilter(value)
      }),
    )
  })
})

describe('sync filters', () => {
  it('take each section', () => {
    const parsed = parseSyncFilter({
      room: {
        include_leave: true,
        not_rooms: ['!a:x'],
        state: { lazy_load_members: true },
        timeline: { limit: 3 },
      },
      account_data: { types: ['m.direct'] },
    })
    expect(parsed?.includeLeave).toBe(true)
    expect(parsed?.state.lazyLoadMembers).toBe(true)
    expect(parsed?.timeline.limit).toBe(3)
    expect(parsed?.notRooms).toEqual(new Set(['!a:x']))
    expect(allows(parsed?.accountData ?? filter({}), event('m.push_rules'))).toBe(false)
  })
})

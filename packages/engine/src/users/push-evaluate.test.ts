import type { JsonObject, UserId } from '@plexus/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultRuleset } from './push-defaults.ts'
import { createEvaluator, parseRules, propertyAt } from './push-evaluate.ts'
import type { PushContext, PushOutcome, PushRule, PushRuleset } from './types.ts'

const ME = '@me:example.org' as UserId
const ROOM: PushContext = {
  memberCount: 5,
  senderPowerLevel: 0,
  notificationLevels: {},
  displayName: 'Mei *',
}

const event = (type: string, content: JsonObject, more: JsonObject = {}): JsonObject => ({
  type,
  sender: '@you:example.org',
  room_id: '!room:example.org',
  content,
  ...more,
})

const outcome = (
  given: JsonObject,
  context: Partial<PushContext> = {},
  ruleset: PushRuleset = defaultRuleset(ME),
): PushOutcome => createEvaluator(ME, ruleset)(given, { ...ROOM, ...context })

const withOverride = (condition: JsonObject): PushRuleset => {
  const rule: PushRule = {
    rule_id: 'mine',
    default: false,
    enabled: true,
    conditions: [condition],
    actions: ['notify', { set_tweak: 'highlight' }],
  }
  return { override: [rule], content: [], room: [], sender: [], underride: [] }
}

const matches = (condition: JsonObject, given: JsonObject, context: Partial<PushContext> = {}): boolean =>
  outcome(given, context, withOverride(condition)).highlight

describe('the default push rules', () => {
  const text = event('m.room.message', { msgtype: 'm.text', body: 'hello' })

  it('notify for a message, with sound in a room of two', () => {
    expect(outcome(text)).toMatchObject({ notify: true, highlight: false })
    expect(outcome(text, { memberCount: 2 })).toMatchObject({
      notify: true,
      actions: ['notify', { set_tweak: 'sound', value: 'default' }],
    })
    expect(outcome(event('m.room.encrypted', {}), { memberCount: 2 })).toMatchObject({
      actions: ['notify', { set_tweak: 'sound', value: 'default' }],
    })
    expect(outcome(event('m.room.encrypted', {}))).toMatchObject({ notify: true, highlight: false })
  })

  it('are silent for notices, members, reactions, edits and own events', () => {
    const silent = { notify: false, highlight: false, actions: [] }
    expect(outcome(event('m.room.message', { msgtype: 'm.notice', body: 'x' }))).toEqual(silent)
    expect(outcome(event('m.room.member', { membership: 'join' }, { state_key: '@x:y' }))).toEqual(silent)
    expect(outcome(event('m.reaction', {}))).toEqual(silent)
    expect(outcome(event('m.room.message', { 'm.relates_to': { rel_type: 'm.replace' } }))).toEqual(silent)
    expect(outcome({ ...text, sender: ME })).toEqual(silent)
    expect(outcome(event('m.room.topic', { topic: 'x' }, { state_key: '' }))).toEqual(silent)
  })

  it('notify of an invite to the user alone', () => {
    const invite = event('m.room.member', { membership: 'invite' }, { state_key: ME })
    expect(outcome(invite)).toMatchObject({
      notify: true,
      actions: ['notify', { set_tweak: 'sound', value: 'default' }],
    })
    expect(outcome({ ...invite, state_key: '@other:example.org' })).toMatchObject({ notify: false })
  })

  it('highlight mentions, those of the room only from who may', () => {
    const mention = event('m.room.message', { 'm.mentions': { user_ids: ['@x:y', ME] } })
    expect(outcome(mention)).toMatchObject({ highlight: true })
    const all = event('m.room.message', { 'm.mentions': { room: true } })
    expect(outcome(all)).toMatchObject({ highlight: false })
    expect(outcome(all, { senderPowerLevel: 50 })).toMatchObject({ highlight: true })
    expect(outcome(all, { notificationLevels: { room: 0 } })).toMatchObject({ highlight: true })
    expect(
      outcome(event('m.room.message', { 'm.mentions': { room: 'true' } }), { senderPowerLevel: 50 }),
    ).toMatchObject({
      highlight: false,
    })
  })

  it('are all turned off by the master rule', () => {
    const defaults = defaultRuleset(ME)
    const override = defaults.override.map((rule) =>
      rule.rule_id === '.m.rule.master' ? { ...rule, enabled: true } : rule,
    )
    expect(outcome(text, {}, { ...defaults, override })).toMatchObject({ notify: false, highlight: false })
  })
})

describe('conditions', () => {
  const topic = event('m.room.topic', { topic: 'Lunch plans', creator: null }, { state_key: '' })

  it('match properties by glob, value and content of arrays', () => {
    expect(matches({ kind: 'event_match', key: 'content.topic', pattern: 'lunc?*' }, topic)).toBe(true)
    expect(matches({ kind: 'event_match', key: 'content.none', pattern: '*' }, topic)).toBe(false)
    expect(matches({ kind: 'event_match', key: 'content.creator', pattern: '*' }, topic)).toBe(false)
    expect(matches({ kind: 'event_property_is', key: 'content.creator', value: null }, topic)).toBe(true)
    const create = event('m.room.create', { 'm.federate': true })
    expect(
      matches({ kind: 'event_property_is', key: String.raw`content.m\.federate`, value: true }, create),
    ).toBe(true)
    expect(
      matches({ kind: 'event_property_is', key: String.raw`content.m\.federate`, value: 1 }, create),
    ).toBe(false)
    const aliases = event('x', { alt: ['#a:b', 7, {}] })
    expect(matches({ kind: 'event_property_contains', key: 'content.alt', value: '#a:b' }, aliases)).toBe(
      true,
    )
    expect(matches({ kind: 'event_property_contains', key: 'content.alt', value: ':b' }, aliases)).toBe(false)
    expect(matches({ kind: 'event_property_contains', key: 'content.alt', value: {} }, aliases)).toBe(false)
  })

  it('take a display name by its letters', () => {
    const said = (body: string): JsonObject => event('m.room.message', { body })
    expect(matches({ kind: 'contains_display_name' }, said('hi mei *, there'))).toBe(true)
    expect(matches({ kind: 'contains_display_name' }, said('hi mei you'))).toBe(false)
    expect(matches({ kind: 'contains_display_name' }, said('hi'), { displayName: '' })).toBe(false)
  })

  it.each([
    ['5', true],
    ['==5', true],
    ['<5', false],
    ['<=5', true],
    ['>4', true],
    ['>=6', false],
    ['', false],
    ['five', false],
    ['=5', false],
    ['>', false],
  ])('count members: %j is %s', (is, expected) => {
    expect(matches({ kind: 'room_member_count', is }, topic)).toBe(expected)
  })

  it('that are unknown match nothing', () => {
    expect(matches({ kind: 'device' }, topic)).toBe(false)
    expect(matches({}, topic)).toBe(false)
  })

  it('are total on any JSON', () => {
    const json = fc.jsonValue({ maxDepth: 4 })
    fc.assert(
      fc.property(fc.array(json), fc.dictionary(fc.string(), json), (rules, given) => {
        const list = parseRules(rules)
        const ruleset = { override: list, content: list, room: list, sender: list, underride: list }
        expect(typeof outcome(given, {}, ruleset).notify).toBe('boolean')
      }),
    )
  })
})

describe('a property path', () => {
  it('splits at dots that are not escaped, and sees own properties only', () => {
    const value: JsonObject = { content: { 'm.a': { b: 1 }, 'x\\y': 2 } }
    expect(propertyAt(value, String.raw`content.m\.a.b`)).toBe(1)
    expect(propertyAt(value, String.raw`content.x\\y`)).toBe(2)
    expect(propertyAt(value, 'content.m.a.b')).toBeUndefined()
    expect(propertyAt(value, 'content.constructor')).toBeUndefined()
    expect(propertyAt(value, '__proto__.x')).toBeUndefined()
  })
})

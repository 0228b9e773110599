/** Applying push rules to an event. spec: client-server-api/modules/push.md "Push Rules" */
import { isJsonObject, ownValue } from '@plexus/core'
import type { JsonObject, JsonValue, UserId } from '@plexus/core'
import { matchesGlob, matchesGlobWord } from './glob.ts'
import { arrayAt, stringAt } from './read.ts'
import { PUSH_RULE_KINDS } from './types.ts'
import type { PushContext, PushEvaluator, PushOutcome, PushRule, PushRuleKind, PushRuleset } from './types.ts'

/** Clients may still set them; they ask for nothing. spec: push.md "Historical Actions" */
const HISTORICAL_ACTIONS: readonly JsonValue[] = ['dont_notify', 'coalesce']
export const SILENT: PushOutcome = { notify: false, highlight: false, actions: [] }
/** spec: m.room.power_levels `notifications.room` */
const DEFAULT_NOTIFICATION_LEVEL = 50

export function createEvaluator(userId: UserId, ruleset: PushRuleset): PushEvaluator {
  const rules = PUSH_RULE_KINDS.flatMap((kind) =>
    ruleset[kind].filter(({ enabled }) => enabled).map((rule) => ({ kind, rule })),
  )
  return (event, context) => {
    if (ownValue(event, 'sender') === userId) return SILENT
    const matching = rules.find(({ kind, rule }) => matches(kind, rule, event, context))
    return matching === undefined ? SILENT : outcomeOf(matching.rule)
  }
}

function matches(kind: PushRuleKind, rule: PushRule, event: JsonObject, context: PushContext): boolean {
  switch (kind) {
    case 'override':
    case 'underride':
      return (rule.conditions ?? []).every((condition) => holds(condition, event, context))
    case 'content': {
      const body = propertyAt(event, 'content.body')
      return typeof body === 'string' && rule.pattern !== undefined && matchesGlobWord(rule.pattern, body)
    }
    case 'room':
      return ownValue(event, 'room_id') === rule.rule_id
    case 'sender':
      return ownValue(event, 'sender') === rule.rule_id
    default:
      return false
  }
}

function holds(condition: JsonObject, event: JsonObject, context: PushContext): boolean {
  const key = stringAt(condition, 'key')
  switch (ownValue(condition, 'kind')) {
    case 'event_match':
      return key !== undefined && eventMatch(key, stringAt(condition, 'pattern'), event)
    case 'event_property_is':
      return key !== undefined && sameScalar(propertyAt(event, key), ownValue(condition, 'value'))
    case 'event_property_contains': {
      const list = key === undefined ? undefined : propertyAt(event, key)
      const value = ownValue(condition, 'value')
      return Array.isArray(list) && (list as readonly JsonValue[]).some((item) => sameScalar(item, value))
    }
    case 'contains_display_name': {
      const body = propertyAt(event, 'content.body')
      const name = context.displayName
      return typeof body === 'string' && name !== undefined && name !== '' && containsWord(name, body)
    }
    case 'room_member_count':
      return memberCountHolds(stringAt(condition, 'is') ?? '', context.memberCount)
    case 'sender_notification_permission': {
      if (key === undefined) return false
      const levels = context.notificationLevels
      const needed = Object.hasOwn(levels, key) ? levels[key] : undefined
      return context.senderPowerLevel >= (needed ?? DEFAULT_NOTIFICATION_LEVEL)
    }
    default:
      return false
  }
}

function eventMatch(key: string, pattern: string | undefined, event: JsonObject): boolean {
  const value = propertyAt(event, key)
  if (typeof value !== 'string' || pattern === undefined) return false
  return key === 'content.body' ? matchesGlobWord(pattern, value) : matchesGlob(pattern, value)
}

/** The name stands for itself: its stars are stars. */
function containsWord(name: string, body: string): boolean {
  const literal = name.replaceAll(/[*?]/g, '?')
  return body.toLowerCase().includes(name.toLowerCase()) && matchesGlobWord(literal, body)
}

/** The value at a dot-separated path; a backslash escapes. spec: appendices.md "Dot-separated property paths" */
export function propertyAt(event: JsonObject, path: string): JsonValue | undefined {
  let value: JsonValue | undefined = event
  for (const name of splitPath(path)) {
    if (!isJsonObject(value)) return undefined
    value = ownValue(value, name)
  }
  return value
}

function splitPath(path: string): readonly string[] {
  const names: string[] = []
  let name = ''
  for (let index = 0; index < path.length; index += 1) {
    const unit = path.charAt(index)
    const next = path.charAt(index + 1)
    if (unit === '\\' && (next === '.' || next === '\\')) {
      name += next
      index += 1
    } else if (unit === '.') {
      names.push(name)
      name = ''
    } else name += unit
  }
  return [...names, name]
}

function sameScalar(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === undefined || b === undefined || (typeof a === 'object' && a !== null)) return false
  return a === b
}

function memberCountHolds(is: string, count: number): boolean {
  const [, operator = '', digits = ''] = /^(==|<=|>=|<|>)?([0-9]{1,9})$/.exec(is) ?? []
  if (digits === '') return false
  const wanted = Number(digits)
  switch (operator) {
    case '<':
      return count < wanted
    case '>':
      return count > wanted
    case '<=':
      return count <= wanted
    case '>=':
      return count >= wanted
    default:
      return count === wanted
  }
}

function outcomeOf(rule: PushRule): PushOutcome {
  const actions = rule.actions.filter((action) => !HISTORICAL_ACTIONS.includes(action))
  const tweaks = actions.filter((action) => isJsonObject(action))
  const highlight = tweaks.find((action) => ownValue(action, 'set_tweak') === 'highlight')
  return {
    notify: actions.includes('notify'),
    highlight: highlight !== undefined && ownValue(highlight, 'value') !== false,
    actions,
  }
}

/** True for an action that the specification has or had. */
export function isAction(action: JsonValue): action is string | JsonObject {
  return typeof action === 'string' || (isJsonObject(action) && stringAt(action, 'set_tweak') !== undefined)
}

/** The rules that a client or a stored record holds, as far as they have the right shape. */
export function parseRules(list: readonly JsonValue[]): readonly PushRule[] {
  return list.flatMap((item) => {
    if (!isJsonObject(item)) return []
    const rule_id = stringAt(item, 'rule_id')
    if (rule_id === undefined) return []
    const conditions = arrayAt(item, 'conditions')?.filter((one) => isJsonObject(one))
    const pattern = stringAt(item, 'pattern')
    return [
      {
        rule_id,
        default: ownValue(item, 'default') === true,
        enabled: ownValue(item, 'enabled') !== false,
        actions: (arrayAt(item, 'actions') ?? []).filter(isAction),
        ...(conditions === undefined ? {} : { conditions }),
        ...(pattern === undefined ? {} : { pattern }),
      },
    ]
  })
}

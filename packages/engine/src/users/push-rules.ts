/**
 * A user's push rules. They are the account data `m.push_rules`, so that `/sync` shows every change.
 * spec: client-server-api/modules/push.md "Push Rules: API"
 */
import { isJsonObject } from '@plexus/core'
import type { JsonObject, JsonValue, UserId } from '@plexus/core'
import { createLru } from '../kernel/lru.ts'
import { defaultRuleset } from './push-defaults.ts'
import { createEvaluator, isAction, parseRules, SILENT } from './push-evaluate.ts'
import { arrayAt, jsonSize, objectAt, stringAt } from './read.ts'
import { PUSH_RULE_KINDS, UserError } from './types.ts'
import type {
  AccountData,
  NewPushRule,
  PushEvaluator,
  PushRule,
  PushRuleKind,
  PushRules,
  PushRuleset,
} from './types.ts'
import { ignoredUsers } from './unwanted.ts'

export const PUSH_RULES_TYPE = 'm.push_rules'
/** Rules of one kind. */
const MAX_PUSH_RULES = 1_000
/** JSON text of one rule, in UTF-16 code units. */
const MAX_PUSH_RULE_LENGTH = 10_000
const MAX_PUSH_PATTERN_LENGTH = 255

/** The content of the account data event. */
export function pushRulesContent(ruleset: PushRuleset): JsonObject {
  return { global: ruleset }
}

/** The stored rules, with the server-default rules that they lack. */
function rulesetOf(userId: UserId, content: JsonObject | undefined): PushRuleset {
  const defaults = defaultRuleset(userId)
  const global = content && objectAt(content, 'global')
  if (global === undefined) return defaults
  const merged = PUSH_RULE_KINDS.map((kind) => {
    const stored = parseRules(arrayAt(global, kind) ?? [])
    const own = stored.filter((rule) => !rule.default)
    // What a server-default rule asks is this version's; whether and how it notifies is the user's.
    const server = defaults[kind].map((rule) => {
      const changed = stored.find((one) => one.default && one.rule_id === rule.rule_id)
      return changed === undefined ? rule : { ...rule, enabled: changed.enabled, actions: changed.actions }
    })
    const [master, ...rest] = kind === 'override' ? server : [undefined, ...server]
    return [kind, [...(master === undefined ? [] : [master]), ...own, ...rest]] as const
  })
  return Object.fromEntries(merged) as PushRuleset
}

/** Users who ignore somebody and whose evaluators are kept. */
const MAX_DEAF_IN_MEMORY = 1_000

export function createPushRules(accountData: AccountData): PushRules {
  // Rules that were read from the store are one object until they change.
  const evaluators = new WeakMap<JsonObject, PushEvaluator>()
  // Of who ignores somebody: one object, too, until the rules or the names change.
  const deaf = createLru<UserId, { evaluate: PushEvaluator; names: string; evaluator: PushEvaluator }>(
    MAX_DEAF_IN_MEMORY,
  )
  const ruleset = async (userId: UserId): Promise<PushRuleset> =>
    rulesetOf(userId, await accountData.get(userId, undefined, PUSH_RULES_TYPE))

  const rulesOf = async (userId: UserId): Promise<PushEvaluator> => {
    const content = await accountData.get(userId, undefined, PUSH_RULES_TYPE)
    const known = content && evaluators.get(content)
    if (known !== undefined) return known
    const evaluator = createEvaluator(userId, rulesetOf(userId, content))
    if (content !== undefined) evaluators.set(content, evaluator)
    return evaluator
  }

  const update = (
    userId: UserId,
    kind: PushRuleKind,
    change: (rules: readonly PushRule[]) => readonly PushRule[],
  ): Promise<void> =>
    accountData.update(userId, undefined, PUSH_RULES_TYPE, (content) => {
      const before = rulesetOf(userId, content)
      return pushRulesContent({ ...before, [kind]: change(before[kind]) })
    })

  const modify = (
    userId: UserId,
    kind: PushRuleKind,
    ruleId: string,
    change: (rule: PushRule) => PushRule,
  ): Promise<void> =>
    update(userId, kind, (rules) => {
      found(rules, ruleId)
      return rules.map((rule) => (rule.rule_id === ruleId ? change(rule) : rule))
    })

  return {
    ruleset,
    async rule(userId, kind, ruleId) {
      return found((await ruleset(userId))[kind], ruleId)
    },
    async put(userId, kind, ruleId, rule) {
      checkNew(kind, ruleId, rule)
      await update(userId, kind, (rules) => placed(kind, rules, ruleId, rule))
    },
    async delete(userId, kind, ruleId) {
      await update(userId, kind, (rules) => {
        if (found(rules, ruleId).default)
          throw new UserError('M_INVALID_PARAM', 'a server-default rule stays')
        return rules.filter((rule) => rule.rule_id !== ruleId)
      })
    },
    setEnabled: (userId, kind, ruleId, enabled) =>
      modify(userId, kind, ruleId, (rule) => ({ ...rule, enabled })),
    async setActions(userId, kind, ruleId, actions) {
      const checked = checkActions(actions)
      await modify(userId, kind, ruleId, (rule) => ({ ...rule, actions: checked }))
    },
    async evaluator(userId) {
      const [evaluate, ignored] = await Promise.all([rulesOf(userId), ignoredUsers(accountData, userId)])
      if (ignored.size === 0) return evaluate
      const names = JSON.stringify([...ignored])
      const known = deaf.get(userId)
      if (known?.evaluate === evaluate && known.names === names) return known.evaluator
      // Nobody is told of what they do not get to see.
      const evaluator: PushEvaluator = (event, context) =>
        ignored.has(stringAt(event, 'sender') ?? '') ? SILENT : evaluate(event, context)
      deaf.set(userId, { evaluate, names, evaluator })
      return evaluator
    },
  }
}

function found(rules: readonly PushRule[], ruleId: string): PushRule {
  const rule = rules.find((one) => one.rule_id === ruleId)
  if (rule === undefined) throw new UserError('M_NOT_FOUND', 'the push rule was not found')
  return rule
}

function checkActions(actions: readonly JsonValue[]): readonly (string | JsonObject)[] {
  if (!actions.every(isAction) || jsonSize(actions) > MAX_PUSH_RULE_LENGTH) {
    throw new UserError('M_INVALID_PARAM', 'an action is a string or an object with set_tweak')
  }
  return actions
}

function checkNew(kind: PushRuleKind, ruleId: string, rule: NewPushRule): void {
  if (
    ruleId === '' ||
    ruleId.startsWith('.') ||
    /[/\\]/.test(ruleId) ||
    ruleId.length > MAX_PUSH_PATTERN_LENGTH
  ) {
    throw new UserError('M_INVALID_PARAM', 'a rule id is short, does not begin with a dot and has no slash')
  }
  checkActions(rule.actions)
  if (kind === 'content' && rule.pattern === undefined) {
    throw new UserError('M_MISSING_PARAM', 'a content rule needs a pattern')
  }
  if ((rule.pattern?.length ?? 0) > MAX_PUSH_PATTERN_LENGTH) {
    throw new UserError('M_INVALID_PARAM', `a pattern has at most ${MAX_PUSH_PATTERN_LENGTH} characters`)
  }
  const conditions = rule.conditions ?? []
  if (!conditions.every((one) => isJsonObject(one) && typeof one['kind'] === 'string')) {
    throw new UserError('M_INVALID_PARAM', 'a condition is an object with a kind')
  }
  if (
    conditions.some(({ pattern }) => typeof pattern === 'string' && pattern.length > MAX_PUSH_PATTERN_LENGTH)
  ) {
    throw new UserError('M_INVALID_PARAM', `a pattern has at most ${MAX_PUSH_PATTERN_LENGTH} characters`)
  }
  if (jsonSize(conditions) > MAX_PUSH_RULE_LENGTH) throw new UserError('M_TOO_LARGE', 'the rule is too large')
}

/** The rules with one made or changed, at the place that it asks for. */
function placed(
  kind: PushRuleKind,
  rules: readonly PushRule[],
  ruleId: string,
  { actions, conditions, pattern, before, after }: NewPushRule,
): readonly PushRule[] {
  const old = rules.find((rule) => rule.rule_id === ruleId)
  const hasConditions = kind === 'override' || kind === 'underride'
  const rule: PushRule = {
    rule_id: ruleId,
    default: false,
    enabled: old?.enabled ?? true,
    actions: checkActions(actions),
    ...(hasConditions ? { conditions: conditions ?? [] } : {}),
    ...(kind === 'content' && pattern !== undefined ? { pattern } : {}),
  }
  const anchor = before ?? after
  if (old !== undefined && anchor === undefined)
    return rules.map((one) => (one.rule_id === ruleId ? rule : one))
  const others = rules.filter((one) => one.rule_id !== ruleId)
  if (others.length >= MAX_PUSH_RULES) {
    throw new UserError('M_LIMIT_EXCEEDED', `at most ${MAX_PUSH_RULES} rules of one kind`)
  }
  const first = others.findIndex((one) => !one.default || one.rule_id !== '.m.rule.master')
  let index = first === -1 ? others.length : first
  if (anchor !== undefined) {
    const at = others.findIndex((one) => one.rule_id === anchor)
    if (at === -1 || others[at]?.default === true) {
      throw new UserError('M_NOT_FOUND', 'before or after names no rule of the user')
    }
    // The next most important rule with respect to `before` stands just ahead of it.
    index = before === undefined ? at + 1 : at
  }
  return others.toSpliced(index, 0, rule)
}

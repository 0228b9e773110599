/** Which state a room config asks for. spec: proposals/4186 "RequiredStateRequest", "Combining room configs" */
import { splitStateKey } from '@plexus/core'
import type { StateKey } from '@plexus/core'
import type { RequiredState, RoomConfig, StatePattern } from './types.ts'

/** What a room gets that matches several rules. */
export type CombinedConfig = { readonly timelineLimit: number; readonly parts: readonly RequiredState[] }

export function combine(configs: readonly RoomConfig[]): CombinedConfig {
  return {
    timelineLimit: Math.max(0, ...configs.map(({ timelineLimit }) => timelineLimit)),
    parts: configs.map(({ requiredState }) => requiredState),
  }
}

/** Of one request: another one that asks for the same says so with objects of its own. */
export function isSame(a: CombinedConfig, b: CombinedConfig): boolean {
  if (a.timelineLimit !== b.timelineLimit || a.parts.length !== b.parts.length) return false
  return a.parts.every((part, index) => part === b.parts[index])
}

/** Tells which state keys are asked for, lazily loaded members aside: one look for each, however many patterns there are. */
export function wantedState({ parts }: CombinedConfig): (key: StateKey) => boolean {
  const matchers = parts.map(({ include, exclude, lazyMembers }) => ({
    included: matcherOf(include),
    excluded: matcherOf(exclude),
    lazyMembers,
  }))
  return (key) => {
    const [type, ofKey] = splitStateKey(key)
    return matchers.some(({ included, excluded, lazyMembers }) => {
      // With lazy-loading, an element that names no member stands for everything but members.
      const named = lazyMembers && type === 'm.room.member'
      return included(type, ofKey, named) && !excluded(type, ofKey, false)
    })
  }
}

type Matcher = (type: string, key: string, named: boolean) => boolean

/** `named`: by patterns alone that give a state key. */
function matcherOf(patterns: readonly StatePattern[]): Matcher {
  const byType = new Map<string | undefined, Set<string | undefined>>()
  for (const { type, stateKey } of patterns) byType.set(type, (byType.get(type) ?? new Set()).add(stateKey))
  return (type, key, named) =>
    [byType.get(type), byType.get(undefined)].some(
      (keys) => keys !== undefined && (keys.has(key) || (!named && keys.has(undefined))),
    )
}

/** Members are loaded as they are needed, unless a part asks for all of them. */
export function isLazy({ parts }: CombinedConfig): boolean {
  const all = parts.some(
    ({ include, lazyMembers }) =>
      !lazyMembers &&
      include.some(
        ({ type, stateKey }) => stateKey === undefined && (type ?? 'm.room.member') === 'm.room.member',
      ),
  )
  return parts.some(({ lazyMembers }) => lazyMembers) && !all
}

/** Which state a room config asks for. spec: proposals/4186 "RequiredStateRequest", "Combining room configs" */
import { splitStateKey } from '@plexus/core'
import type { StateKey } from '@plexus/core'
import type { RequiredState, RoomConfig, StatePattern } from './types.ts'

export function matchesPattern({ type, stateKey }: StatePattern, key: StateKey): boolean {
  const [ofType, ofKey] = splitStateKey(key)
  return (type === undefined || type === ofType) && (stateKey === undefined || stateKey === ofKey)
}

/** Whether a state key is asked for, lazily loaded members aside. */
export function wants({ include, exclude, lazyMembers }: RequiredState, key: StateKey): boolean {
  // With lazy-loading, an element that names no member stands for everything but members.
  const isMember = splitStateKey(key)[0] === 'm.room.member'
  const chosen = include.some(
    (pattern) => matchesPattern(pattern, key) && !(isMember && lazyMembers && pattern.stateKey === undefined),
  )
  return chosen && !exclude.some((pattern) => matchesPattern(pattern, key))
}

/** What a room gets that matches several rules. */
export type CombinedConfig = { readonly timelineLimit: number; readonly parts: readonly RequiredState[] }

export function combine(configs: readonly RoomConfig[]): CombinedConfig {
  return {
    timelineLimit: Math.max(0, ...configs.map(({ timelineLimit }) => timelineLimit)),
    parts: configs.map(({ requiredState }) => requiredState),
  }
}

export const wantsState = ({ parts }: CombinedConfig, key: StateKey): boolean =>
  parts.some((part) => wants(part, key))

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

import type { EventId } from './ids.ts'
import { changeState } from './layered-state.ts'

declare const brand: unique symbol

/** A pair of event type and state key, as one string. Opaque: made by `stateKey`, read by `splitStateKey`. */
export type StateKey = string & { readonly [brand]: 'StateKey' }

/**
 * Room state: one event for each pair of type and state key. The order of iteration means nothing.
 * spec: server-server-api.md "Room State Resolution"
 */
export type StateMap = ReadonlyMap<StateKey, EventId>

/** The length of the type goes first, so that no two pairs give the same string. */
export function stateKey(type: string, key: string): StateKey {
  return `${type.length}:${type}${key}` as StateKey
}

export function splitStateKey(key: StateKey): readonly [type: string, key: string] {
  const colon = key.indexOf(':')
  const end = colon + 1 + Number(key.slice(0, colon))
  return [key.slice(colon + 1, end), key.slice(end)]
}

export const CREATE_KEY: StateKey = stateKey('m.room.create', '')
export const POWER_LEVELS_KEY: StateKey = stateKey('m.room.power_levels', '')
export const JOIN_RULES_KEY: StateKey = stateKey('m.room.join_rules', '')

export function memberKey(userId: string): StateKey {
  return stateKey('m.room.member', userId)
}

/** Where a state event stands in the state; `undefined` for a message event. */
export function stateKeyOf(event: {
  readonly type: string
  readonly state_key?: string
}): StateKey | undefined {
  return event.state_key === undefined ? undefined : stateKey(event.type, event.state_key)
}

/** S′(E): the state after an event that is allowed. spec: rooms/v12.md "State resolution" */
export function applyToState(
  before: StateMap,
  id: EventId,
  event: { readonly type: string; readonly state_key?: string },
): StateMap {
  const key = stateKeyOf(event)
  return key === undefined || before.get(key) === id ? before : changeState(before, new Map([[key, id]]))
}

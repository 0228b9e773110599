import type { AuthFailure, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import type { StateKey } from '../state.ts'
import type { RuleName } from './rule-numbers.ts'

/** The state that an event is checked against. `get` answers at least for the keys of `authStateKeys`. */
export interface AuthState {
  readonly create: Pdu
  get(key: StateKey): Pdu | undefined
}

/** A breach of one rule, by its number in the version's list: `join.sender` is `v12 auth 5.3.2`. */
export function breach(version: RoomVersion, rule: RuleName, reason: string): AuthFailure {
  return { rule: `v${version.id} auth ${version.rules[rule] ?? rule}`, reason }
}

import type { AuthFailure, Pdu } from '../pdu.ts'
import type { RoomVersion, RuleNumbers } from '../room-version.ts'
import type { StateKey } from '../state.ts'

/** The state that an event is checked against. `get` answers at least for the keys of `authStateKeys`. */
export interface AuthState {
  readonly create: Pdu
  get(key: StateKey): Pdu | undefined
}

/** A breach of one rule, by its number in the version's list: `member` and `3.2` is `v12 auth 5.3.2`. */
export function breach(
  version: RoomVersion,
  section: keyof RuleNumbers,
  number: string,
  reason: string,
): AuthFailure {
  const rule = number === '' ? String(version.rules[section]) : `${version.rules[section]}.${number}`
  return { rule: `v${version.id} auth ${rule}`, reason }
}

import { checkAuth } from '../auth/check-auth.ts'
import { authStateKeys } from '../auth/selection.ts'
import { createOf } from '../create-id.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { CREATE_KEY, type StateKey, type StateMap } from '../state.ts'
import type { Lookup } from './graph.ts'

/** Whether the auth rules allow an event in a state. `otherwise` holds what counts at places that the state lacks. */
export function isAllowedIn(
  version: RoomVersion,
  pdu: Pdu,
  state: Pick<StateMap, 'get'>,
  otherwise: ReadonlyMap<StateKey, Pdu>,
  lookup: Lookup,
): boolean {
  // Rule 1 reads no state.
  const create = pdu.type === 'm.room.create' ? pdu : createOf(version, pdu, lookup)?.pdu
  if (create === undefined) return false
  const auth = new Map<StateKey, Pdu>()
  for (const key of authStateKeys(version, pdu)) {
    const id = state.get(key)
    const event = id === undefined ? otherwise.get(key) : lookup.get(id)?.pdu
    if (event !== undefined) auth.set(key, event)
  }
  const ofState = auth.get(CREATE_KEY) ?? create
  return checkAuth(version, pdu, { create: ofState, get: (key) => auth.get(key) }) === undefined
}

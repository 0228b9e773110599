import { parseEventId, serverOf, type EventId } from '../ids.ts'
import { ownValue } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import type { AuthState } from './context.ts'
import { requiredActionLevel, userPowerLevel } from './levels.ts'

/** The event that a redaction names; `undefined` for other events and where it names none. */
export function redactionTarget(version: RoomVersion, pdu: Pdu): EventId | undefined {
  if (pdu.type !== 'm.room.redaction') return undefined
  const named = ownValue(version.redactsInContent ? pdu.content : pdu, 'redacts')
  return typeof named === 'string' ? parseEventId(named) : undefined
}

/** True if the sender may redact what users of other servers sent. `auth` is the state before the redaction. */
export function mayRedactOthers(version: RoomVersion, redaction: Pdu, auth: AuthState): boolean {
  return userPowerLevel(version, auth, redaction.sender) >= requiredActionLevel(auth, 'redact')
}

/**
 * Whether an accepted redaction is to be applied to an accepted event. `auth` is the state before the redaction.
 * spec: rooms/v3.md "Handling redactions"
 */
export function redactionAllowed(
  version: RoomVersion,
  redaction: Pdu,
  target: Pdu,
  auth: AuthState,
): boolean {
  if (redaction.room_id === undefined || target.room_id !== redaction.room_id) return false
  return mayRedactOthers(version, redaction, auth) || serverOf(redaction.sender) === serverOf(target.sender)
}

import { eventIdOf } from '../hash.ts'
import { parseEventId, serverOf, type EventId } from '../ids.ts'
import { ownValue } from '../json.ts'
import type { AuthFailure, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { breach, type AuthState } from './context.ts'
import { requiredActionLevel, userPowerLevel } from './levels.ts'

/** The event that a redaction names; `undefined` for other events and where it names none. */
export function redactionTarget(version: RoomVersion, pdu: Pdu): EventId | undefined {
  if (pdu.type !== 'm.room.redaction') return undefined
  const named = ownValue(version.redactsInContent ? pdu.content : pdu, 'redacts')
  return typeof named === 'string' ? parseEventId(named, version.eventIds) : undefined
}

/**
 * Versions 1 and 2 let nobody send a redaction that may not be applied. spec: rooms/v1.md "Authorisation rules" 11
 */
export function checkRedaction(version: RoomVersion, pdu: Pdu, auth: AuthState): AuthFailure | undefined {
  if (hasRedactLevel(version, pdu, auth)) return undefined
  const target = redactionTarget(version, pdu)
  return target !== undefined && serverOf(target) === serverOf(eventIdOf(version, pdu))
    ? undefined
    : breach(
        version,
        'redaction',
        'the sender is below the redact level and redacts what another server sent',
      )
}

function hasRedactLevel(version: RoomVersion, redaction: Pdu, auth: AuthState): boolean {
  return userPowerLevel(version, auth, redaction.sender) >= requiredActionLevel(version, auth, 'redact')
}

/**
 * True if the redaction may be applied to what users of other servers sent: by the sender's level, or since the auth
 * rules of the version decide about it alone. `auth` is the state before the redaction.
 */
export function mayRedactOthers(version: RoomVersion, redaction: Pdu, auth: AuthState): boolean {
  return version.rules.redaction !== undefined || hasRedactLevel(version, redaction, auth)
}

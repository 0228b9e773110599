import { parseUserId, serverOf } from '../ids.ts'
import { ownValue } from '../json.ts'
import type { AuthFailure, Pdu } from '../pdu.ts'
import { RECOGNISED_VERSIONS, type RoomVersion } from '../room-version.ts'
import { breach, type AuthState } from './context.ts'
import { requiredActionLevel, requiredEventLevel, userPowerLevel } from './levels.ts'
import { checkMember, membershipOf } from './member.ts'
import { checkPowerLevels } from './power-levels.ts'

/**
 * The authorisation rules against one state; `undefined` means allowed. Rules 2 and 3, which look at the event's
 * own `auth_events`, are `checkAuthEvents`. Total on any event that passed `checkFormat`.
 * spec: rooms/v12.md "Authorisation rules"
 */
export function checkAuth(version: RoomVersion, pdu: Pdu, auth: AuthState): AuthFailure | undefined {
  // Rule 1
  if (pdu.type === 'm.room.create') return checkCreate(version, pdu)
  // Rule 4
  if (
    ownValue(auth.create.content, 'm.federate') === false &&
    serverOf(pdu.sender) !== serverOf(auth.create.sender)
  ) {
    return breach(version, 'federate', '', 'the room does not federate and the sender is of another server')
  }
  // Rule 5
  if (pdu.type === 'm.room.member') return checkMember(version, pdu, auth)
  // Rule 6
  if (membershipOf(auth, pdu.sender) !== 'join') {
    return breach(version, 'senderJoined', '', 'the sender is not joined')
  }
  const senderLevel = userPowerLevel(version, auth, pdu.sender)
  // Rule 7
  if (pdu.type === 'm.room.third_party_invite') {
    return senderLevel >= requiredActionLevel(auth, 'invite')
      ? undefined
      : breach(version, 'thirdPartyInvite', '1', 'the sender is below the invite level')
  }
  // Rule 8
  const required = requiredEventLevel(auth, pdu.type, pdu.state_key !== undefined)
  if (required > senderLevel) {
    return breach(version, 'requiredLevel', '', `needs level ${required}, the sender has ${senderLevel}`)
  }
  // Rule 9
  if (pdu.state_key !== undefined && pdu.state_key.startsWith('@') && pdu.state_key !== pdu.sender) {
    return breach(version, 'ownStateKey', '', "the state key is another user's id")
  }
  // Rule 10
  if (pdu.type === 'm.room.power_levels') return checkPowerLevels(version, pdu, auth, senderLevel)
  // Rule 11
  return undefined
}

/** Rule 1, which needs no state. */
function checkCreate(version: RoomVersion, pdu: Pdu): AuthFailure | undefined {
  if (pdu.prev_events.length > 0) return breach(version, 'create', '1', 'a create event with prev_events')
  if (pdu.room_id !== undefined) return breach(version, 'create', '2', 'a create event with a room_id')
  const named = ownValue(pdu.content, 'room_version')
  if (named !== undefined && !(typeof named === 'string' && RECOGNISED_VERSIONS.has(named))) {
    return breach(version, 'create', '3', 'the room version is not recognised')
  }
  const additional = ownValue(pdu.content, 'additional_creators')
  if (additional === undefined) return undefined
  const valid =
    Array.isArray(additional) &&
    additional.every((userId) => typeof userId === 'string' && parseUserId(userId) !== undefined)
  return valid ? undefined : breach(version, 'create', '4', 'additional_creators is not an array of user ids')
}

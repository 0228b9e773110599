import { parseUserId, serverOf } from '../ids.ts'
import { ownValue } from '../json.ts'
import type { AuthFailure, Pdu } from '../pdu.ts'
import { roomVersion, type RoomVersion } from '../room-version.ts'
import { breach, type AuthState } from './context.ts'
import { requiredActionLevel, requiredEventLevel, userPowerLevel } from './levels.ts'
import { checkMember, membershipOf } from './member.ts'
import { checkPowerLevels } from './power-levels.ts'
import { checkRedaction } from './redaction.ts'

/**
 * The authorisation rules against one state; `undefined` means allowed. Those which look at the event's own
 * `auth_events` are `checkAuthEvents`. Total on any event that passed `checkFormat`. Numbers in comments are those of
 * version 12. spec: rooms/v12.md "Authorisation rules"
 */
export function checkAuth(version: RoomVersion, pdu: Pdu, auth: AuthState): AuthFailure | undefined {
  // Rule 1
  if (pdu.type === 'm.room.create') return checkCreate(version, pdu)
  // Rule 4
  if (
    ownValue(auth.create.content, 'm.federate') === false &&
    serverOf(pdu.sender) !== serverOf(auth.create.sender)
  ) {
    return breach(version, 'federate', 'the room does not federate and the sender is of another server')
  }
  // Rule 4 of the versions before 6
  if (pdu.type === 'm.room.aliases' && version.rules['aliases.domain'] !== undefined) {
    return checkAliases(version, pdu)
  }
  // Rule 5
  if (pdu.type === 'm.room.member') return checkMember(version, pdu, auth)
  // Rule 6
  if (membershipOf(auth, pdu.sender) !== 'join') {
    return breach(version, 'senderJoined', 'the sender is not joined')
  }
  const senderLevel = userPowerLevel(version, auth, pdu.sender)
  // Rule 7
  if (pdu.type === 'm.room.third_party_invite') {
    return senderLevel >= requiredActionLevel(version, auth, 'invite')
      ? undefined
      : breach(version, 'thirdPartyInvite', 'the sender is below the invite level')
  }
  // Rule 8
  const required = requiredEventLevel(version, auth, pdu.type, pdu.state_key !== undefined)
  if (required > senderLevel) {
    return breach(version, 'requiredLevel', `needs level ${required}, the sender has ${senderLevel}`)
  }
  // Rule 9
  if (pdu.state_key !== undefined && pdu.state_key.startsWith('@') && pdu.state_key !== pdu.sender) {
    return breach(version, 'ownStateKey', "the state key is another user's id")
  }
  // Rule 10
  if (pdu.type === 'm.room.power_levels') return checkPowerLevels(version, pdu, auth, senderLevel)
  // Rule 11 of versions 1 and 2
  if (pdu.type === 'm.room.redaction' && version.rules.redaction !== undefined) {
    return checkRedaction(version, pdu, auth)
  }
  return undefined
}

/** Rule 4 of the versions before 6. */
function checkAliases(version: RoomVersion, pdu: Pdu): AuthFailure | undefined {
  if (pdu.state_key === undefined) return breach(version, 'aliases.stateKey', 'aliases without state_key')
  return pdu.state_key === serverOf(pdu.sender)
    ? undefined
    : breach(version, 'aliases.domain', "the state key is not the sender's server")
}

/** Rule 1, which needs no state. */
function checkCreate(version: RoomVersion, pdu: Pdu): AuthFailure | undefined {
  // 1.1
  if (pdu.prev_events.length > 0)
    return breach(version, 'create.prevEvents', 'a create event with prev_events')
  // 1.2
  if (version.roomIdIsCreateHash) {
    if (pdu.room_id !== undefined) return breach(version, 'create.roomId', 'a create event with a room_id')
  } else if (pdu.room_id === undefined || serverOf(pdu.room_id) !== serverOf(pdu.sender)) {
    return breach(version, 'create.roomId', "the room id is not of the sender's server")
  }
  // 1.3
  const named = ownValue(pdu.content, 'room_version')
  if (named !== undefined && !(typeof named === 'string' && roomVersion(named) !== undefined)) {
    return breach(version, 'create.version', 'the room version is not recognised')
  }
  // 1.4 of the versions before 11
  if (version.creator === 'content' && ownValue(pdu.content, 'creator') === undefined) {
    return breach(version, 'create.creator', 'a create event without creator')
  }
  // 1.4
  const additional = ownValue(pdu.content, 'additional_creators')
  if (!version.creatorsAreInfinite || additional === undefined) return undefined
  const valid =
    Array.isArray(additional) &&
    additional.every((userId) => typeof userId === 'string' && parseUserId(userId) !== undefined)
  return valid
    ? undefined
    : breach(version, 'create.additionalCreators', 'additional_creators is not an array of user ids')
}

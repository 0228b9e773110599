import { isJsonObject, ownValue, type JsonObject } from '../json.ts'
import { eventIdOf } from '../hash.ts'
import { prevEventIds, type AuthFailure, type Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { authorisingServer } from '../sign.ts'
import { JOIN_RULES_KEY, memberKey, stateKey } from '../state.ts'
import { breach, type AuthState } from './context.ts'
import { creatorOf, requiredActionLevel, userPowerLevel } from './levels.ts'
import type { RuleName } from './rule-numbers.ts'
import { isSignedByInviteKey } from './third-party.ts'

/** The `membership` of a user in a state; `undefined` where there is no such event. */
export function membershipOf(auth: AuthState, userId: string): string | undefined {
  const event = auth.get(memberKey(userId))
  const membership = event === undefined ? undefined : ownValue(event.content, 'membership')
  return typeof membership === 'string' ? membership : undefined
}

/** The `join_rule` of a state; without the event a room is open to the invited only. */
function joinRuleOf(auth: AuthState): string {
  const event = auth.get(JOIN_RULES_KEY)
  const rule = event === undefined ? undefined : ownValue(event.content, 'join_rule')
  return typeof rule === 'string' ? rule : 'invite'
}

/** What the branches below share. */
type MemberCheck = {
  readonly version: RoomVersion
  readonly pdu: Pdu
  readonly auth: AuthState
  readonly target: string
  readonly content: JsonObject
  readonly fail: (rule: RuleName, reason: string) => AuthFailure
}

/** Numbers in comments are those of version 12. spec: rooms/v12.md "Authorisation rules" 5 */
export function checkMember(version: RoomVersion, pdu: Pdu, auth: AuthState): AuthFailure | undefined {
  const fail = (rule: RuleName, reason: string): AuthFailure => breach(version, rule, reason)
  const membership = ownValue(pdu.content, 'membership')
  // 5.1
  if (pdu.state_key === undefined) return fail('member.shape', 'a membership without state_key')
  if (membership === undefined) return fail('member.shape', 'no membership in content')
  // 5.2: that the signature is valid has been checked (`requiredSigners`); here it must have been there to check.
  const isRestricted = version.joinRules.has('restricted')
  if (isRestricted && ownValue(pdu.content, 'join_authorised_via_users_server') !== undefined) {
    const server = authorisingServer(pdu)
    if (server === undefined || !Object.hasOwn(pdu.signatures, server)) {
      return fail(
        'member.authoriserSignature',
        'not signed by the server of join_authorised_via_users_server',
      )
    }
  }
  const check: MemberCheck = { version, pdu, auth, target: pdu.state_key, content: pdu.content, fail }
  switch (membership) {
    case 'join':
      return checkJoin(check)
    case 'invite':
      return checkInvite(check)
    case 'leave':
      return checkLeave(check)
    case 'ban':
      return checkBan(check)
    case 'knock':
      if (version.joinRules.has('knock')) return checkKnock(check)
  }
  return fail('member.unknown', 'unknown membership')
}

/** 5.3 */
function checkJoin({ version, pdu, auth, target, content, fail }: MemberCheck): AuthFailure | undefined {
  // 5.3.1
  const [onlyPrev, ...others] = prevEventIds(pdu)
  const isFirst = others.length === 0 && target === creatorOf(version, auth.create)
  if (isFirst && onlyPrev === eventIdOf(version, auth.create)) return undefined
  // 5.3.2
  if (pdu.sender !== target) return fail('join.sender', 'the sender joins somebody else')
  const current = membershipOf(auth, target)
  // 5.3.3
  if (current === 'ban') return fail('join.banned', 'the sender is banned')
  const invited = current === 'invite' || current === 'join'
  const rule = joinRuleOf(auth)
  switch (version.joinRules.has(rule) ? rule : undefined) {
    // 5.3.4
    case 'invite':
    case 'knock':
      return invited ? undefined : fail('join.otherwise', 'the room is open to the invited only')
    // 5.3.5
    case 'restricted':
    case 'knock_restricted':
      if (invited || mayAuthoriseJoin(version, auth, content)) return undefined
      return fail('join.authoriser', 'join_authorised_via_users_server is not a joined user who may invite')
    // 5.3.6
    case 'public':
      return undefined
    // 5.3.7
    default:
      return fail('join.otherwise', 'the join rule lets nobody in')
  }
}

function mayAuthoriseJoin(version: RoomVersion, auth: AuthState, content: JsonObject): boolean {
  const authoriser = ownValue(content, 'join_authorised_via_users_server')
  if (typeof authoriser !== 'string' || membershipOf(auth, authoriser) !== 'join') return false
  return userPowerLevel(version, auth, authoriser) >= requiredActionLevel(version, auth, 'invite')
}

/** 5.4 */
function checkInvite(check: MemberCheck): AuthFailure | undefined {
  const { version, pdu, auth, target, content, fail } = check
  // 5.4.1
  const thirdParty = ownValue(content, 'third_party_invite')
  if (thirdParty !== undefined) {
    return checkThirdPartyInvite(check, isJsonObject(thirdParty) ? thirdParty : {})
  }
  // 5.4.2
  if (membershipOf(auth, pdu.sender) !== 'join') return fail('invite.sender', 'the sender is not joined')
  // 5.4.3
  const current = membershipOf(auth, target)
  if (current === 'join' || current === 'ban')
    return fail('invite.target', `the target has membership ${current}`)
  // 5.4.4
  if (userPowerLevel(version, auth, pdu.sender) >= requiredActionLevel(version, auth, 'invite'))
    return undefined
  // 5.4.5
  return fail('invite.otherwise', 'the sender is below the invite level')
}

/** 5.4.1 */
function checkThirdPartyInvite(check: MemberCheck, thirdParty: JsonObject): AuthFailure | undefined {
  const { pdu, auth, target, fail } = check
  // 5.4.1.1
  if (membershipOf(auth, target) === 'ban') return fail('thirdParty.banned', 'the target is banned')
  // 5.4.1.2
  const signed = ownValue(thirdParty, 'signed')
  if (!isJsonObject(signed)) return fail('thirdParty.signed', 'third_party_invite without signed')
  // 5.4.1.3
  const mxid = ownValue(signed, 'mxid')
  const token = ownValue(signed, 'token')
  if (typeof mxid !== 'string' || typeof token !== 'string')
    return fail('thirdParty.fields', 'signed without mxid and token')
  // 5.4.1.4
  if (mxid !== target) return fail('thirdParty.mxid', 'mxid is not the state key')
  // 5.4.1.5
  const invite = auth.get(stateKey('m.room.third_party_invite', token))
  if (invite === undefined) return fail('thirdParty.event', 'no m.room.third_party_invite with that token')
  // 5.4.1.6
  if (pdu.sender !== invite.sender)
    return fail('thirdParty.sender', 'another user sent the m.room.third_party_invite')
  // 5.4.1.7
  if (isSignedByInviteKey(signed, invite.content)) return undefined
  // 5.4.1.8
  return fail('thirdParty.otherwise', 'no signature of a key of the m.room.third_party_invite')
}

/** 5.5 */
function checkLeave({ version, pdu, auth, target, fail }: MemberCheck): AuthFailure | undefined {
  const current = membershipOf(auth, target)
  // 5.5.1
  if (pdu.sender === target) {
    const allowed = current === 'invite' || current === 'join' || current === 'knock'
    return allowed ? undefined : fail('leave.own', 'the sender is not in the room, invited or knocking')
  }
  // 5.5.2
  if (membershipOf(auth, pdu.sender) !== 'join') return fail('leave.sender', 'the sender is not joined')
  const senderLevel = userPowerLevel(version, auth, pdu.sender)
  // 5.5.3
  if (current === 'ban' && senderLevel < requiredActionLevel(version, auth, 'ban')) {
    return fail('leave.unban', 'the sender is below the ban level')
  }
  // 5.5.4
  const mayKick = senderLevel >= requiredActionLevel(version, auth, 'kick')
  if (mayKick && userPowerLevel(version, auth, target) < senderLevel) return undefined
  // 5.5.5
  return fail(
    'leave.otherwise',
    mayKick ? 'the target is not below the sender' : 'the sender is below the kick level',
  )
}

/** 5.6 */
function checkBan({ version, pdu, auth, target, fail }: MemberCheck): AuthFailure | undefined {
  // 5.6.1
  if (membershipOf(auth, pdu.sender) !== 'join') return fail('ban.sender', 'the sender is not joined')
  // 5.6.2
  const senderLevel = userPowerLevel(version, auth, pdu.sender)
  const mayBan = senderLevel >= requiredActionLevel(version, auth, 'ban')
  if (mayBan && userPowerLevel(version, auth, target) < senderLevel) return undefined
  // 5.6.3
  return fail(
    'ban.otherwise',
    mayBan ? 'the target is not below the sender' : 'the sender is below the ban level',
  )
}

/** 5.7 */
function checkKnock({ version, pdu, auth, target, fail }: MemberCheck): AuthFailure | undefined {
  // 5.7.1
  const rule = joinRuleOf(auth)
  if (!version.joinRules.has(rule) || !(rule === 'knock' || rule === 'knock_restricted'))
    return fail('knock.joinRule', 'the join rule is not for knocking')
  // 5.7.2
  if (pdu.sender !== target) return fail('knock.sender', 'the sender knocks for somebody else')
  // 5.7.3
  const current = membershipOf(auth, target)
  if (current !== 'ban' && current !== 'invite' && current !== 'join') return undefined
  // 5.7.4
  return fail('knock.otherwise', `the sender has membership ${current}`)
}

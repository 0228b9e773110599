import { isJsonObject, ownValue, type JsonObject } from '../json.ts'
import type { RoomVersion } from '../room-version.ts'
import { CREATE_KEY, JOIN_RULES_KEY, memberKey, POWER_LEVELS_KEY, stateKey, type StateKey } from '../state.ts'

/** The part of an event that says which state authorises it. */
export type AuthSubject = {
  readonly type: string
  readonly sender: string
  readonly state_key?: string
  readonly content: JsonObject
}

/**
 * Where the state that decides about an event stands, without duplicates. The auth rules read no other entry (and
 * the create event). spec: server-server-api.md "Auth events selection"
 */
export function authStateKeys(version: RoomVersion, event: AuthSubject): readonly StateKey[] {
  if (event.type === 'm.room.create') return []
  const keys = [POWER_LEVELS_KEY, memberKey(event.sender)]
  if (!version.roomIdIsCreateHash) keys.push(CREATE_KEY)
  if (event.type === 'm.room.member') keys.push(...memberAuthKeys(version, event))
  return [...new Set(keys)]
}

function memberAuthKeys(version: RoomVersion, { state_key: target, content }: AuthSubject): StateKey[] {
  const keys: StateKey[] = []
  if (target !== undefined) keys.push(memberKey(target))
  const membership = ownValue(content, 'membership')
  if (membership === 'join' || membership === 'invite' || membership === 'knock') keys.push(JOIN_RULES_KEY)
  if (membership === 'invite') {
    const token = thirdPartyToken(content)
    if (token !== undefined) keys.push(stateKey('m.room.third_party_invite', token))
  }
  if (membership === 'join' && version.joinRules.has('restricted')) {
    const authoriser = ownValue(content, 'join_authorised_via_users_server')
    if (typeof authoriser === 'string') keys.push(memberKey(authoriser))
  }
  return keys
}

/** `third_party_invite.signed.token` of a membership's content. */
function thirdPartyToken(content: JsonObject): string | undefined {
  const invite = ownValue(content, 'third_party_invite')
  const signed = isJsonObject(invite) ? ownValue(invite, 'signed') : undefined
  const token = isJsonObject(signed) ? ownValue(signed, 'token') : undefined
  return typeof token === 'string' ? token : undefined
}

/** Restricted rooms: whose members may join. spec: client-server-api/_index.md "Restricted rooms" */
import {
  isJsonObject,
  memberKey,
  ownValue,
  parseRoomId,
  POWER_LEVELS_KEY,
  requiredActionLevel,
  serverOf,
  stateKey,
  userPowerLevel,
} from '@plexus/core'
import type { JsonObject, JsonValue, Pdu, RoomId, ServerName, StateKey, UserId } from '@plexus/core'
import type { RoomCopy } from './copy.ts'
import { membershipOf } from './copy.ts'
import type { EventStore } from './event-store.ts'
import type { RoomRegistry } from './registry.ts'
import { RoomError } from './types.ts'

/** Rooms of a join rule that are looked at. */
export const MAX_CONDITIONS = 100

/** The rooms whose members may join, by the content of the join rules; conditions of unknown types are none. */
export function allowedRooms(joinRules: JsonObject | undefined): readonly RoomId[] {
  const allow: JsonValue | undefined = joinRules === undefined ? undefined : ownValue(joinRules, 'allow')
  if (!Array.isArray(allow)) return []
  return allow.flatMap((condition: JsonValue) => {
    if (!isJsonObject(condition) || ownValue(condition, 'type') !== 'm.room_membership') return []
    const roomId = ownValue(condition, 'room_id')
    return (typeof roomId === 'string' ? parseRoomId(roomId) : undefined) ?? []
  })
}

export function isRestricted(rule: JsonValue | undefined): rule is 'restricted' | 'knock_restricted' {
  return rule === 'restricted' || rule === 'knock_restricted'
}

type AuthoriserDeps = {
  readonly events: EventStore
  readonly registry: RoomRegistry
  readonly ownName: ServerName
}

const JOIN_RULES_KEY = stateKey('m.room.join_rules', '')

/** What only the server of a resident may say of a join. */
export const AUTHORISER = 'join_authorised_via_users_server'

/**
 * The user of this node who authorises a join; `undefined` where none is needed, or none could help.
 * @throws RoomError M_UNABLE_TO_AUTHORISE_JOIN, M_UNABLE_TO_GRANT_JOIN: another server may help. M_FORBIDDEN.
 * spec: server-server-api.md "Restricted rooms"
 */
export async function authoriserFor(
  deps: AuthoriserDeps,
  copy: RoomCopy,
  userId: UserId,
): Promise<UserId | undefined> {
  const { version, current } = copy
  const find = async (key: StateKey): Promise<Pdu | undefined> => {
    const id = current.state.get(key)
    return id === undefined ? undefined : (await deps.events.working([id]))[0]?.pdu
  }
  const rules = (await find(JOIN_RULES_KEY))?.content
  const rule = rules?.['join_rule']
  if (!isRestricted(rule) || !version.joinRules.has(rule)) return undefined
  const membership = membershipOf(await find(memberKey(userId)))
  if (membership === 'join' || membership === 'invite' || membership === 'ban') return undefined
  await checkConditions(deps, allowedRooms(rules), userId)
  const local = (await inviters(deps.events, copy)).find((user) => serverOf(user) === deps.ownName)
  if (local !== undefined) return local
  throw new RoomError('M_UNABLE_TO_GRANT_JOIN', 'nobody on this server may invite to the room')
}

/** Joined users who may invite. */
export async function inviters(events: EventStore, copy: RoomCopy): Promise<readonly UserId[]> {
  const { version, create, current, joined } = copy
  const id = current.state.get(POWER_LEVELS_KEY)
  const levels = id === undefined ? undefined : (await events.working([id]))[0]?.pdu
  const auth = {
    create: create.pdu,
    get: (key: StateKey) => (key === POWER_LEVELS_KEY ? levels : undefined),
  }
  const required = requiredActionLevel(version, auth, 'invite')
  return [...joined].filter((user) => userPowerLevel(version, auth, user) >= required)
}

/** One of the rooms must have the user among its members. */
async function checkConditions(
  { registry, ownName }: AuthoriserDeps,
  rooms: readonly RoomId[],
  userId: UserId,
): Promise<void> {
  let isComplete = rooms.length <= MAX_CONDITIONS
  for (const roomId of rooms.slice(0, MAX_CONDITIONS)) {
    const snapshot = (await registry.get(roomId))?.snapshot
    // Without a member of its own the node does not know who is in a room.
    const isHere = snapshot?.joinedServers.includes(ownName) === true
    if (isHere && snapshot.joinedMembers.includes(userId)) return
    if (!isHere || snapshot.isPartial === true) isComplete = false
  }
  if (isComplete)
    throw new RoomError('M_FORBIDDEN', 'the user is not invited, and in none of the rooms that would do')
  throw new RoomError(
    'M_UNABLE_TO_AUTHORISE_JOIN',
    'this server does not know who is in the rooms that would do',
  )
}

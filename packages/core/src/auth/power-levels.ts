import { parseUserId } from '../ids.ts'
import { isJsonObject, ownValue, type JsonObject, type JsonValue } from '../json.ts'
import type { AuthFailure, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { POWER_LEVELS_KEY } from '../state.ts'
import { breach, type AuthState } from './context.ts'
import { creatorsOf, levelAt, parseLevel } from './levels.ts'

const PROPERTIES = [
  'users_default',
  'events_default',
  'state_default',
  'ban',
  'redact',
  'kick',
  'invite',
] as const
const mapsOf = (version: RoomVersion): readonly string[] =>
  version.guardsNotifications ? ['events', 'notifications'] : ['events']

/**
 * Numbers in comments are those of version 12, whose list has two entries 10.10, of which the last allows.
 * spec: rooms/v12.md "Authorisation rules" 10
 */
export function checkPowerLevels(
  version: RoomVersion,
  pdu: Pdu,
  auth: AuthState,
  senderLevel: number,
): AuthFailure | undefined {
  const malformed = checkLevelsContent(version, pdu.content, auth.create)
  if (malformed !== undefined) return malformed
  // 10.5
  const current = auth.get(POWER_LEVELS_KEY)
  if (current === undefined) return undefined
  const change: LevelChange = {
    version,
    current: current.content,
    next: pdu.content,
    sender: pdu.sender,
    senderLevel,
  }
  return checkProperties(change) ?? checkMaps(change) ?? checkUsers(change)
}

/** 10.1 to 10.4: what no sender may set, whatever their power. */
export function checkLevelsContent(
  version: RoomVersion,
  content: JsonObject,
  create: AuthState['create'],
): AuthFailure | undefined {
  const malformed = checkShape(version, content)
  if (malformed !== undefined || !version.creatorsAreInfinite) return malformed
  // 10.4
  const users = mapAt(content, 'users')
  return [...creatorsOf(create)].some((creator) => Object.hasOwn(users, creator))
    ? breach(version, 'powerLevels.creators', 'users holds a creator')
    : undefined
}

/** 10.1 to 10.3 */
function checkShape(version: RoomVersion, content: JsonObject): AuthFailure | undefined {
  if (version.levels === 'integers') {
    // 10.1
    for (const key of PROPERTIES) {
      const value = ownValue(content, key)
      if (value !== undefined && parseLevel(version, value) === undefined)
        return breach(version, 'powerLevels.properties', `${key} is not an integer`)
    }
    // 10.2
    for (const key of mapsOf(version)) {
      const value = ownValue(content, key)
      if (value !== undefined && !isLevelMap(version, value))
        return breach(version, 'powerLevels.maps', `${key} is not an object of integers`)
    }
  }
  // 10.3
  const users = ownValue(content, 'users')
  if (users === undefined) return undefined
  if (!isLevelMap(version, users))
    return breach(version, 'powerLevels.users', 'users is not an object of integers')
  const valid = Object.keys(users).every((userId) => parseUserId(userId) !== undefined)
  return valid ? undefined : breach(version, 'powerLevels.users', 'users has a key that is not a user id')
}

/** A level that is not there is above nobody. */
const isAbove = (level: number | undefined, senderLevel: number): boolean =>
  (level ?? -Infinity) > senderLevel

type LevelChange = {
  readonly version: RoomVersion
  readonly current: JsonObject
  readonly next: JsonObject
  readonly sender: string
  readonly senderLevel: number
}

/** 10.6 */
function checkProperties({ version, current, next, senderLevel }: LevelChange): AuthFailure | undefined {
  for (const key of PROPERTIES) {
    const [from, to] = [levelAt(version, current, key), levelAt(version, next, key)]
    if (from === to) continue
    if (isAbove(from, senderLevel))
      return breach(version, 'powerLevels.propertyFrom', `${key} is above the sender`)
    if (isAbove(to, senderLevel))
      return breach(version, 'powerLevels.propertyTo', `${key} would be above the sender`)
  }
  return undefined
}

/** 10.7 and 10.8 */
function checkMaps({ version, current, next, senderLevel }: LevelChange): AuthFailure | undefined {
  const changes = mapsOf(version).flatMap((map) =>
    changesBetween(version, mapAt(current, map), mapAt(next, map)),
  )
  for (const { key, from } of changes) {
    if (isAbove(from, senderLevel))
      return breach(version, 'powerLevels.entryFrom', `the level of ${key} is above the sender`)
  }
  for (const { key, to } of changes) {
    if (isAbove(to, senderLevel))
      return breach(version, 'powerLevels.entryTo', `the level of ${key} would be above the sender`)
  }
  return undefined
}

/** 10.9 and 10.10 */
function checkUsers({ version, current, next, sender, senderLevel }: LevelChange): AuthFailure | undefined {
  const changes = changesBetween(version, mapAt(current, 'users'), mapAt(next, 'users'))
  for (const { key, from } of changes) {
    if (key !== sender && from !== undefined && from >= senderLevel)
      return breach(version, 'powerLevels.userFrom', `${key} is not below the sender`)
  }
  for (const { key, to } of changes) {
    if (isAbove(to, senderLevel))
      return breach(version, 'powerLevels.userTo', `${key} would be above the sender`)
  }
  return undefined
}

type Change = { readonly key: string; readonly from: number | undefined; readonly to: number | undefined }

function changesBetween(version: RoomVersion, current: JsonObject, next: JsonObject): Change[] {
  const keys = new Set([...Object.keys(current), ...Object.keys(next)])
  return [...keys]
    .map((key) => ({ key, from: levelAt(version, current, key), to: levelAt(version, next, key) }))
    .filter(({ from, to }) => from !== to)
}

function mapAt(content: JsonObject, key: string): JsonObject {
  const value = ownValue(content, key)
  return isJsonObject(value) ? value : {}
}

function isLevelMap(version: RoomVersion, value: JsonValue): value is JsonObject {
  if (!isJsonObject(value)) return false
  return Object.values(value).every((level) => parseLevel(version, level) !== undefined)
}

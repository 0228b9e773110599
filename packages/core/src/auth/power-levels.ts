import { parseUserId } from '../ids.ts'
import { isJsonObject, ownValue, type JsonObject, type JsonValue } from '../json.ts'
import type { AuthFailure, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { POWER_LEVELS_KEY } from '../state.ts'
import { breach, type AuthState } from './context.ts'
import { creatorsOf, isInteger, levelAt } from './levels.ts'

const SCALARS = [
  'users_default',
  'events_default',
  'state_default',
  'ban',
  'redact',
  'kick',
  'invite',
] as const
const MAPS = ['events', 'notifications'] as const

/** spec: rooms/v12.md "Authorisation rules" 10; the list there has two entries 10.10, of which the last allows. */
export function checkPowerLevels(
  version: RoomVersion,
  pdu: Pdu,
  auth: AuthState,
  senderLevel: number,
): AuthFailure | undefined {
  const fail = (number: string, reason: string): AuthFailure => breach(version, 'powerLevels', number, reason)
  const malformed = checkShape(pdu.content, fail)
  if (malformed !== undefined) return malformed
  // 10.4
  const users = mapAt(pdu.content, 'users')
  if (version.creatorsAreInfinite) {
    for (const creator of creatorsOf(auth.create)) {
      if (Object.hasOwn(users, creator)) return fail('4', 'users holds a creator')
    }
  }
  // 10.5
  const current = auth.get(POWER_LEVELS_KEY)
  if (current === undefined) return undefined
  return (
    checkScalars(current.content, pdu.content, senderLevel, fail) ??
    checkMaps(current.content, pdu.content, senderLevel, fail) ??
    checkUsers(mapAt(current.content, 'users'), users, pdu.sender, senderLevel, fail)
  )
}

type Fail = (number: string, reason: string) => AuthFailure

/** 10.1 to 10.3 */
function checkShape(content: JsonObject, fail: Fail): AuthFailure | undefined {
  // 10.1
  for (const key of SCALARS) {
    const value = ownValue(content, key)
    if (value !== undefined && !isInteger(value)) return fail('1', `${key} is not an integer`)
  }
  // 10.2
  for (const key of MAPS) {
    const value = ownValue(content, key)
    if (value !== undefined && !isIntegerMap(value)) return fail('2', `${key} is not an object of integers`)
  }
  // 10.3
  const users = ownValue(content, 'users')
  if (users === undefined) return undefined
  if (!isIntegerMap(users)) return fail('3', 'users is not an object of integers')
  const valid = Object.keys(users).every((userId) => parseUserId(userId) !== undefined)
  return valid ? undefined : fail('3', 'users has a key that is not a user id')
}

/** 10.6 */
function checkScalars(
  current: JsonObject,
  next: JsonObject,
  senderLevel: number,
  fail: Fail,
): AuthFailure | undefined {
  for (const key of SCALARS) {
    const [from, to] = [levelAt(current, key), levelAt(next, key)]
    if (from === to) continue
    if (from !== undefined && from > senderLevel) return fail('6.1', `${key} is above the sender`)
    if (to !== undefined && to > senderLevel) return fail('6.2', `${key} would be above the sender`)
  }
  return undefined
}

/** 10.7 and 10.8 */
function checkMaps(
  current: JsonObject,
  next: JsonObject,
  senderLevel: number,
  fail: Fail,
): AuthFailure | undefined {
  const changes = MAPS.flatMap((key) => changesBetween(mapAt(current, key), mapAt(next, key)))
  for (const { key, from } of changes) {
    if (from !== undefined && from > senderLevel)
      return fail('7.1', `the level of ${key} is above the sender`)
  }
  for (const { key, to } of changes) {
    if (to !== undefined && to > senderLevel)
      return fail('8.1', `the level of ${key} would be above the sender`)
  }
  return undefined
}

/** 10.9 and 10.10 */
function checkUsers(
  current: JsonObject,
  next: JsonObject,
  sender: string,
  senderLevel: number,
  fail: Fail,
): AuthFailure | undefined {
  const changes = changesBetween(current, next)
  for (const { key, from } of changes) {
    if (key !== sender && from !== undefined && from >= senderLevel)
      return fail('9.1', `${key} is not below the sender`)
  }
  for (const { key, to } of changes) {
    if (to !== undefined && to > senderLevel) return fail('10.1', `${key} would be above the sender`)
  }
  return undefined
}

type Change = { readonly key: string; readonly from: number | undefined; readonly to: number | undefined }

function changesBetween(current: JsonObject, next: JsonObject): Change[] {
  const keys = new Set([...Object.keys(current), ...Object.keys(next)])
  return [...keys]
    .map((key) => ({ key, from: levelAt(current, key), to: levelAt(next, key) }))
    .filter(({ from, to }) => from !== to)
}

function mapAt(content: JsonObject, key: string): JsonObject {
  const value = ownValue(content, key)
  return isJsonObject(value) ? value : {}
}

function isIntegerMap(value: JsonValue): value is JsonObject {
  return isJsonObject(value) && Object.values(value).every(isInteger)
}

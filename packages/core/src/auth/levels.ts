import { isJsonObject, ownValue, type JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { POWER_LEVELS_KEY } from '../state.ts'
import type { AuthState } from './context.ts'

/** spec: server-server-api.md "Definitions", data/event-schemas/schema/m.room.power_levels.yaml */
const ACTION_DEFAULTS = { ban: 50, kick: 50, redact: 50, invite: 0 } as const

/** What a power level is asked for, besides sending an event. */
export type PowerAction = keyof typeof ACTION_DEFAULTS

/** The creators of a room: the sender of its create event and the `additional_creators`. spec: rooms/v12.md */
export function creatorsOf(create: Pdu): ReadonlySet<string> {
  const additional = ownValue(create.content, 'additional_creators')
  const listed = Array.isArray(additional) ? additional.filter((userId) => typeof userId === 'string') : []
  return new Set<string>([create.sender, ...listed])
}

/** The level of a user: Infinity for a creator where the version says so. */
export function userPowerLevel(version: RoomVersion, auth: AuthState, userId: string): number {
  return userLevelUnder(version, auth.create, auth.get(POWER_LEVELS_KEY)?.content, userId)
}

/** As `userPowerLevel`, with the content of the power levels event given; `undefined` if there is none. */
export function userLevelUnder(
  version: RoomVersion,
  create: Pdu,
  levels: JsonObject | undefined,
  userId: string,
): number {
  if (version.creatorsAreInfinite && creatorsOf(create).has(userId)) return Infinity
  if (levels === undefined) return 0
  return levelIn(levels, 'users', userId) ?? levelAt(levels, 'users_default') ?? 0
}

/** The level that inviting, kicking, banning or redacting needs. */
export function requiredActionLevel(auth: AuthState, action: PowerAction): number {
  const levels = auth.get(POWER_LEVELS_KEY)?.content
  return (levels === undefined ? undefined : levelAt(levels, action)) ?? ACTION_DEFAULTS[action]
}

/** The level that sending an event needs. Memberships have rules of their own instead. */
export function requiredEventLevel(auth: AuthState, type: string, isState: boolean): number {
  const levels = auth.get(POWER_LEVELS_KEY)?.content
  if (levels === undefined) return isState ? 50 : 0
  const listed = levelIn(levels, 'events', type)
  if (listed !== undefined) return listed
  return isState ? (levelAt(levels, 'state_default') ?? 50) : (levelAt(levels, 'events_default') ?? 0)
}

/** The integer at a key; auth rule 10 lets nothing else into the state. */
export function levelAt(levels: JsonObject, key: string): number | undefined {
  const value = ownValue(levels, key)
  return isInteger(value) ? value : undefined
}

function levelIn(levels: JsonObject, outer: string, inner: string): number | undefined {
  const map = ownValue(levels, outer)
  return isJsonObject(map) ? levelAt(map, inner) : undefined
}

/** True for a JSON integer. */
export function isInteger(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value)
}

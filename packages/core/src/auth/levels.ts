import { isJsonObject, ownValue, type JsonObject, type JsonValue } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import { POWER_LEVELS_KEY } from '../state.ts'
import type { AuthState } from './context.ts'

/** spec: server-server-api.md "Definitions", data/event-schemas/schema/m.room.power_levels.yaml */
const ACTION_DEFAULTS = { ban: 50, kick: 50, redact: 50, invite: 0 } as const

/** What a power level is asked for, besides sending an event. */
export type PowerAction = keyof typeof ACTION_DEFAULTS

/** Level of the creator of a room that has no power levels event. spec: server-server-api.md "Definitions" */
const CREATOR_LEVEL = 100

/** Who created a room. spec: rooms/v11.md "Event format", data/event-schemas/schema/m.room.create.yaml */
export function creatorOf(version: RoomVersion, create: Pdu): string | undefined {
  if (version.creator === 'sender') return create.sender
  const creator = ownValue(create.content, 'creator')
  return typeof creator === 'string' ? creator : undefined
}

/** The creators of a room: the sender of its create event and the `additional_creators`. spec: rooms/v12.md */
export function creatorsOf(create: Pdu): ReadonlySet<string> {
  const known = creators.get(create)
  if (known !== undefined) return known
  const additional = ownValue(create.content, 'additional_creators')
  // Others than user ids are in no create event that was accepted.
  const listed = Array.isArray(additional) ? (additional as readonly string[]) : []
  const made = new Set<string>([create.sender, ...listed])
  creators.set(create, made)
  return made
}

/** An event can list thousands, and every level asks. */
const creators = new WeakMap<Pdu, ReadonlySet<string>>()

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
  if (levels === undefined) {
    const isCreator = !version.creatorsAreInfinite && creatorOf(version, create) === userId
    return isCreator ? CREATOR_LEVEL : 0
  }
  return levelIn(version, levels, 'users', userId) ?? levelAt(version, levels, 'users_default') ?? 0
}

/** The level that inviting, kicking, banning or redacting needs. */
export function requiredActionLevel(version: RoomVersion, auth: AuthState, action: PowerAction): number {
  const levels = auth.get(POWER_LEVELS_KEY)?.content
  return (levels === undefined ? undefined : levelAt(version, levels, action)) ?? ACTION_DEFAULTS[action]
}

/** The level that sending an event needs. Memberships have rules of their own instead. */
export function requiredEventLevel(
  version: RoomVersion,
  auth: AuthState,
  type: string,
  isState: boolean,
): number {
  const levels = auth.get(POWER_LEVELS_KEY)?.content
  if (levels === undefined) return isState ? 50 : 0
  const listed = levelIn(version, levels, 'events', type)
  if (listed !== undefined) return listed
  return isState
    ? (levelAt(version, levels, 'state_default') ?? 50)
    : (levelAt(version, levels, 'events_default') ?? 0)
}

/** The level at a key; `undefined` for what is none, which versions before 10 let into the state. */
export function levelAt(version: RoomVersion, levels: JsonObject, key: string): number | undefined {
  return parseLevel(version, ownValue(levels, key))
}

function levelIn(version: RoomVersion, levels: JsonObject, outer: string, inner: string): number | undefined {
  const map = ownValue(levels, outer)
  return isJsonObject(map) ? levelAt(version, map, inner) : undefined
}

const LEVEL_TEXT = /^\s*[+-]?\d+\s*$/

/**
 * A power level; `undefined` for a value that is none in this room version. Texts and fractions have no range but that
 * of a double. spec: rooms/v1.md "m.room.power_levels events accept values as strings", "… as floats"
 */
export function parseLevel(version: RoomVersion, value: JsonValue | undefined): number | undefined {
  const isText = typeof value === 'string' && version.levels !== 'integers' && LEVEL_TEXT.test(value)
  if (typeof value !== 'number' && !isText) return undefined
  if (!isText && version.levels !== 'floats') return Number.isSafeInteger(value) ? Number(value) : undefined
  const level = Math.trunc(Number(value))
  return Number.isFinite(level) ? level : undefined
}

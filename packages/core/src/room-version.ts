import {
  V10_RULES,
  V11_RULES,
  V12_RULES,
  V1_RULES,
  V3_RULES,
  V6_RULES,
  V7_RULES,
  V8_RULES,
  type RuleNumbers,
} from './auth/rule-numbers.ts'
import type { EventIdForm } from './ids.ts'

/** Which part of a content survives redaction: everything, or these keys. */
export type KeptContent = 'all' | readonly KeptKey[]
/** A key, or a key inside the object at a key. */
export type KeptKey = string | readonly [outer: string, inner: string]

export type RedactionRules = {
  readonly topLevel: readonly string[]
  /** By event type; the content of every other type is emptied. */
  readonly content: ReadonlyMap<string, KeptContent>
}

export type StateResolution = {
  /** `depth`: the algorithm of version 1. `auth`: that of version 2 and later, which the other fields adjust. */
  readonly by: 'depth' | 'auth'
  /** Iterative auth checks start from nothing instead of the unconflicted state. */
  readonly startsEmpty: boolean
  /** The full conflicted set includes the conflicted state subgraph. */
  readonly conflictedSubgraph: boolean
}

/**
 * Everything in which a room version differs from another, as constants. A version spreads the one it builds on
 * and states its difference; no code asks which version it is in. spec: rooms/_index.md
 */
export type RoomVersion = {
  readonly id: string
  /**
   * `field`: an event carries its id, and refers to others by id and hash. Else the id is the hash, in this alphabet, and
   * stands alone.
   */
  readonly eventIds: EventIdForm
  /** The room id is the hash of the create event, which has no `room_id` and is in nobody's `auth_events`. */
  readonly roomIdIsCreateHash: boolean
  /** Events are canonical JSON: no number but integers. */
  readonly strictJson: boolean
  /** A key counts for events dated up to `valid_until_ts` of its document. spec: rooms/v5.md "Signing key validity period" */
  readonly enforcesKeyValidity: boolean
  /** Who created the room: the create event's sender, or its `content.creator`. */
  readonly creator: 'sender' | 'content'
  /** The create event's sender and `additional_creators` stand above every power level. */
  readonly creatorsAreInfinite: boolean
  /** What a power level can be: an integer; or also text of one; or also a number with a fraction, which is cut off. */
  readonly levels: 'integers' | 'texts' | 'floats'
  /** `notifications` of power levels is guarded as `events` is. */
  readonly guardsNotifications: boolean
  /** The values of `join_rule` that let anybody in. */
  readonly joinRules: ReadonlySet<string>
  /** Where a redaction event names its target: in `content` or at the top level. */
  readonly redactsInContent: boolean
  readonly redaction: RedactionRules
  readonly stateResolution: StateResolution
  readonly rules: RuleNumbers
}

/** spec: rooms/v1.md */
const V1: RoomVersion = {
  id: '1',
  eventIds: 'field',
  roomIdIsCreateHash: false,
  strictJson: false,
  enforcesKeyValidity: false,
  creator: 'content',
  creatorsAreInfinite: false,
  levels: 'floats',
  guardsNotifications: false,
  joinRules: new Set(['public', 'invite']),
  redactsInContent: false,
  // spec: rooms/v1.md "Redactions"
  redaction: {
    topLevel: [
      'event_id',
      'type',
      'room_id',
      'sender',
      'state_key',
      'content',
      'hashes',
      'signatures',
      'depth',
      'prev_events',
      'prev_state',
      'auth_events',
      'origin',
      'origin_server_ts',
      'membership',
    ],
    content: new Map<string, KeptContent>([
      ['m.room.member', ['membership']],
      ['m.room.create', ['creator']],
      ['m.room.join_rules', ['join_rule']],
      [
        'm.room.power_levels',
        ['ban', 'events', 'events_default', 'kick', 'redact', 'state_default', 'users', 'users_default'],
      ],
      ['m.room.aliases', ['aliases']],
      ['m.room.history_visibility', ['history_visibility']],
    ]),
  },
  stateResolution: { by: 'depth', startsEmpty: false, conflictedSubgraph: false },
  rules: V1_RULES,
}

/** spec: rooms/v2.md */
const V2: RoomVersion = { ...V1, id: '2', stateResolution: { ...V1.stateResolution, by: 'auth' } }

/** spec: rooms/v3.md */
const V3: RoomVersion = { ...V2, id: '3', eventIds: 'base64', rules: V3_RULES }

/** spec: rooms/v4.md */
const V4: RoomVersion = { ...V3, id: '4', eventIds: 'base64url' }

/** Signing keys must be valid at the time of the event; a key that is a name always is. spec: rooms/v5.md */
const V5: RoomVersion = { ...V4, id: '5', enforcesKeyValidity: true }

/** spec: rooms/v6.md */
const V6: RoomVersion = {
  ...V5,
  id: '6',
  strictJson: true,
  levels: 'texts',
  guardsNotifications: true,
  redaction: keeping(V5.redaction, { 'm.room.aliases': [] }),
  rules: V6_RULES,
}

/** spec: rooms/v7.md */
const V7: RoomVersion = { ...V6, id: '7', joinRules: new Set([...V6.joinRules, 'knock']), rules: V7_RULES }

/** spec: rooms/v8.md */
const V8: RoomVersion = {
  ...V7,
  id: '8',
  joinRules: new Set([...V7.joinRules, 'restricted']),
  redaction: keeping(V7.redaction, { 'm.room.join_rules': ['join_rule', 'allow'] }),
  rules: V8_RULES,
}

/** spec: rooms/v9.md */
const V9: RoomVersion = {
  ...V8,
  id: '9',
  redaction: keeping(V8.redaction, { 'm.room.member': ['membership', 'join_authorised_via_users_server'] }),
}

/** spec: rooms/v10.md */
const V10: RoomVersion = {
  ...V9,
  id: '10',
  levels: 'integers',
  joinRules: new Set([...V9.joinRules, 'knock_restricted']),
  rules: V10_RULES,
}

const NO_LONGER_KEPT = new Set(['prev_state', 'origin', 'membership'])
/** spec: rooms/v11.md */
const V11: RoomVersion = {
  ...V10,
  id: '11',
  creator: 'sender',
  redactsInContent: true,
  redaction: {
    topLevel: V10.redaction.topLevel.filter((key) => !NO_LONGER_KEPT.has(key)),
    content: keeping(V10.redaction, {
      'm.room.member': ['membership', 'join_authorised_via_users_server', ['third_party_invite', 'signed']],
      'm.room.create': 'all',
      'm.room.power_levels': [
        'ban',
        'events',
        'events_default',
        'invite',
        'kick',
        'redact',
        'state_default',
        'users',
        'users_default',
      ],
      'm.room.redaction': ['redacts'],
    }).content,
  },
  rules: V11_RULES,
}

/** spec: rooms/v12.md */
const V12: RoomVersion = {
  ...V11,
  id: '12',
  roomIdIsCreateHash: true,
  creatorsAreInfinite: true,
  stateResolution: { by: 'auth', startsEmpty: true, conflictedSubgraph: true },
  rules: V12_RULES,
}

/** The same with other contents kept. */
function keeping(
  { topLevel, content }: RedactionRules,
  changes: Readonly<Record<string, KeptContent>>,
): RedactionRules {
  return { topLevel, content: new Map([...content, ...Object.entries(changes)]) }
}

const VERSIONS: ReadonlyMap<string, RoomVersion> = new Map(
  [V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12].map((version) => [version.id, version]),
)

/** Of rooms that are made without saying which. spec: rooms/_index.md "Feature matrix" */
export const DEFAULT_ROOM_VERSION = '12'

/** The room versions that this node can take part in. */
export const ROOM_VERSIONS: readonly string[] = [...VERSIONS.keys()]

/** The record of a room version, `undefined` for one that is not supported. */
export function roomVersion(id: string): RoomVersion | undefined {
  return VERSIONS.get(id)
}

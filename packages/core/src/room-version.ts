/** Which part of a content survives redaction: everything, or these keys. */
export type KeptContent = 'all' | readonly KeptKey[]
/** A key, or a key inside the object at a key. */
export type KeptKey = string | readonly [outer: string, inner: string]

export type RedactionRules = {
  readonly topLevel: readonly string[]
  /** By event type; the content of every other type is emptied. */
  readonly content: ReadonlyMap<string, KeptContent>
}

/** Number of each top-level rule in the version's list; the numbers inside a rule are the same in all versions. */
export type RuleNumbers = {
  readonly create: number
  readonly room: number
  readonly authEvents: number
  readonly federate: number
  readonly member: number
  readonly senderJoined: number
  readonly thirdPartyInvite: number
  readonly requiredLevel: number
  readonly ownStateKey: number
  readonly powerLevels: number
}

/**
 * Everything in which a room version differs from another, as constants. A version spreads the one it builds on
 * and states its difference; no code asks which version it is in. spec: rooms/_index.md
 */
export type RoomVersion = {
  readonly id: string
  /** The room id is the hash of the create event, which has no `room_id` and is in nobody's `auth_events`. */
  readonly roomIdIsCreateHash: boolean
  /** The create event's sender and `additional_creators` stand above every power level. */
  readonly creatorsAreInfinite: boolean
  /** Where a redaction event names its target: in `content` or at the top level. */
  readonly redactsInContent: boolean
  readonly redaction: RedactionRules
  readonly stateResolution: {
    /** Iterative auth checks start from nothing instead of the unconflicted state. */
    readonly startsEmpty: boolean
    /** The full conflicted set includes the conflicted state subgraph. */
    readonly conflictedSubgraph: boolean
  }
  readonly rules: RuleNumbers
}

/** spec: rooms/v12.md */
const V12: RoomVersion = {
  id: '12',
  roomIdIsCreateHash: true,
  creatorsAreInfinite: true,
  redactsInContent: true,
  // spec: rooms/v11.md "Redactions"
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
      'auth_events',
      'origin_server_ts',
    ],
    content: new Map<string, KeptContent>([
      ['m.room.member', ['membership', 'join_authorised_via_users_server', ['third_party_invite', 'signed']]],
      ['m.room.create', 'all'],
      ['m.room.join_rules', ['join_rule', 'allow']],
      [
        'm.room.power_levels',
        [
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
      ],
      ['m.room.history_visibility', ['history_visibility']],
      ['m.room.redaction', ['redacts']],
    ]),
  },
  stateResolution: { startsEmpty: true, conflictedSubgraph: true },
  rules: {
    create: 1,
    room: 2,
    authEvents: 3,
    federate: 4,
    member: 5,
    senderJoined: 6,
    thirdPartyInvite: 7,
    requiredLevel: 8,
    ownStateKey: 9,
    powerLevels: 10,
  },
}

const VERSIONS: ReadonlyMap<string, RoomVersion> = new Map([[V12.id, V12]])

/** The room versions that this node can take part in. */
export const ROOM_VERSIONS: readonly string[] = [...VERSIONS.keys()]

/** The record of a room version, `undefined` for one that is not supported. */
export function roomVersion(id: string): RoomVersion | undefined {
  return VERSIONS.get(id)
}

/**
 * Versions that exist by the specification, whether this node supports them or not. A create event of another
 * version breaks auth rule 1.3. spec: rooms/_index.md
 */
export const RECOGNISED_VERSIONS: ReadonlySet<string> = new Set([
  '1',
  '2',
  '3',
  '4',
  '5',
  '6',
  '7',
  '8',
  '9',
  '10',
  '11',
  '12',
])

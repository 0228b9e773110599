/** The state events of a new room, in the order of the specification. spec: create_room.yaml */
import type { JsonObject, RoomAlias, RoomVersion, UserId } from '@plexus/core'
import type { CreateRoom } from '@plexus/engine'

type InitialEvent = CreateRoom['initialState'][number]
type Preset = 'private_chat' | 'public_chat' | 'trusted_private_chat'

/** The body of the request, with its defaults. */
export type RoomRequest = {
  readonly visibility: 'public' | 'private'
  readonly preset?: Preset | undefined
  readonly room_alias_name?: string | undefined
  readonly name?: string | undefined
  readonly topic?: string | undefined
  readonly invite: readonly UserId[]
  readonly invite_3pid: readonly JsonObject[]
  readonly room_version?: string | undefined
  readonly creation_content: JsonObject
  readonly initial_state: readonly {
    readonly type: string
    readonly state_key: string
    readonly content: JsonObject
  }[]
  readonly is_direct: boolean
  readonly power_level_content_override: JsonObject
}

const PRESETS: Readonly<Record<Preset, { joinRule: string; guestAccess: string }>> = {
  private_chat: { joinRule: 'invite', guestAccess: 'can_join' },
  trusted_private_chat: { joinRule: 'invite', guestAccess: 'can_join' },
  public_chat: { joinRule: 'public', guestAccess: 'forbidden' },
}

/** What a creator has where creators do not stand above all levels. */
export const CREATOR_LEVEL = 100
/** Above everybody who is no creator. spec: rooms/v12.md */
const CREATORS_ONLY = 150

/**
 * Creators that stand above all levels are not listed, and upgrading a room is theirs alone. To a public room people come
 * by themselves: letting others in is for moderators, as with the reference server.
 */
function defaultPowerLevels(version: RoomVersion, preset: Preset, creators: readonly UserId[]): JsonObject {
  const areListed = !version.creatorsAreInfinite
  return {
    users: areListed ? Object.fromEntries(creators.map((creator) => [creator, CREATOR_LEVEL])) : {},
    users_default: 0,
    events: {
      'm.room.avatar': 50,
      'm.room.canonical_alias': 50,
      'm.room.encryption': 100,
      'm.room.history_visibility': 100,
      'm.room.name': 50,
      'm.room.power_levels': 100,
      'm.room.server_acl': 100,
      'm.room.tombstone': areListed ? CREATOR_LEVEL : CREATORS_ONLY,
    },
    events_default: 0,
    state_default: 50,
    ban: 50,
    kick: 50,
    redact: 50,
    invite: preset === 'public_chat' ? 50 : 0,
    notifications: { room: 50 },
  }
}

export function presetOf({ preset, visibility }: RoomRequest): Preset {
  return preset ?? (visibility === 'public' ? 'public_chat' : 'private_chat')
}

/** Everyone in a trusted private chat has the power of its creator. spec: createRoom, item 3 */
export function trustedPeople(request: RoomRequest): readonly UserId[] {
  return presetOf(request) === 'trusted_private_chat' ? request.invite : []
}

export function initialEvents(
  version: RoomVersion,
  creator: UserId,
  profile: JsonObject,
  request: RoomRequest,
  alias: RoomAlias | undefined,
): readonly InitialEvent[] {
  const { joinRule, guestAccess } = PRESETS[presetOf(request)]
  const asked = request.initial_state.map(({ type, state_key: stateKey, content }) => ({
    type,
    stateKey,
    content,
  }))
  const named = [
    ...(request.name === undefined ? [] : [state('m.room.name', { name: request.name })]),
    ...(request.topic === undefined ? [] : [state('m.room.topic', topicContent(request.topic))]),
  ]
  const preset = [
    state('m.room.join_rules', { join_rule: joinRule }),
    state('m.room.history_visibility', { history_visibility: 'shared' }),
    // Without the event guests are forbidden: whether there is one makes no difference, as with the reference server.
    ...(guestAccess === 'forbidden' ? [] : [state('m.room.guest_access', { guest_access: guestAccess })]),
  ]
  return [
    { type: 'm.room.member', stateKey: creator, content: { ...profile, membership: 'join' } },
    state('m.room.power_levels', {
      ...defaultPowerLevels(version, presetOf(request), [creator, ...trustedPeople(request)]),
      ...request.power_level_content_override,
    }),
    ...(alias === undefined ? [] : [state('m.room.canonical_alias', { alias })]),
    // What is asked for takes precedence over the preset, and `name` and `topic` over both.
    ...preset.filter((event) => !contains(asked, event)),
    ...asked.filter((event) => !contains(named, event)),
    ...named,
  ]
}

function state(type: string, content: JsonObject): InitialEvent {
  return { type, stateKey: '', content }
}

/** spec: data/event-schemas/schema/m.room.topic.yaml */
function topicContent(topic: string): JsonObject {
  return { topic, 'm.topic': { 'm.text': [{ body: topic }] } }
}

function contains(events: readonly InitialEvent[], { type, stateKey }: InitialEvent): boolean {
  return events.some((event) => event.type === type && event.stateKey === stateKey)
}

/** The state that an answer brings of a room. spec: proposals/4186 "Changes to required_state", "Lazy loaded memberships" */
import { memberKey, splitStateKey } from '@plexus/core'
import type { JsonObject, StateKey, StateMap, UserId } from '@plexus/core'
import type { StateDelta } from '../../rooms/types.ts'
import type { Recipient } from '../client-event.ts'
import type { SectionDeps } from '../room-sections.ts'
import type { RoomTimeline } from '../room-timeline.ts'
import { isLazy, wantedState, type CombinedConfig } from './config.ts'
import type { ToldRoom } from './types.ts'

/** Member events of one room that a connection is known to have. Forgetting one costs a redundant event. */
export const MAX_TOLD_MEMBERS = 1_000

type StateQuery = {
  readonly recipient: Recipient
  readonly state: StateMap
  readonly config: CombinedConfig
  readonly timeline: RoomTimeline
  /** Absent when the client knows nothing of the room. */
  readonly told: ToldRoom | undefined
  readonly deltas: readonly StateDelta[]
}

export type StateAnswer = {
  readonly events: readonly JsonObject[]
  readonly members: ReadonlyMap<UserId, string>
}

export async function requiredState(
  { rooms, clientEvents }: Pick<SectionDeps, 'rooms' | 'clientEvents'>,
  query: StateQuery,
): Promise<StateAnswer> {
  const { state, config, told, deltas } = query
  const changed = new Set(deltas.flatMap(({ changes }) => changes.map(({ key }) => key)))
  const wanted = wantedState(config)
  const keys = new Set(
    told === undefined
      ? [...state.keys()].filter(wanted)
      : [...[...changed].filter(wanted), ...newlyWanted(state, config, told)],
  )
  const members = new Map(told?.members)
  for (const userId of neededMembers(query, changed)) {
    const key = memberKey(userId)
    const id = state.get(key)
    if (id !== undefined && members.get(userId) === id && !changed.has(key)) continue
    keys.add(key)
    if (id !== undefined) members.set(userId, id)
  }
  for (const oldest of members.keys()) {
    if (members.size <= MAX_TOLD_MEMBERS) break
    members.delete(oldest)
  }
  const present = [...keys].filter((key) => state.has(key))
  const records = await rooms.stateEvents(state, present)
  const events = await clientEvents.state(query.recipient, records, { roomId: false })
  const gone = [...keys].filter((key) => !state.has(key)).map(stubOf)
  return { events: [...events, ...gone], members }
}

function newlyWanted(state: StateMap, config: CombinedConfig, told: ToldRoom): readonly StateKey[] {
  if (JSON.stringify(config.parts) === JSON.stringify(told.config.parts)) return []
  const [wanted, before] = [wantedState(config), wantedState(told.config)]
  return [...state.keys()].filter((key) => wanted(key) && !before(key))
}

/** Whose member events the client needs for the timeline, or to keep the members that it has. */
function neededMembers(
  { config, timeline, told }: StateQuery,
  changed: ReadonlySet<StateKey>,
): ReadonlySet<UserId> {
  const users = new Set<UserId>()
  if (!isLazy(config)) return users
  for (const { record } of timeline.seen) {
    users.add(record.pdu.sender)
    if (record.pdu.type === 'm.room.member') users.add(record.pdu.state_key as UserId)
  }
  if (told === undefined || timeline.limited) return users
  for (const key of changed) {
    const [type, userId] = splitStateKey(key)
    if (type === 'm.room.member') users.add(userId as UserId)
  }
  return users
}

function stubOf(key: StateKey): JsonObject {
  const [type, ofKey] = splitStateKey(key)
  return { type, state_key: ofKey }
}

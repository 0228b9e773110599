/** The state of a room as other servers are told it, with what authorises it. */
import type { EventId, RoomVersion, StateMap, UserId } from '@plexus/core'
import { judgedBy, memberKey, stateKey } from '@plexus/core'
import { memberOf } from './copy.ts'
import type { EventStore } from './event-store.ts'
import type { EventRecord, ToldState } from './types.ts'

/** Events of one auth chain that are told. */
const MAX_SERVED_AUTH_CHAIN = 200_000
/** Members that a room has to have to be told without them: a smaller one is told whole in one answer as fast. */
export const MIN_OMITTED_MEMBERS = 50
/** Members that stand for the name of a room without one. spec: client-server-api/_index.md `m.heroes` */
const MAX_HEROES = 5

type ToldDeps = { readonly events: EventStore }

/** A state's events and all that authorises them. */
export async function stateWithChain(
  deps: ToldDeps,
  version: RoomVersion,
  state: StateMap,
): Promise<ToldState> {
  const events = await recordsOf(deps, state.values())
  return tell(events, await authChainOf(deps, version, events))
}

export type JoinedRoom = {
  readonly version: RoomVersion
  readonly join: EventRecord
  /** The state before the join. */
  readonly state: StateMap
  readonly joined: readonly UserId[]
}

/**
 * What a server that can do without the members is told of a room that it joins; `undefined` for a room that is told
 * whole. spec: server-server-api.md PUT /v2/send_join `omit_members`
 */
export async function stateWithoutMembers(
  deps: ToldDeps,
  { version, join, state, joined }: JoinedRoom,
): Promise<ToldState | undefined> {
  const kept: EventId[] = []
  let omitted = 0
  for (const [key, id] of state) {
    if (memberOf(key) === undefined) kept.push(id)
    else omitted += 1
  }
  if (omitted < MIN_OMITTED_MEMBERS) return undefined
  const isNamed = state.has(stateKey('m.room.name', '')) || state.has(stateKey('m.room.canonical_alias', ''))
  const heroes = isNamed ? [] : heroesOf(joined, join.pdu.sender)
  const told = await recordsOf(deps, [...kept, ...heroes.flatMap((user) => state.get(memberKey(user)) ?? [])])
  return withoutRepeats(told, await authChainOf(deps, version, [...told, join]))
}

/** As `stateWithChain`, with no event told twice. */
export async function stateWithShortChain(
  deps: ToldDeps,
  version: RoomVersion,
  state: StateMap,
): Promise<ToldState> {
  const events = await recordsOf(deps, state.values())
  return withoutRepeats(events, await authChainOf(deps, version, events))
}

function heroesOf(joined: readonly UserId[], reader: UserId): readonly UserId[] {
  return joined
    .slice(0, MAX_HEROES + 1)
    .filter((user) => user !== reader)
    .slice(0, MAX_HEROES)
}

async function recordsOf({ events }: ToldDeps, ids: Iterable<EventId>): Promise<readonly EventRecord[]> {
  return (await events.getMany([...ids])).filter((record) => record !== undefined)
}

async function authChainOf(
  deps: ToldDeps,
  version: RoomVersion,
  events: readonly EventRecord[],
): Promise<readonly EventRecord[]> {
  const chain = new Map<EventId, EventRecord>()
  const neededBy = ({ pdu }: EventRecord): readonly EventId[] => judgedBy(version, pdu)
  let level = new Set(events.flatMap(neededBy))
  while (level.size > 0 && chain.size < MAX_SERVED_AUTH_CHAIN) {
    const records = await recordsOf(deps, level)
    for (const record of records) chain.set(record.id, record)
    level = new Set(records.flatMap(neededBy).filter((id) => !chain.has(id)))
  }
  return [...chain.values()]
}

function tell(state: readonly EventRecord[], chain: readonly EventRecord[]): ToldState {
  return {
    state: state.map(({ pdu }) => pdu),
    stateIds: state.map(({ id }) => id),
    authChain: chain.map(({ pdu }) => pdu),
    authChainIds: chain.map(({ id }) => id),
  }
}

function withoutRepeats(state: readonly EventRecord[], chain: readonly EventRecord[]): ToldState {
  const told = new Set(state.map(({ id }) => id))
  return tell(
    state,
    chain.filter(({ id }) => !told.has(id)),
  )
}

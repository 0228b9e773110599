/**
 * What other members tell of the state at this node's join. The resident server could leave out a ban or give an old
 * state, and nothing that follows the join would ever show it: all states after it are made of that one. DESIGN section 4
 */
import type { AuthState, EventId, RoomVersion, ServerName, StateMap, UserId } from '@plexus/core'
import {
  changeState,
  CREATE_KEY,
  createIdOf,
  creatorsOf,
  isJsonObject,
  memberKey,
  ownValue,
  POWER_LEVELS_KEY,
  serverOf,
  userPowerLevel,
} from '@plexus/core'
import { withinTime } from '../kernel/within-time.ts'
import type { Log } from '../ports.ts'
import { toldState } from './claims.ts'
import { memberOf, membershipOf } from './copy.ts'
import type { EventStore } from './event-store.ts'
import type { GapDeps } from './gap.ts'
import { resolveStates } from './present.ts'
import type { Room } from './room.ts'
import type { CheckedEvent } from './verify.ts'
import { fetchWholeCopies } from './whole-copies.ts'

/** Members asked, one after the other, until one answers. */
export const MAX_SECOND_MEMBERS = 3
/** How long a join waits for them together. */
export const SECOND_MEMBER_MS = 5_000

export type SecondMemberDeps = GapDeps & { readonly ownName: ServerName; readonly log: Log }

export type Entry = {
  readonly room: Room
  /** Who told the state. */
  readonly server: ServerName
  readonly join: CheckedEvent
  /** Servers that the room was found by: a resident server may not tell of anybody else. */
  readonly via: readonly ServerName[]
  /** How long they are waited for; `SECOND_MEMBER_MS` if absent. */
  readonly waitMs?: number
  /** That server has it from one other alone: its word counts only while nobody else tells anything. */
  readonly isUnconfirmed?: true
}

export type Compared = {
  readonly state: StateMap
  /** Set where no two told the same, and others may know. */
  readonly unconfirmed?: {
    readonly words: ReadonlyMap<ServerName, StateMap>
    readonly others: readonly ServerName[]
  }
}

/**
 * The state before the join by the word of several: what two of them tell alike, or else all that they tell, resolved.
 * Where nobody answers in time it is what the resident server told. The events of `told` are committed.
 */
export async function comparedState(deps: SecondMemberDeps, entry: Entry, told: StateMap): Promise<Compared> {
  const { room, server, waitMs = SECOND_MEMBER_MS } = entry
  const words = new Map(entry.isUnconfirmed === true ? [] : [[server, told]])
  const agreed = await withinTime(deps, waitMs, askOthers(deps, { ...entry, waitMs }, told, words))
  // Who answers later is asked again.
  const heard = new Map(words)
  const state = agreed ?? (heard.size === 0 ? told : await standing(deps, room, heard))
  if (state !== told)
    deps.log.log('warn', 'other members tell another state', { roomId: room.roomId, server })
  const others = agreed === undefined ? await othersIn(deps, entry, [told, ...heard.values()]) : []
  const open = others.filter((name) => !heard.has(name))
  return open.length === 0 ? { state } : { state, unconfirmed: { words: heard, others: open } }
}

/**
 * What counts where no two tell the same: all that is told, resolved. What one leaves out falls out there where the present
 * rules would not let it in again, such as the members of a room that was public: of that, what those tell stays whose
 * users have more power in the room than those of the others.
 */
export async function standing(
  { events }: Pick<SecondMemberDeps, 'events'>,
  { version }: Room,
  words: ReadonlyMap<ServerName, StateMap>,
): Promise<StateMap> {
  const resolved = await resolveWords(events, version, [...words.values()])
  const powers = await powersIn(events, version, resolved)
  const top = Math.max(...[...words.keys()].map(powers))
  const strongest = [...words].filter(([server]) => powers(server) === top).map(([, state]) => state)
  if (strongest.length === words.size) return resolved
  const told = await resolveWords(events, version, strongest)
  return changeState(resolved, new Map([...told].filter(([key]) => !resolved.has(key))))
}

async function resolveWords(
  events: EventStore,
  version: RoomVersion,
  states: readonly StateMap[],
): Promise<StateMap> {
  const [first] = states
  return states.length === 1 && first !== undefined ? first : resolveStates(version, states, events.view())
}

/** The greatest power that a state gives to a user of a server who is not known to be gone. */
async function powersIn(
  events: EventStore,
  version: RoomVersion,
  state: StateMap,
): Promise<(server: ServerName) => number> {
  const ids = [CREATE_KEY, POWER_LEVELS_KEY].flatMap((key) => state.get(key) ?? [])
  const pdus = (await events.working(ids)).flatMap((record) => record?.pdu ?? [])
  const create = pdus.find(({ type }) => type === 'm.room.create')
  const levels = pdus.find(({ type }) => type === 'm.room.power_levels')
  if (create === undefined) return () => 0
  const auth: AuthState = { create, get: (key) => (key === POWER_LEVELS_KEY ? levels : undefined) }
  const listed = ownValue(levels?.content ?? {}, 'users')
  const users = [...creatorsOf(create), ...Object.keys(isJsonObject(listed) ? listed : {})]
  const members = await events.working(users.flatMap((user) => state.get(memberKey(user as UserId)) ?? []))
  const gone = members.flatMap((record) =>
    membershipOf(record?.pdu) === 'join' ? [] : record?.pdu.state_key,
  )
  const powers = new Map<string, number>()
  for (const user of users.filter((each) => !gone.includes(each))) {
    const server = user.slice(user.indexOf(':') + 1)
    const power = userPowerLevel(version, auth, user)
    powers.set(server, Math.max(power, powers.get(server) ?? -Infinity))
  }
  const byDefault = userPowerLevel(version, auth, '')
  return (server) => Math.max(powers.get(server) ?? byDefault, byDefault)
}

/** Adds what others tell to the words, until two of these are the same: that one is the answer. */
async function askOthers(
  deps: SecondMemberDeps,
  entry: Entry & { readonly waitMs: number },
  told: StateMap,
  words: Map<ServerName, StateMap>,
): Promise<StateMap | undefined> {
  const { room, waitMs } = entry
  const deadline = deps.clock.now() + waitMs
  const asked = new Set([entry.server])
  while (asked.size <= MAX_SECOND_MEMBERS && deps.clock.now() < deadline) {
    const server = await nextToAsk(deps, entry, [told, ...words.values()], asked)
    if (server === undefined) return undefined
    asked.add(server)
    try {
      const state = await wordOf(deps, entry, server, deadline)
      const same = [...words.values()].find((claim) => isSame(claim, state))
      if (same !== undefined) return same
      words.set(server, state)
    } catch (error) {
      const fields = { roomId: room.roomId, server, error: String(error) }
      deps.log.log('debug', 'another member was asked in vain', fields)
    }
  }
  return undefined
}

/** The state before the join as a server tells it; its events are committed. */
export async function wordOf(
  deps: SecondMemberDeps,
  { room, join }: Pick<Entry, 'room' | 'join'>,
  server: ServerName,
  deadline: number,
): Promise<StateMap> {
  // Only who has a member in the room is told its state: the join goes first.
  const transaction = { txnId: `join-${join.id}`, pdus: [join.pdu], edus: [] }
  await deps.federation.sendTransaction(server, transaction, { timeoutMs: SECOND_MEMBER_MS })
  const inquiry = { roomId: room.roomId, version: room.version, server, deadline, isWitness: true } as const
  // Without the events that cannot be had, as what the resident server told: their servers may be gone with their keys.
  const { state } = await toldState(deps, inquiry, join.id)
  if (!state.has(CREATE_KEY)) throw new Error(`${server} tells a state without its create event`)
  await fetchWholeCopies(deps, room, inquiry, state.values())
  return state
}

/** Somebody else each time, since any may be away, or a friend of the resident server. */
async function nextToAsk(
  deps: SecondMemberDeps,
  entry: Entry,
  states: readonly StateMap[],
  asked: ReadonlySet<ServerName>,
): Promise<ServerName | undefined> {
  const open = (await othersIn(deps, entry, states)).filter((server) => !asked.has(server))
  return (
    entry.via.find((server) => open.includes(server)) ?? open[deps.clock.now() % Math.max(open.length, 1)]
  )
}

/**
 * Those that may know the state: who is in the room by what was told, with some that no lie can leave out, its creator's
 * server, those of an earlier stay, and those that the room was found by.
 */
export async function othersIn(
  { events, ownName }: SecondMemberDeps,
  { room, join, via }: Entry,
  states: readonly StateMap[],
): Promise<readonly ServerName[]> {
  const ids = states.flatMap((state) =>
    [...state].flatMap(([key, id]) => (key === CREATE_KEY || memberOf(key) !== undefined ? id : [])),
  )
  const createId = createIdOf(room.version, join.pdu)
  const servers = new Set([...via, ...(room.snapshot?.joinedServers ?? [])])
  for (const record of await events.working(createId === undefined ? ids : [createId, ...ids])) {
    if (record?.pdu.type === 'm.room.create') servers.add(serverOf(record.pdu.sender))
    else if (membershipOf(record?.pdu) === 'join') servers.add(serverOf(record?.pdu.state_key as UserId))
  }
  servers.delete(ownName)
  return [...servers].toSorted()
}

function isSame(one: StateMap, other: ReadonlyMap<string, EventId>): boolean {
  return one.size === other.size && [...one].every(([key, id]) => other.get(key) === id)
}

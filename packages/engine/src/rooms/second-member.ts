/**
 * What other members tell of the state at this node's join. The resident server could leave out a ban or give an old
 * state, and nothing that follows the join would ever show it: all states after it are made of that one. DESIGN section 4
 */
import type { EventId, ServerName, StateMap } from '@plexus/core'
import { CREATE_KEY, createIdOf, serverOf } from '@plexus/core'
import type { UserId } from '@plexus/core'
import { withinTime } from '../kernel/within-time.ts'
import type { Log } from '../ports.ts'
import { claimedState } from './claims.ts'
import { memberOf, membershipOf } from './copy.ts'
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
}

/**
 * The state before the join by the word of several: what two of them tell alike, or else all that they tell, resolved.
 * Where nobody answers in time it is what the resident server told. The events of `told` are committed.
 */
export async function comparedState(deps: SecondMemberDeps, entry: Entry, told: StateMap): Promise<StateMap> {
  const { server } = entry
  const { version, roomId } = entry.room
  const claims = [told]
  const { waitMs = SECOND_MEMBER_MS } = entry
  const agreed = await withinTime(deps, waitMs, askOthers(deps, { ...entry, waitMs }, claims))
  const state =
    agreed ?? (claims.length === 1 ? told : await resolveStates(version, claims, deps.events.view()))
  if (state !== told) deps.log.log('warn', 'other members tell another state', { roomId, server })
  return state
}

/** Adds what others tell to the claims, until two of these are the same: that one is the answer. */
async function askOthers(
  deps: SecondMemberDeps,
  entry: Entry & { readonly waitMs: number },
  claims: StateMap[],
): Promise<StateMap | undefined> {
  const { join, waitMs } = entry
  const { roomId, version } = entry.room
  const deadline = deps.clock.now() + waitMs
  const asked = new Set([entry.server])
  while (asked.size <= MAX_SECOND_MEMBERS && deps.clock.now() < deadline) {
    const server = await nextToAsk(deps, entry, claims, asked)
    if (server === undefined) return undefined
    asked.add(server)
    try {
      // Only who has a member in the room is told its state: the join goes first.
      const options = { timeoutMs: SECOND_MEMBER_MS }
      const transaction = { txnId: `join-${join.id}`, pdus: [join.pdu], edus: [] }
      await deps.federation.sendTransaction(server, transaction, options)
      const inquiry = { roomId, version, server, deadline }
      const state = await claimedState(deps, inquiry, join.id)
      await fetchWholeCopies(deps, entry.room, inquiry, state.values())
      const same = claims.find((claim) => isSame(claim, state))
      if (same !== undefined) return same
      claims.push(state)
    } catch (error) {
      deps.log.log('debug', 'another member was asked in vain', { roomId, server, error: String(error) })
    }
  }
  return undefined
}

/**
 * Somebody else each time, since any may be away, or a friend of the resident server: of those that are in the room by
 * what was told, with two that no lie can leave out, its creator's server and those of an earlier stay.
 */
async function nextToAsk(
  { events, clock, ownName }: SecondMemberDeps,
  { room, join, via }: Entry,
  claims: readonly StateMap[],
  asked: ReadonlySet<ServerName>,
): Promise<ServerName | undefined> {
  const ids = claims.flatMap((state) =>
    [...state].flatMap(([key, id]) => (key === CREATE_KEY || memberOf(key) !== undefined ? id : [])),
  )
  const createId = createIdOf(room.version, join.pdu)
  const servers = new Set(room.snapshot?.joinedServers)
  for (const record of await events.working(createId === undefined ? ids : [createId, ...ids])) {
    if (record?.pdu.type === 'm.room.create') servers.add(serverOf(record.pdu.sender))
    else if (membershipOf(record?.pdu) === 'join') servers.add(serverOf(record?.pdu.state_key as UserId))
  }
  const isOpen = (server: ServerName): boolean => server !== ownName && !asked.has(server)
  const open = [...servers].filter(isOpen).toSorted()
  return via.find(isOpen) ?? open[clock.now() % Math.max(open.length, 1)]
}

function isSame(one: StateMap, other: ReadonlyMap<string, EventId>): boolean {
  return one.size === other.size && [...one].every(([key, id]) => other.get(key) === id)
}

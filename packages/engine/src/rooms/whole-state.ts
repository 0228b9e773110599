/** The state that a room was entered without: as its members tell it, and checked as any claim. DESIGN section 4 */
import type { ServerName } from '@plexus/core'
import { claimGroup, toldState, type ToldClaim } from './claims.ts'
import type { Inquiry } from './gap.ts'
import type { PartialRecord, Unconfirmed } from './records.ts'
import type { Room } from './room.ts'
import { unconfirmedOf } from './second-look.ts'
import { comparedState, type SecondMemberDeps } from './second-member.ts'
import type { StateGroup } from './state-groups.ts'

/** How long one server may take to tell a state: its events may have to be fetched one by one. */
const MAX_TELLING_MS = 900_000
/** Servers asked for the state in one attempt. */
export const MAX_TELLING_SERVERS = 4
/** How long the others are waited for, with which the state is compared. */
const COMPARING_MS = 30_000

export type Whole = {
  readonly whole: StateGroup
  /** Set where no two told the same. */
  readonly doubt?: Unconfirmed
}

/**
 * The state before the join by which the room was entered. `tries` counts the attempts before: others are asked each
 * time. @throws when nobody tells it.
 */
export async function fetchWholeState(
  deps: SecondMemberDeps,
  room: Room,
  partial: PartialRecord,
  tries: number,
): Promise<Whole> {
  const { roomId, version } = room
  const [join] = await deps.events.working([partial.join])
  if (join === undefined) throw new Error('the own join is missing')
  const servers = serversFor(deps, room, partial, tries)
  let last: unknown = new Error('no server of the room is known')
  for (const server of servers) {
    try {
      const deadline = deps.clock.now() + MAX_TELLING_MS
      const { state: told, ...doubt } = await stateBy(deps, { roomId, version, server, deadline }, partial)
      const via = servers.filter((name) => name !== server)
      const event = { id: join.id, pdu: join.pdu, contentHashOk: true }
      const entry = { room, server, join: event, via, waitMs: COMPARING_MS, ...doubt }
      const { state, unconfirmed } = await comparedState(deps, entry, told)
      const { group: whole, writes } = claimGroup(deps, state)
      const open = unconfirmed && unconfirmedOf(deps, unconfirmed)
      await deps.committer.submit({ writes: () => [...writes, ...(open?.writes ?? [])] })
      return open === undefined ? { whole } : { whole, doubt: open.unconfirmed }
    } catch (error) {
      last = error
      const fields = { roomId, server, error: String(error) }
      deps.log.log('info', 'a server does not tell the members of a room', fields)
    }
  }
  throw last
}

/** Without the events of it that cannot be had or are not valid, as with the state that comes with a join. */
async function stateBy(
  deps: SecondMemberDeps,
  inquiry: Inquiry,
  { join }: PartialRecord,
): Promise<Omit<ToldClaim, 'lacking'>> {
  const { lacking, ...told } = await toldState(deps, inquiry, join)
  if (lacking > 0) {
    const { roomId, server } = inquiry
    deps.log.log('warn', 'events of a state were dropped', { roomId, server, count: lacking })
  }
  return told
}

/** The one that told of the room first, which surely has its state; of the others each gets asked in time. */
function serversFor(
  { ownName }: SecondMemberDeps,
  { snapshot }: Room,
  { resident }: PartialRecord,
  tries: number,
): readonly ServerName[] {
  const others = (snapshot?.joinedServers ?? []).filter((name) => name !== ownName && name !== resident)
  const start = others.length === 0 ? 0 : (tries * (MAX_TELLING_SERVERS - 1)) % others.length
  return [resident, ...others.slice(start), ...others.slice(0, start)].slice(0, MAX_TELLING_SERVERS)
}

/** Deciding one staged event, and fetching and deciding what lies before it. */
import type { EventId, ServerName } from '@plexus/core'
import { serverOf } from '@plexus/core'
import type { Lru } from '../kernel/lru.ts'
import type { Log } from '../ports.ts'
import { fillGap } from './gap-fill.ts'
import type { GapDeps } from './gap.ts'
import { staged } from './records.ts'
import type { EventInput, Outcome, Room } from './room.ts'
import type { StateGroup } from './state-groups.ts'
import type { CheckedEvent } from './verify.ts'

/** Members asked for the missing part, one after the other, before a pause. */
export const MAX_GAP_SERVERS = 3
/** Members whose claims must agree that an event is to be rejected, unless its own server says so. */
export const MIN_REJECTING_CLAIMS = 2

export type StagedEntry = {
  /** The place in staging. */
  readonly seq: number
  readonly origin: ServerName
  /** When it was staged. */
  readonly at: number
  event: CheckedEvent
  /** Nothing was known of it when it came. */
  isNew: boolean
  /** What it waits for; empty while it can be decided. */
  missing: Set<EventId>
  /** How often its gap was tried. */
  tries: number
}

export type StagedDeps = GapDeps & {
  readonly ownName: ServerName
  readonly log: Log
  /** Whose claims would have an event rejected. */
  readonly doubts: Lru<EventId, ReadonlySet<ServerName>>
}

type Claim = { readonly state: StateGroup; readonly by: ServerName }

/** Decides an entry, which leaves staging in the same commit. Answers with what it misses, nothing when decided. */
export async function decideStaged(
  deps: StagedDeps,
  room: Room,
  entry: StagedEntry,
  claim?: Claim,
): Promise<readonly EventId[]> {
  const { event, isNew, origin } = entry
  const unstage = staged.delete([room.roomId, entry.seq])
  const outcome = await decideOne(deps, room, { ...event, isNew, writes: [unstage] }, claim)
  if (outcome === 'doubtful') return [...entry.missing]
  if (outcome.kind === 'missing') return outcome.events
  if (outcome.kind !== 'accept' && outcome.kind !== 'known') {
    const { kind, why } = outcome
    deps.log.log('warn', `an event was not accepted: ${kind}`, { eventId: event.id, origin, why })
  }
  return []
}

async function decideOne(
  deps: StagedDeps,
  room: Room,
  event: EventInput,
  claim: Claim | undefined,
): Promise<Outcome | 'doubtful'> {
  return room.run(async (turn) => {
    // What others follow already is history: it comes when somebody reads back to it.
    const isBehind = turn.copy?.backward.includes(event.id) === true
    const outcome: Outcome = isBehind
      ? { kind: 'known', change: undefined }
      : await turn.decide({ ...event, ...(claim === undefined ? {} : { claim: claim.state }) })
    if (outcome.kind === 'missing') return outcome
    if (outcome.kind === 'reject' && outcome.doubtful === true && !isConfirmed(deps, event, claim))
      return 'doubtful'
    const { writes = [] } = event
    if (outcome.change !== undefined || writes.length > 0) {
      // A failed commit is told to the committer's failure listeners, which start over from staging.
      turn
        .submit(outcome.change ?? { writes: () => writes })
        .catch((error: unknown) =>
          deps.log.log('error', 'a decided event was not committed', { error: String(error) }),
        )
    }
    return outcome
  })
}

/** A rejection lasts, and one member's claim may be a lie: the event's own server or two members must agree. */
function isConfirmed({ doubts }: StagedDeps, event: CheckedEvent, claim: Claim | undefined): boolean {
  if (claim === undefined || serverOf(event.pdu.sender) === claim.by) return true
  const by = new Set([...(doubts.get(event.id) ?? []), claim.by])
  doubts.set(event.id, by)
  return by.size >= MIN_REJECTING_CLAIMS
}

export type Unblocked = { readonly missing: readonly EventId[]; readonly progress: boolean }

/** Fetches and decides what lies before an entry, then the entry. */
export async function unblock(deps: StagedDeps, room: Room, entry: StagedEntry): Promise<Unblocked> {
  let missing: readonly EventId[] = [...entry.missing]
  let progress = false
  entry.tries += 1
  for (const server of serversFor(deps, room, entry)) {
    try {
      const { heads, backward } = await room.run(async ({ copy }) => ({
        heads: copy?.heads ?? [],
        backward: copy?.backward ?? [],
      }))
      const { roomId, version } = room
      const { event } = entry
      const filled = await fillGap(deps, { roomId, version, heads, backward, event, server })
      const claimOf = (id: EventId): Claim | undefined => {
        const state = filled.claims.get(id)
        return state === undefined ? undefined : { state, by: server }
      }
      for (const fetched of filled.events) {
        const outcome = await decideOne(deps, room, fetched, claimOf(fetched.id))
        progress ||= outcome !== 'doubtful' && outcome.change !== undefined
      }
      missing = await decideStaged(deps, room, entry, claimOf(entry.event.id))
      if (missing.length === 0) return { missing, progress: true }
    } catch (error) {
      if (room.void) throw error
      deps.log.log('info', 'a member did not fill a gap', {
        roomId: room.roomId,
        server,
        error: String(error),
      })
    }
  }
  return { missing, progress }
}

/** Who sent the event and who made it know most; of the others each gets asked in time. */
function serversFor(
  deps: StagedDeps,
  room: Room,
  { origin, event, tries }: StagedEntry,
): readonly ServerName[] {
  const others = room.snapshot?.joinedServers ?? []
  const start = others.length === 0 ? 0 : tries % others.length
  const rotated = [...others.slice(start), ...others.slice(0, start)]
  const all = new Set([origin, serverOf(event.pdu.sender), ...rotated])
  all.delete(deps.ownName)
  return [...all].slice(0, MAX_GAP_SERVERS)
}

/** Deciding staged events, and fetching and deciding what lies before it. */
import type { EventId, ServerName } from '@plexus/core'
import { serverOf } from '@plexus/core'
import { isBareName } from '@plexus/core/names'
import type { Change } from '../kernel/committer.ts'
import { combineChanges } from '../kernel/committer.ts'
import type { Write } from '../ports.ts'
import { claimGroup } from './claims.ts'
import { toRecord } from './copy.ts'
import { fetchGap, MAX_GAP_CLAIMS, type FetchedGap } from './gap-fill.ts'
import { MAX_GAP_MS, type Ahead } from './gap.ts'
import { judgeOutliers, outlierWrites } from './outliers.ts'
import { recommendAll } from './policy.ts'
import { rooms, staged } from './records.ts'
import type { Claim, EventInput, Outcome, Room, Turn } from './room.ts'
import type { CheckedEvent } from './verify.ts'
import { hearWord, standingState, type WordsDeps } from './words.ts'

/** Members asked for the missing part, one after the other, before a pause. */
export const MAX_GAP_SERVERS = 3

/** Enough to tell whether any but one server is there. */
const MAX_ANSWERED = 2

/** Events dated later than this wait where stock servers can be, which would drop them. DESIGN section 5 "Time" */
export const MAX_DATED_AHEAD_MS = 604_800_000

/** An event is decided before it is answered only if those before it took no longer than this together. */
export const MAX_DECIDING_BEFORE_ANSWER_MS = 50

export type StagedEntry = {
  /** The place in staging, 0 while it has none. */
  readonly seq: number
  /** Who brought it: the event's own server, if it did too. */
  origin: ServerName
  /** When it was staged. */
  readonly at: number
  event: CheckedEvent
  /** JSON text, in UTF-16 code units. */
  length: number
  /** Nothing was known of it when it came. */
  isNew: boolean
  /** What it waits for; empty while it can be decided. */
  missing: Set<EventId>
  /** How often its gap was tried by this process. */
  tries: number
  /** When a server was first heard about it, and after how many tries. */
  heardFirst: { readonly at: number; readonly tries: number } | undefined
  /** Servers that were heard about it, `MAX_ANSWERED` at most. */
  readonly answered: Set<ServerName>
}

export type StagedDeps = WordsDeps & { readonly ahead: Ahead }

/**
 * How far ahead events of a room may be dated before they wait. Without stock servers none waits: a clock that was wrong for a day
 * would shut its server out of the room for as long as it was ahead.
 */
export function maxAheadMs({ ownName }: Pick<StagedDeps, 'ownName'>, room: Room): number {
  const servers = [ownName, ...(room.snapshot?.joinedServers ?? [])]
  return servers.some(isBareName) ? Infinity : MAX_DATED_AHEAD_MS
}

function isDatedAhead(deps: StagedDeps, room: Room, { pdu }: CheckedEvent): boolean {
  const aheadMs = pdu.origin_server_ts - deps.clock.now()
  // Who is in the room is looked at for the few that are.
  return aheadMs > MAX_DATED_AHEAD_MS && aheadMs > maxAheadMs(deps, room)
}

/** What became of an entry: what it misses, nothing when it is decided, or a fault. */
export type StagedOutcome = readonly EventId[] | Error

/** Decides entries in order, as one commit, in which those that are decided leave staging. */
export async function decideStaged(
  deps: StagedDeps,
  room: Room,
  entries: readonly StagedEntry[],
): Promise<ReadonlyMap<StagedEntry, StagedOutcome>> {
  return room.run(async (turn) => {
    const { outcomes, changes } = await decideAll(deps, room, turn, entries)
    if (changes.length > 0) submit(deps, turn, combineChanges(changes))
    return outcomes
  })
}

/**
 * Decides in order what has no place in staging yet; `left` are those that must get one, since they miss something or
 * because the sender has waited for long enough.
 */
export async function decideArriving(
  deps: StagedDeps,
  room: Room,
  turn: Turn,
  entries: readonly StagedEntry[],
): Promise<{ readonly left: readonly StagedEntry[]; readonly changes: readonly Change[] }> {
  const due = entries.filter(({ event }) => !isDatedAhead(deps, room, event))
  const until = deps.clock.now() + MAX_DECIDING_BEFORE_ANSWER_MS
  const { outcomes, changes } = await decideAll(deps, room, turn, due, until)
  const isDecided = (outcome: StagedOutcome | undefined): boolean =>
    outcome !== undefined && !(outcome instanceof Error) && outcome.length === 0
  return { left: entries.filter((entry) => !isDecided(outcomes.get(entry))), changes }
}

/** Those that it does not come to until then have no outcome. */
async function decideAll(
  deps: StagedDeps,
  room: Room,
  turn: Turn,
  entries: readonly StagedEntry[],
  until = Infinity,
): Promise<{ readonly outcomes: Map<StagedEntry, StagedOutcome>; readonly changes: Change[] }> {
  const outcomes = new Map<StagedEntry, StagedOutcome>()
  const changes: Change[] = []
  for (const entry of entries) {
    if (deps.clock.now() > until) break
    try {
      const { outcome, change } = await decideEntry(deps, turn, room, entry, undefined)
      outcomes.set(entry, missingOf(deps, entry, outcome))
      if (change !== undefined) changes.push(change)
    } catch (error) {
      if (room.void) throw error
      outcomes.set(entry, error instanceof Error ? error : new Error(String(error)))
    }
  }
  return { outcomes, changes }
}

/** Decides an entry by what another member tells of the state before it. */
async function decideByClaim(
  deps: StagedDeps,
  room: Room,
  since: number,
  entry: StagedEntry,
  claim: Claim | undefined,
): Promise<readonly EventId[]> {
  return room.run(async (turn) => {
    checkStay(room, since)
    const { outcome, change } = await decideEntry(deps, turn, room, entry, claim)
    if (change !== undefined) submit(deps, turn, change)
    return missingOf(deps, entry, outcome)
  })
}

/** With a change for everything but what misses something: an entry that was decided before leaves staging too. */
async function decideEntry(
  deps: StagedDeps,
  turn: Turn,
  room: Room,
  { event, origin, isNew, seq }: StagedEntry,
  claim: Claim | undefined,
): Promise<{ outcome: Outcome; change: Change | undefined }> {
  const unstage = seq === 0 ? [] : [staged.delete([room.roomId, seq])]
  if (isKnownHistory(turn, event.id)) {
    const keep = await historyWrites(deps, room, event)
    const change = { writes: (position: number) => [...keep(position), ...unstage] }
    return { outcome: { kind: 'known', change: undefined }, change }
  }
  const outcome = await decideIn(turn, { ...event, from: origin, isNew, writes: unstage }, claim)
  const change = outcome.kind === 'missing' ? undefined : (outcome.change ?? { writes: () => unstage })
  return { outcome, change }
}

async function decideIn(turn: Turn, event: EventInput, claim: Claim | undefined): Promise<Outcome> {
  if (isKnownHistory(turn, event.id)) return { kind: 'known', change: undefined }
  if (claim === undefined) return turn.decide(event)
  return turn.decide({ ...event, claim, writes: [...(event.writes ?? []), ...(claim.stateWrites ?? [])] })
}

/** What this node's join follows: it is shown when somebody reads back to it. */
function isKnownHistory({ copy }: Turn, id: EventId): boolean {
  return copy?.backward.includes(id) === true
}

/** The writes that keep an event of which no more is known than that it is history: it was acknowledged. */
async function historyWrites(
  deps: StagedDeps,
  { roomId, version }: Room,
  event: CheckedEvent,
): Promise<(position: number) => readonly Write[]> {
  const input = { version, roomId, receivedAt: deps.clock.now(), basis: 'partial' as const }
  const records = await judgeOutliers(deps.events, input, [event])
  return (position) => outlierWrites(deps.events, records, position)
}

function missingOf(deps: StagedDeps, { event, origin }: StagedEntry, outcome: Outcome): readonly EventId[] {
  if (outcome.kind === 'missing') return outcome.events
  if (outcome.kind !== 'accept' && outcome.kind !== 'known') {
    const { kind, why } = outcome
    deps.log.log('warn', `an event was not accepted: ${kind}`, { eventId: event.id, origin, why })
  }
  return []
}

/** A failed commit is told to the committer's failure listeners, which start over from staging. */
function submit(deps: StagedDeps, turn: Turn, change: Change): void {
  turn
    .submit(change)
    .catch((error: unknown) =>
      deps.log.log('error', 'a decided event was not committed', { error: String(error) }),
    )
}

/** What was fetched for one stay says nothing in another. @throws when this node came back to the room meanwhile. */
function checkStay(room: Room, since: number): void {
  if (room.since !== since) throw new Error('the room was entered anew meanwhile')
}

/** Decides an event that was fetched. True when that is new. */
async function decideFetched(
  deps: StagedDeps,
  room: Room,
  since: number,
  event: CheckedEvent,
  claim: Claim | undefined,
): Promise<boolean> {
  return room.run(async (turn) => {
    checkStay(room, since)
    const outcome = await decideIn(turn, event, claim)
    if (outcome.change === undefined) return false
    submit(deps, turn, outcome.change)
    return true
  })
}

export type Unblocked = { readonly missing: readonly EventId[]; readonly progress: boolean }

/** Fetches and decides what lies before an entry, then the entry; `waiting` are others that miss something. */
export async function unblock(
  deps: StagedDeps,
  room: Room,
  entry: StagedEntry,
  waiting: readonly CheckedEvent[],
): Promise<Unblocked> {
  let missing: readonly EventId[] = [...entry.missing]
  let progress = false
  entry.tries += 1
  for (const server of serversFor(deps, room, entry)) {
    try {
      const known = await room.run(async ({ copy }) => ({
        heads: copy?.heads ?? [],
        backward: copy?.backward ?? [],
        since: copy?.since ?? 0,
      }))
      const { since } = known
      const { roomId, version } = room
      const { event } = entry
      const next = { events: waiting, ahead: deps.ahead }
      const gap = await fetchGap(deps, { roomId, version, ...known, event, server, next })
      if (gap === undefined) {
        await leaveStaging(deps, room, entry)
        return { missing: [], progress: false }
      }
      const claims = await claimsFor(deps, room, entry, server, gap)
      for (const fetched of await recommendAll(deps, room, gap.events)) {
        // It waits as if it had been sent, and the entry with it.
        if (isDatedAhead(deps, room, fetched)) throw new Error('an event of the gap is dated ahead')
        if (!(await decideFetched(deps, room, since, fetched, claims.get(fetched.id)))) continue
        deps.words.forget(fetched.id)
        progress = true
      }
      missing = await decideByClaim(deps, room, since, entry, claims.get(event.id))
      if (missing.length > 0) continue
      deps.words.forget(event.id)
      return { missing, progress: true }
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

/** Hears what the server says of the states before the lowest events of a gap: those that stand now. */
async function claimsFor(
  deps: StagedDeps,
  room: Room,
  entry: StagedEntry,
  server: ServerName,
  { lowest, history }: FetchedGap,
): Promise<ReadonlyMap<EventId, Claim>> {
  const { roomId, version } = room
  const { answered } = entry
  const deadline = deps.clock.now() + MAX_GAP_MS
  const claims = new Map<EventId, Claim>()
  for (const event of lowest.slice(0, MAX_GAP_CLAIMS)) {
    await hearWord(deps, { roomId, version, server, deadline }, event.id)
    if (answered.size < MAX_ANSWERED) answered.add(server)
    const { at, tries } = (entry.heardFirst ??= { at: deps.clock.now(), tries: entry.tries })
    const servers = room.snapshot?.joinedServers ?? []
    const asked = { waitedMs: deps.clock.now() - at, triesSince: entry.tries - tries }
    const state = await standingState(deps, { version, event, servers, answered, ...asked })
    if (state === undefined) continue
    const { group, writes } = claimGroup(deps, state)
    claims.set(event.id, { state: group, stateWrites: writes, history })
  }
  return claims
}

/** An event that turned out to be history. */
async function leaveStaging(deps: StagedDeps, room: Room, { seq, event }: StagedEntry): Promise<void> {
  const { roomId } = room
  deps.words.forget(event.id)
  await room.run(async (turn) => {
    const { copy } = turn
    const keep = await historyWrites(deps, room, event)
    const leave = (position: number): Write[] => [...keep(position), staged.delete([roomId, seq])]
    if (copy?.holes.some(([id]) => id === event.id) !== true) return submit(deps, turn, { writes: leave })
    const next = { ...copy, holes: copy.holes.filter(([id]) => id !== event.id) }
    const lastPosition = room.snapshot?.lastPosition ?? 0
    const publish = turn.replace(next)
    return submit(deps, turn, {
      writes: (position) => [...leave(position), rooms.put([roomId], toRecord(next, lastPosition))],
      publish: () => publish(lastPosition),
    })
  })
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

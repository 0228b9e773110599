/** The present of a room after an accepted event: its forward extremities, their state together, and what is missing. */
import type { EventId, RoomVersion, StateMap } from '@plexus/core'
import { prevEventIds, resolve, serverOf, stateDifference } from '@plexus/core'
import { groupOf, isHistory, loadStates, MAX_DECIDE_ROUNDS, stayOf, type Case, type Grouped } from './case.ts'
import type { Hole, RoomCopy } from './copy.ts'
import type { LoadingView } from './event-store.ts'
import type { StateGroup } from './state-groups.ts'
import type { EventRecord } from './types.ts'

/** Forward extremities that one server's events can be: each costs every later event its part of a resolution. */
export const MAX_HEADS_PER_SERVER = 5
/** Events before refused ones that are looked at for one event; heads beyond stay heads. */
export const MAX_REFUSED_WALK = 1_000
/** Events that nobody gave which are remembered, to be asked for again; and those that one server's events follow. */
export const MAX_HOLES = 100
export const MAX_HOLES_PER_SERVER = 10

export type Present = Grouped & { readonly heads: readonly EventId[] }

/** `after` is the state after the event. */
export async function presentAfter(current: Case, after: StateGroup): Promise<Present> {
  const { copy, event, states } = current
  // A stripped copy is passed on to nobody: what followed it would lack what the others need to place it.
  const heads =
    !event.contentHashOk && copy !== undefined ? await headsWithout(current, copy) : await headsAfter(current)
  if (heads === copy?.heads) return { heads, group: copy.current, writes: [] }
  if (heads.length === 1 && heads[0] === event.id) return { heads, group: after, writes: [] }
  const state = await resolveHeads(current, heads)
  const bases = heads.flatMap((id) => states.get(id) ?? [])
  return { heads, ...groupOf(current, `current ${event.id}`, state, bases) }
}

/** As they are, but for those that the copy of a hole follows which changes nothing. */
async function headsWithout(current: Case, { heads }: RoomCopy): Promise<readonly EventId[]> {
  const direct = new Set(prevEventIds(current.event.pdu))
  const left = heads.filter((id) => !direct.has(id))
  return left.length < heads.length && (await isSpokenFor(current, left)) ? left : heads
}

/**
 * The forward extremities with the event. Of a server that makes forks without end only the newest count here, as if
 * the others had not come yet; an event that follows them brings them back.
 */
async function headsAfter(current: Case): Promise<readonly EventId[]> {
  const { copy, event, view } = current
  const direct = new Set(prevEventIds(event.pdu))
  const others = (copy?.heads ?? []).filter((id) => !direct.has(id))
  const behind = others.length === 0 ? direct : await behindHeadless(current)
  const left = others.filter((id) => !behind.has(id))
  const heads = (await isSpokenFor(current, left)) ? left : [...left, event.id]
  if (heads.length <= MAX_HEADS_PER_SERVER) return heads
  await view.load(heads)
  const server = serverOf(event.pdu.sender)
  const ofServer = heads.filter((id) => {
    const record = view.record(id)
    return record !== undefined && serverOf(record.pdu.sender) === server
  })
  const dropped = new Set(ofServer.slice(0, -MAX_HEADS_PER_SERVER))
  return heads.filter((id) => !dropped.has(id))
}

/**
 * True for an event that fills a hole, if it changes nothing: an event follows it, but on a state that a member claimed.
 * Unless both agree, what the claim left out counts through resolution. DESIGN section 4
 */
async function isSpokenFor(current: Case, heads: readonly EventId[]): Promise<boolean> {
  const { copy, event } = current
  if (heads.length === 0 || copy?.holes.some(([id]) => id === event.id) !== true) return false
  const without = await resolveHeads(current, heads)
  const withIt = await resolveHeads(current, [...heads, event.id])
  return stateDifference(without, withIt).length === 0
}

/**
 * What lies before the events that the event follows and that took no head's place: the heads before them are followed
 * only now. That is so of refused ones, and of those that came without their content. Not what came after that one was
 * decided, on what a member claimed in its place.
 */
async function behindHeadless({ deps, event }: Case): Promise<ReadonlySet<EventId>> {
  const behind = new Set<EventId>()
  let level: readonly EventId[] = prevEventIds(event.pdu)
  while (level.length > 0 && behind.size < MAX_REFUSED_WALK) {
    const next: EventId[] = []
    for (const record of await deps.events.working(level)) {
      if (record === undefined || !isHeadless(record)) continue
      const before = await deps.events.working(prevEventIds(record.pdu))
      for (const previous of before) {
        if (previous === undefined || behind.has(previous.id) || !isBasisOf(previous, record)) continue
        behind.add(previous.id)
        next.push(previous.id)
      }
    }
    level = next
  }
  return behind
}

function isHeadless({ verdict, hashMismatch, isLate }: EventRecord): boolean {
  return verdict !== 'accepted' || hashMismatch === true || isLate === true
}

/** True if the state before an event is made of that after this previous one, and not of a claim. */
function isBasisOf(previous: EventRecord, { basis, position }: EventRecord): boolean {
  if (basis === 'full') return true
  return previous.position !== 0 && (position === 0 || previous.position < position)
}

/** The state of several heads together. */
async function resolveHeads(current: Case, heads: readonly EventId[]): Promise<StateMap> {
  const { version, event, view, states } = current
  const unknown = await loadStates(
    current,
    heads.filter((id) => !states.has(id)),
  )
  if (unknown.length > 0) throw new Error(`a forward extremity has no state: ${unknown.join(' ')}`)
  const sets = heads.flatMap((id) => states.get(id)?.state ?? [])
  await view.load([event.id])
  return resolveStates(version, sets, view)
}

/** @throws when one of the states refers to events that are not here. */
export async function resolveStates(
  version: RoomVersion,
  sets: readonly StateMap[],
  view: LoadingView,
): Promise<StateMap> {
  for (let round = 0; round < MAX_DECIDE_ROUNDS; round += 1) {
    const result = resolve(version, sets, view)
    if (result.kind === 'resolved') return result.state
    const missing = await view.supply(result, round)
    if (missing.length > 0) {
      throw new Error(`a state refers to unknown events ${missing.slice(0, 5).join(' ')}`)
    }
  }
  throw new Error(`a resolution did not settle in ${MAX_DECIDE_ROUNDS} rounds`)
}

/** What fills a hole is none any more; previous events that nobody gave are new ones. */
export function holesAfter(current: Case): readonly Hole[] {
  const { deps, copy, event, claimed } = current
  const by = serverOf(event.pdu.sender)
  const left = (copy?.holes ?? []).filter(([id]) => id !== event.id)
  const known = new Set(left.map(([id]) => id))
  // What the own join follows is history, also while it is not here.
  const isPast = (id: EventId): boolean =>
    copy?.backward.includes(id) === true ||
    event.claim?.history.has(id) === true ||
    isHistory(deps.events.peek(id), stayOf(current))
  const open = [...claimed].filter((id) => !known.has(id) && !isPast(id))
  if (open.length === 0) return left
  // What one server's events follow pushes out no hole of another's.
  const own = [...left.filter((hole) => hole[1] === by), ...open.map((id): Hole => [id, by])]
  const others = left.filter((hole) => hole[1] !== by)
  return [...others, ...own.slice(-MAX_HOLES_PER_SERVER)].slice(-MAX_HOLES)
}

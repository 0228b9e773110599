/** From a checked event to a decision. */
import type { EventId } from '@plexus/core'
import { decide, prevEventIds } from '@plexus/core'
import { combineChanges, type Change } from '../kernel/committer.ts'
import { acceptEvent } from './accept-event.ts'
import { decidedAgain, finisher, provisionalWrites } from './decided-again.ts'
import { memberFiller } from './named-members.ts'
import { newEventWrites } from './auth-graph.ts'
import {
  draftRecord,
  groupOf,
  isDecided,
  isFetchedHistory,
  loadPreviousStates,
  MAX_DECIDE_ROUNDS,
  openCase,
  parentGroups,
} from './case.ts'
import type { Case, CaseInit, RefusedDecision, Settled } from './case.ts'
import type { RoomCopy } from './copy.ts'
import { isRecommended, policyServerOf } from './policy.ts'
import { undoneRedaction } from './redaction.ts'
import type { EventInput, Outcome, RoomDeps } from './room.ts'
import type { EventRecord } from './types.ts'

export type Decided = { readonly outcome: Outcome; readonly next?: RoomCopy }
type Missing = { readonly kind: 'missing'; readonly events: readonly EventId[] }

export async function decideEvent(start: CaseInit): Promise<Decided> {
  const { deps, event } = start
  if (event.own !== true && event.again === undefined && (await wasDecided(deps, event)))
    return { outcome: { kind: 'known', change: undefined } }
  const current = openCase(start)
  const decision = await byPolicy(current, await decideLoop(current))
  if (decision.kind === 'missing') return { outcome: { ...decision, change: undefined } }
  if (decision.kind === 'drop') {
    const why = `${decision.why.code}: ${decision.why.reason}`
    return { outcome: { kind: 'drop', why, change: undefined } }
  }
  if (decision.kind === 'accept') {
    const { change, next } = await acceptEvent(current, decision)
    return { outcome: { kind: 'accept', change }, next }
  }
  const why = `${decision.why.rule}: ${decision.why.reason}`
  const change = event.own === true ? undefined : await refusedChange(current, decision, why)
  const outcome = { kind: decision.kind, why, change }
  const { copy } = start
  return copy === undefined || !isHole(start)
    ? { outcome }
    : { outcome, next: { ...copy, holes: copy.holes.filter(([id]) => id !== event.id) } }
}

/** What the rules accept is soft-failed where the room's policy server does not recommend it. */
async function byPolicy(
  { deps, version, copy, event }: Case,
  decision: Settled | Missing,
): Promise<Settled | Missing> {
  // What was accepted before, or is followed already, is no news that could be kept out.
  const isNews = copy !== undefined && event.again === undefined && !isHole({ copy, event })
  if (decision.kind !== 'accept' || !isNews) return decision
  const policy = await policyServerOf(deps.events, copy)
  if (policy === undefined || isRecommended(version, event.pdu, policy)) return decision
  const why = { rule: 'policy server', reason: 'the event is not recommended' }
  return {
    kind: 'softFail',
    why,
    stateBefore: decision.stateBefore,
    stateAfter: decision.stateAfter,
    effects: [],
  }
}

/** The rule by which an event would be refused. */
export async function checkEvent(start: CaseInit): Promise<string | undefined> {
  const decision = await decideLoop(openCase(start))
  if (decision.kind === 'accept') return undefined
  if (decision.kind === 'missing') return 'events that it refers to are not known here'
  return decision.kind === 'drop' ? decision.why.reason : `${decision.why.rule}: ${decision.why.reason}`
}

/** True for an event that was decided before: a copy of it must not get a second place in the timeline. */
async function wasDecided(deps: RoomDeps, event: EventInput): Promise<boolean> {
  const known = event.isNew === true ? deps.events.peek(event.id) : (await deps.events.working([event.id]))[0]
  return isDecided(known) || isFetchedHistory(known)
}

/** True for an event that accepted ones follow already. */
function isHole({ copy, event }: Pick<Case, 'copy' | 'event'>): boolean {
  return copy?.holes.some(([id]) => id === event.id) === true
}

/** Gathers what the core asks for and asks again. */
async function decideLoop(current: Case): Promise<Settled | Missing> {
  const { version, roomId, copy, event, view, states } = current
  const absent = new Set<EventId>()
  // What others follow is no news that the present could forbid.
  const isPast = isHole(current) && prevEventIds(event.pdu).length > 0
  for (let round = 0; round < MAX_DECIDE_ROUNDS; round += 1) {
    const fill = memberFiller(current)
    const decision = decide({
      version,
      roomId,
      event: { id: event.id, pdu: event.pdu },
      view,
      stateAfter: (id) => fill(states.get(id)?.state),
      currentState: isPast ? undefined : fill(copy?.current.state),
    })
    if (decision.kind !== 'need') return decision
    for (const id of await view.supply(decision, round)) absent.add(id)
    for (const id of await loadPreviousStates(current, decision.states)) {
      if (event.claim === undefined) absent.add(id)
      else {
        states.set(id, event.claim.state)
        current.claimed.add(id)
      }
    }
    if (absent.size > 0) return { kind: 'missing', events: [...absent] }
  }
  throw new Error(`the decision about ${event.id} did not settle in ${MAX_DECIDE_ROUNDS} rounds`)
}

/** Keeps a rejected or soft-failed event: remembered, not shown, no head. */
async function refusedChange(current: Case, decision: RefusedDecision, why: string): Promise<Change> {
  const { deps, event } = current
  const after = decision.kind === 'softFail' ? decision.stateAfter : decision.stateBefore
  const { group, writes } = groupOf(current, `after ${event.id}`, after, parentGroups(current))
  const verdict = decision.kind === 'reject' ? 'rejected' : 'softFailed'
  const record: EventRecord = { ...draftRecord(current, group.id, decision.stateBefore), verdict, why }
  current.hold(record)
  if (event.again !== undefined) {
    const { finish, adopt } = finisher(deps.events)
    const undo = await undoneRedaction(current, finish)
    const change = decidedAgain(deps, event.again, record, () => [...writes, ...undo()])
    return combineChanges([change, { positions: 0, writes: () => [], publish: adopt }])
  }
  let final = record
  return {
    writes: (position) => {
      final = { ...record, position }
      deps.events.stage(final)
      return [
        ...newEventWrites(final),
        ...writes,
        ...provisionalWrites(current.copy, position, event.id),
        ...(event.writes ?? []),
      ]
    },
    publish: () => deps.events.adopt(final),
  }
}

/** From a checked event to a decision, the next copy of the room, and the change that commits both. */
import type { Decision, EventId, RoomId, RoomVersion, ServerName, StateMap, UserId } from '@plexus/core'
import { checkOutlier, decide, redact, resolve, serverOf, stateKeyOf } from '@plexus/core'
import type { Change } from '../kernel/committer.ts'
import type { Write } from '../ports.ts'
import type { RoomCopy, StateChange } from './copy.ts'
import { joinedAfter, memberOf, membershipOf, stateChanges, toRecord } from './copy.ts'
import type { LoadingView } from './event-store.ts'
import { clientTransactions, deltas, events, memberships, rooms, waitingRedactions } from './records.ts'
import { placeWrites } from './relation.ts'
import type { WaitingRedaction } from './records.ts'
import type { EventInput, Outcome, RoomDeps } from './room.ts'
import type { StateGroup } from './state-groups.ts'
import type { EventRecord } from './types.ts'

/** Rounds of "load what is missing, decide again" for one event. DESIGN section 5 */
export const MAX_DECIDE_ROUNDS = 8
/** Events that are remembered as the lower ends of what is known of a room. */
export const MAX_BACKWARD = 100
/** From this round on whole auth chains are loaded: a resolution would else need a round for each level of them. */
const CLOSURE_FROM_ROUND = 1

export type Decided = { readonly outcome: Outcome; readonly next?: RoomCopy }

/** One decision: what is decided, on what, and what was loaded for it so far. */
export type Case = {
  readonly deps: RoomDeps
  readonly version: RoomVersion
  readonly roomId: RoomId
  readonly copy: RoomCopy | undefined
  readonly event: EventInput
  readonly view: LoadingView
  /** States after previous events and heads. */
  readonly states: Map<EventId, StateGroup>
  /** Previous events for which the claim about the state stands. */
  readonly claimed: Set<EventId>
  /** Publishes a copy once the change that made it is committed. */
  readonly publisherOf: (copy: RoomCopy) => (position: number) => void
  /** Holds a decided event until its change is committed, or the turn ends without it. */
  readonly hold: (record: EventRecord) => void
}

type CaseInit = Omit<Case, 'view' | 'states' | 'claimed'>
type Settled = Exclude<Decision, { kind: 'need' }>
type AcceptedDecision = Extract<Settled, { kind: 'accept' }>
type RefusedDecision = Extract<Settled, { kind: 'reject' | 'softFail' }>
type Missing = { readonly kind: 'missing'; readonly events: readonly EventId[] }
type Grouped = { readonly group: StateGroup; readonly writes: readonly Write[] }

export async function decideEvent(start: CaseInit): Promise<Decided> {
  const { deps, event } = start
  if (event.own !== true && (await isDecided(deps, event)))
    return { outcome: { kind: 'known', change: undefined } }
  const current = openCase(start)
  const decision = await decideLoop(current)
  if (decision.kind === 'missing') return { outcome: { ...decision, change: undefined } }
  if (decision.kind === 'drop') {
    const why = `${decision.why.code}: ${decision.why.reason}`
    return { outcome: { kind: 'drop', why, change: undefined } }
  }
  if (decision.kind === 'accept') return acceptEvent(current, decision)
  const why = `${decision.why.rule}: ${decision.why.reason}`
  const change = event.own === true ? undefined : refusedChange(current, decision, why)
  return { outcome: { kind: decision.kind, why, change, doubtful: isDoubtful(current, decision) } }
}

function openCase(start: CaseInit): Case {
  return { ...start, view: start.deps.events.view(), states: new Map(), claimed: new Set() }
}

/** The rule by which an event would be refused. */
export async function checkEvent(start: CaseInit): Promise<string | undefined> {
  const decision = await decideLoop(openCase(start))
  if (decision.kind === 'accept') return undefined
  if (decision.kind === 'missing') return 'events that it refers to are not known here'
  return decision.kind === 'drop' ? decision.why.reason : `${decision.why.rule}: ${decision.why.reason}`
}

/** True where another claim about the state before the event could make it an accepted one. */
function isDoubtful({ version, roomId, event, view, claimed }: Case, decision: RefusedDecision): boolean {
  if (decision.kind !== 'reject' || claimed.size === 0) return false
  return checkOutlier({ version, roomId, event, view }) === undefined
}

/** True for an event that was decided before: a copy of it must not get a second place in the timeline. */
async function isDecided(deps: RoomDeps, event: EventInput): Promise<boolean> {
  const known = event.isNew === true ? deps.events.peek(event.id) : (await deps.events.working([event.id]))[0]
  return hasPlace(known) || isHistory(known)
}

/** True for an event that later ones can follow: the state after it is known. */
export function hasPlace(record: EventRecord | undefined): boolean {
  return record?.stateGroup !== undefined
}

/** True for an event from before this node's join that was fetched for reading: the state after it is not known. */
export function isHistory(record: EventRecord | undefined): boolean {
  return record?.order !== undefined && record.order < 0
}

/** Gathers what the core asks for and asks again. */
async function decideLoop(current: Case): Promise<Settled | Missing> {
  const { version, roomId, copy, event, view, states } = current
  const absent = new Set<EventId>()
  for (let round = 0; round < MAX_DECIDE_ROUNDS; round += 1) {
    const decision = decide({
      version,
      roomId,
      event: { id: event.id, pdu: event.pdu },
      view,
      stateAfter: (id) => states.get(id)?.state,
      currentState: copy?.current.state,
    })
    if (decision.kind !== 'need') return decision
    for (const id of await view.load(decision.events, round >= CLOSURE_FROM_ROUND)) absent.add(id)
    for (const id of await loadStates(current, decision.states)) {
      if (event.claim === undefined) absent.add(id)
      else {
        states.set(id, event.claim)
        current.claimed.add(id)
      }
    }
    if (absent.size > 0) return { kind: 'missing', events: [...absent] }
  }
  throw new Error(`the decision about ${event.id} did not settle in ${MAX_DECIDE_ROUNDS} rounds`)
}

/** Loads the states after these events of the room; answers with the events that have none. */
async function loadStates(
  { deps, roomId, states }: Case,
  ids: readonly EventId[],
): Promise<readonly EventId[]> {
  const missing: EventId[] = []
  const records = await deps.events.working(ids)
  for (const [index, id] of ids.entries()) {
    const record = records[index]
    if (record?.stateGroup === undefined || record.roomId !== roomId) missing.push(id)
    else states.set(id, await deps.groups.load(record.stateGroup))
  }
  return missing
}

/** The group of a state: that of a base where it is the same map, else a new one of the given name. */
function groupOf({ deps }: Case, name: string, state: StateMap, bases: readonly StateGroup[]): Grouped {
  const same = bases.find((base) => base.state === state)
  if (same !== undefined) return { group: same, writes: [] }
  return deps.groups.create(name, state, bases[0])
}

function parentGroups({ event, states }: Case): readonly StateGroup[] {
  return event.pdu.prev_events.flatMap((id) => states.get(id) ?? [])
}

/** Keeps a rejected or soft-failed event: remembered, not shown, no head. */
function refusedChange(current: Case, decision: RefusedDecision, why: string): Change {
  const { deps, event } = current
  const after = decision.kind === 'softFail' ? decision.stateAfter : decision.stateBefore
  const { group, writes } = groupOf(current, `after ${event.id}`, after, parentGroups(current))
  const verdict = decision.kind === 'reject' ? 'rejected' : 'softFailed'
  const record: EventRecord = { ...draftRecord(current, group.id, decision.stateBefore), verdict, why }
  current.hold(record)
  let final = record
  return {
    writes: (position) => {
      final = { ...record, position }
      deps.events.stage(final)
      return [events.put([record.id], final), ...writes, ...(event.writes ?? [])]
    },
    publish: () => deps.events.adopt(final),
  }
}

function draftRecord(
  { deps, roomId, event, claimed }: Case,
  stateGroup: string,
  before: StateMap,
): EventRecord {
  const key = stateKeyOf(event.pdu)
  const replaced = key === undefined ? undefined : before.get(key)
  return {
    id: event.id,
    roomId,
    pdu: event.pdu,
    verdict: 'accepted',
    basis: claimed.size === 0 ? 'full' : 'partial',
    stateGroup,
    ...(replaced === undefined ? {} : { replaced }),
    position: 0,
    ...(event.contentHashOk ? {} : { hashMismatch: true as const }),
    ...(event.sentBy === undefined ? {} : { sentBy: event.sentBy }),
    receivedAt: deps.clock.now(),
  }
}

async function acceptEvent(current: Case, decision: AcceptedDecision): Promise<Decided> {
  const { version, roomId, copy, event, view, states } = current
  const bases = [...(copy === undefined ? [] : [copy.current]), ...parentGroups(current)]
  const after = groupOf(current, `after ${event.id}`, decision.stateAfter, bases)
  const draft = draftRecord(current, after.group.id, decision.stateBefore)
  current.hold(draft)
  states.set(event.id, after.group)

  const previous = new Set(event.pdu.prev_events)
  const heads = [...(copy?.heads ?? []).filter((id) => !previous.has(id)), event.id].sort()
  const resolved =
    heads.length === 1 ? { group: after.group, writes: [] } : await resolveHeads(current, heads)
  const changes = stateChanges(copy?.current.state ?? new Map(), resolved.group.state)
  await view.load(
    changes.flatMap(({ key, before, after: id }) =>
      memberOf(key) === undefined ? [] : [before, id].filter((entry) => entry !== undefined),
    ),
    false,
  )
  const find = (id: EventId): EventRecord | undefined => (id === event.id ? draft : view.record(id))
  const next: RoomCopy = {
    roomId,
    version,
    create: copy?.create ?? { id: event.id, pdu: event.pdu },
    heads,
    current: resolved.group,
    joined: joinedAfter(copy?.joined ?? new Set(), changes, find),
    lowestOrder: copy?.lowestOrder ?? 0,
    backward: backwardAfter(current),
  }
  const change = acceptedChange(current, next, draft, {
    stateWrites: [...after.writes, ...resolved.writes],
    changes,
    find,
    redaction: await prepareRedaction(current, decision),
  })
  return { outcome: { kind: 'accept', change }, next }
}

/** Previous events that nobody gave are where the history below the event is to be fetched from. */
function backwardAfter({ deps, copy, claimed }: Case): readonly EventId[] {
  const backward = copy?.backward ?? []
  const open = [...claimed].filter((id) => !isHistory(deps.events.peek(id)) && !backward.includes(id))
  return open.length === 0 ? backward : [...backward, ...open].slice(-MAX_BACKWARD)
}

/** The state of several heads together. */
async function resolveHeads(current: Case, heads: readonly EventId[]): Promise<Grouped> {
  const { version, event, view, states } = current
  await loadStates(
    current,
    heads.filter((id) => !states.has(id)),
  )
  const bases = heads.flatMap((id) => states.get(id) ?? [])
  const sets = bases.map(({ state }) => state)
  await view.load([event.id], false)
  for (let round = 0; round < MAX_DECIDE_ROUNDS; round += 1) {
    const result = resolve(version, sets, view)
    if (result.kind === 'resolved') return groupOf(current, `current ${event.id}`, result.state, bases)
    const missing = await view.load(result.events, true)
    if (missing.length > 0) {
      throw new Error(`state of a head refers to unknown events ${missing.slice(0, 5).join(' ')}`)
    }
  }
  throw new Error(`the resolution at ${event.id} did not settle in ${MAX_DECIDE_ROUNDS} rounds`)
}

type Redaction = {
  /** A known event that the accepted event redacts. */
  readonly target?: EventId
  /** The accepted event redacts one that is not here yet. */
  readonly waits?: readonly [target: EventId, redaction: WaitingRedaction]
  /** An earlier redaction of the accepted event itself. */
  readonly by?: EventId
}

/** spec: rooms/v3.md "Handling redactions" */
async function prepareRedaction(
  { deps, roomId, event }: Case,
  decision: AcceptedDecision,
): Promise<Redaction> {
  const server = serverOf(event.pdu.sender)
  const waiting = await deps.waitingRedactions.get(event.id)
  const by =
    waiting !== undefined && waiting.roomId === roomId && (waiting.ofOthers || waiting.server === server)
      ? { by: waiting.by }
      : {}
  const effect = decision.effects.find(({ kind }) => kind === 'redact')
  if (effect === undefined) return by
  const { target, ofOthers } = effect
  const known = (await deps.events.working([target]))[0]
  if (known === undefined) {
    const waits = { by: event.id, roomId, ofOthers, server }
    deps.waitingRedactions.add(target, waits)
    return { ...by, waits: [target, waits] }
  }
  const allowed = known.roomId === roomId && (ofOthers || serverOf(known.pdu.sender) === server)
  return allowed ? { ...by, target } : by
}

type Accepted = {
  readonly stateWrites: readonly Write[]
  readonly changes: readonly StateChange[]
  readonly find: (id: EventId) => EventRecord | undefined
  readonly redaction: Redaction
}

function acceptedChange(current: Case, copy: RoomCopy, draft: EventRecord, facts: Accepted): Change {
  const { deps, event } = current
  const publish = current.publisherOf(copy)
  const serversBefore = serversOf(current.copy?.joined ?? new Set())
  const finals: EventRecord[] = []
  const finish = (record: EventRecord): Write => {
    finals.push(record)
    deps.events.stage(record)
    return events.put([record.id], record)
  }
  return {
    writes: (position) => {
      const { redaction, changes } = facts
      const pdu = redaction.by === undefined ? draft.pdu : redact(copy.version, draft.pdu)
      const by = redaction.by === undefined ? {} : { redactedBy: redaction.by }
      const writes: Write[] = [
        finish({ ...draft, pdu, ...by, position, order: position }),
        ...placeWrites(copy.roomId, position, event.id, pdu),
        rooms.put([copy.roomId], toRecord(copy, position)),
        ...facts.stateWrites,
        ...membershipWrites(deps, copy.roomId, position, changes, facts.find),
        ...deps.destinations.changed(copy.roomId, position, {
          ...serverChanges(deps, copy, serversBefore),
          ...(event.distribute === true ? { distributed: event.id } : {}),
        }),
        ...(event.writes ?? []),
      ]
      if (changes.length > 0) writes.push(deltas.put([copy.roomId, position], changes))
      if (event.sentBy !== undefined) {
        const { userId, deviceId, transactionId } = event.sentBy
        writes.push(clientTransactions.put([userId, deviceId, copy.roomId, transactionId], event.id))
      }
      const target = redaction.target === undefined ? undefined : deps.events.peek(redaction.target)
      if (target !== undefined) {
        writes.push(finish({ ...target, pdu: redact(copy.version, target.pdu), redactedBy: event.id }))
      }
      if (redaction.waits !== undefined)
        writes.push(waitingRedactions.put([redaction.waits[0]], redaction.waits[1]))
      return writes
    },
    publish: (position) => {
      for (const record of finals) deps.events.adopt(record)
      publish(position)
    },
  }
}

function serversOf(users: ReadonlySet<UserId>): ReadonlySet<ServerName> {
  return new Set([...users].map(serverOf))
}

function serverChanges(
  deps: RoomDeps,
  copy: RoomCopy,
  before: ReadonlySet<ServerName>,
): { joined: readonly ServerName[]; left: readonly ServerName[] } {
  const after = serversOf(copy.joined)
  return {
    joined: [...after].filter((server) => !before.has(server) && server !== deps.ownName),
    left: [...before].filter((server) => !after.has(server) && server !== deps.ownName),
  }
}

/** Rows of the local users whose membership in the current state changed. */
function membershipWrites(
  deps: RoomDeps,
  roomId: RoomId,
  position: number,
  changes: readonly StateChange[],
  find: (id: EventId) => EventRecord | undefined,
): Write[] {
  const writes: Write[] = []
  for (const { key, before, after } of changes) {
    const userId = memberOf(key)
    const event = after === undefined ? undefined : find(after)
    if (userId === undefined || event === undefined || serverOf(userId) !== deps.ownName) continue
    const previous = before === undefined ? undefined : membershipOf(find(before)?.pdu)
    writes.push(
      memberships.put([userId, roomId], {
        roomId,
        membership: membershipOf(event.pdu),
        eventId: event.id,
        sender: event.pdu.sender,
        position,
        ...(previous === undefined ? {} : { previous }),
      }),
    )
  }
  return writes
}

/** From a checked event to a decision, the next copy of the room, and the change that commits both. */
import type { Decision, EventId, RoomId, RoomVersion, ServerName, StateMap, UserId } from '@plexus/core'
import { decide, redact, resolve, serverOf, stateKeyOf } from '@plexus/core'
import type { Change } from '../kernel/committer.ts'
import type { Write } from '../ports.ts'
import type { RoomCopy, StateChange } from './copy.ts'
import { joinedAfter, memberOf, membershipOf, stateChanges, toRecord } from './copy.ts'
import type { LoadingView } from './event-store.ts'
import {
  clientTransactions,
  deltas,
  events,
  memberships,
  rooms,
  timelines,
  waitingRedactions,
} from './records.ts'
import type { WaitingRedaction } from './records.ts'
import type { EventInput, Outcome, RoomDeps } from './room.ts'
import type { StateGroup } from './state-groups.ts'
import type { EventRecord } from './types.ts'

/** Rounds of "load what is missing, decide again" for one event. DESIGN section 5 */
export const MAX_DECIDE_ROUNDS = 8
/** From this round on whole auth chains are loaded: a resolution would else need a round for each level of them. */
const CLOSURE_FROM_ROUND = 1

export type Decided = { readonly outcome: Outcome; readonly next?: RoomCopy }
type PublisherOf = (copy: RoomCopy) => (position: number) => void

export async function decideEvent(
  deps: RoomDeps,
  version: RoomVersion,
  roomId: RoomId,
  copy: RoomCopy | undefined,
  event: EventInput,
  publisherOf: PublisherOf,
): Promise<Decided> {
  const view = deps.events.view()
  const states = new Map<EventId, StateGroup>(event.claims)
  const decision = await decideLoop(deps, version, roomId, copy, event, view, states)
  switch (decision.kind) {
    case 'missing':
      return { outcome: { ...decision, change: undefined } }
    case 'drop':
      return {
        outcome: { kind: 'drop', why: `${decision.why.code}: ${decision.why.reason}`, change: undefined },
      }
    case 'reject':
    case 'softFail': {
      const why = `${decision.why.rule}: ${decision.why.reason}`
      if (event.own === true) return { outcome: { kind: decision.kind, why, change: undefined } }
      return {
        outcome: {
          kind: decision.kind,
          why,
          change: refusedChange(deps, roomId, event, decision, states, why),
        },
      }
    }
    case 'accept':
      return acceptEvent(deps, version, roomId, copy, event, decision, view, states, publisherOf)
  }
}

type Settled = Exclude<Decision, { kind: 'need' }>
type Missing = { readonly kind: 'missing'; readonly events: readonly EventId[] }

/** Gathers what the core asks for and asks again. */
async function decideLoop(
  deps: RoomDeps,
  version: RoomVersion,
  roomId: RoomId,
  copy: RoomCopy | undefined,
  event: EventInput,
  view: LoadingView,
  states: Map<EventId, StateGroup>,
): Promise<Settled | Missing> {
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
    for (const id of await loadStates(deps, roomId, decision.states, states)) absent.add(id)
    if (absent.size > 0) return { kind: 'missing', events: [...absent] }
  }
  throw new Error(`the decision about ${event.id} did not settle in ${MAX_DECIDE_ROUNDS} rounds`)
}

/** Loads the states after these events of the room; answers with the events that have none. */
async function loadStates(
  deps: RoomDeps,
  roomId: RoomId,
  ids: readonly EventId[],
  states: Map<EventId, StateGroup>,
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

/** The group of a state: that of a previous event where it is the same map, else a new one named after the event. */
function groupOf(
  deps: RoomDeps,
  name: string,
  state: StateMap,
  bases: readonly StateGroup[],
): { group: StateGroup; writes: readonly Write[] } {
  const same = bases.find((base) => base.state === state)
  if (same !== undefined) return { group: same, writes: [] }
  return deps.groups.create(name, state, bases[0])
}

/** Keeps a rejected or soft-failed event: remembered, not shown, no head. */
function refusedChange(
  deps: RoomDeps,
  roomId: RoomId,
  event: EventInput,
  decision: Extract<Settled, { kind: 'reject' | 'softFail' }>,
  states: ReadonlyMap<EventId, StateGroup>,
  why: string,
): Change {
  const after = decision.kind === 'softFail' ? decision.stateAfter : decision.stateBefore
  const bases = event.pdu.prev_events.flatMap((id) => states.get(id) ?? [])
  const { group, writes } = groupOf(deps, `after ${event.id}`, after, bases)
  const draft = draftRecord(deps, roomId, event, group.id)
  const verdict = decision.kind === 'reject' ? 'rejected' : 'softFailed'
  const record: EventRecord = { ...draft, ...replacedBy(event, decision.stateBefore), verdict, why }
  deps.events.stage(record)
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

function draftRecord(deps: RoomDeps, roomId: RoomId, event: EventInput, stateGroup: string): EventRecord {
  return {
    id: event.id,
    roomId,
    pdu: event.pdu,
    verdict: 'accepted',
    basis: event.claims === undefined || event.claims.size === 0 ? 'full' : 'partial',
    stateGroup,
    position: 0,
    ...(event.contentHashOk ? {} : { hashMismatch: true as const }),
    ...(event.sentBy === undefined ? {} : { sentBy: event.sentBy }),
    receivedAt: deps.clock.now(),
  }
}

async function acceptEvent(
  deps: RoomDeps,
  version: RoomVersion,
  roomId: RoomId,
  copy: RoomCopy | undefined,
  event: EventInput,
  decision: Extract<Settled, { kind: 'accept' }>,
  view: LoadingView,
  states: Map<EventId, StateGroup>,
  publisherOf: PublisherOf,
): Promise<Decided> {
  const bases = [
    ...(copy === undefined ? [] : [copy.current]),
    ...event.pdu.prev_events.flatMap((id) => states.get(id) ?? []),
  ]
  const after = groupOf(deps, `after ${event.id}`, decision.stateAfter, bases)
  const previous = new Set(event.pdu.prev_events)
  const heads = [...(copy?.heads ?? []).filter((id) => !previous.has(id)), event.id].sort()
  const replaced = replacedBy(event, decision.stateBefore)
  const draft = { ...draftRecord(deps, roomId, event, after.group.id), ...replaced }
  deps.events.stage(draft)

  states.set(event.id, after.group)
  const current = await currentState(deps, roomId, version, heads, event.id, view, states, after.group)
  const changes = stateChanges(copy?.current.state ?? new Map(), current.group.state)
  const memberEvents = changes.flatMap(({ key, before, after: id }) =>
    memberOf(key) === undefined ? [] : [before, id].filter((entry) => entry !== undefined),
  )
  await view.load(memberEvents, false)
  const find = (id: EventId): EventRecord | undefined => (id === event.id ? draft : view.record(id))
  const joined = joinedAfter(copy?.joined ?? new Set(), changes, find)
  const next: RoomCopy = {
    roomId,
    version,
    create: copy?.create ?? { id: event.id, pdu: event.pdu },
    heads,
    current: current.group,
    joined,
    lowestOrder: copy?.lowestOrder ?? 0,
    backward: copy?.backward ?? missingBefore(event),
  }
  const redaction = await prepareRedaction(deps, roomId, event, decision)
  const change = acceptedChange(deps, next, event, draft, {
    stateWrites: [...after.writes, ...current.writes],
    changes,
    find,
    serversBefore: serversOf(copy?.joined ?? new Set()),
    redaction,
    publish: publisherOf(next),
  })
  return { outcome: { kind: 'accept', change }, next }
}

function replacedBy(event: EventInput, before: StateMap): Pick<EventRecord, 'replaced'> {
  const key = stateKeyOf(event.pdu)
  const replaced = key === undefined ? undefined : before.get(key)
  return replaced === undefined ? {} : { replaced }
}

function missingBefore(event: EventInput): readonly EventId[] {
  return event.claims === undefined ? [] : event.pdu.prev_events.filter((id) => event.claims?.has(id))
}

function serversOf(users: ReadonlySet<UserId>): ReadonlySet<ServerName> {
  return new Set([...users].map(serverOf))
}

/** The state of all heads together: that after the event when it is the only one. */
async function currentState(
  deps: RoomDeps,
  roomId: RoomId,
  version: RoomVersion,
  heads: readonly EventId[],
  eventId: EventId,
  view: LoadingView,
  states: Map<EventId, StateGroup>,
  after: StateGroup,
): Promise<{ group: StateGroup; writes: readonly Write[] }> {
  if (heads.length === 1) return { group: after, writes: [] }
  await loadStates(
    deps,
    roomId,
    heads.filter((id) => !states.has(id)),
    states,
  )
  const bases = heads.flatMap((id) => states.get(id) ?? [])
  await view.load([eventId], false)
  for (let round = 0; round < MAX_DECIDE_ROUNDS; round += 1) {
    const result = resolve(
      version,
      bases.map(({ state }) => state),
      view,
    )
    if (result.kind === 'resolved') return groupOf(deps, `current ${eventId}`, result.state, bases)
    const missing = await view.load(result.events, true)
    if (missing.length > 0)
      throw new Error(`state of a head refers to unknown events ${missing.slice(0, 5).join(' ')}`)
  }
  throw new Error(`the resolution at ${eventId} did not settle in ${MAX_DECIDE_ROUNDS} rounds`)
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
  deps: RoomDeps,
  roomId: RoomId,
  event: EventInput,
  decision: Extract<Settled, { kind: 'accept' }>,
): Promise<Redaction> {
  const server = serverOf(event.pdu.sender)
  const waiting = await waitingRedactions.get(deps.store, [event.id])
  const by =
    waiting !== undefined && waiting.roomId === roomId && (waiting.ofOthers || waiting.server === server)
      ? { by: waiting.by }
      : {}
  const effect = decision.effects.find(({ kind }) => kind === 'redact')
  if (effect === undefined) return by
  const { target, ofOthers } = effect
  const known = (await deps.events.working([target]))[0]
  if (known === undefined) return { ...by, waits: [target, { by: event.id, roomId, ofOthers, server }] }
  const allowed = known.roomId === roomId && (ofOthers || serverOf(known.pdu.sender) === server)
  return allowed ? { ...by, target } : by
}

type Accepted = {
  readonly stateWrites: readonly Write[]
  readonly changes: readonly StateChange[]
  readonly find: (id: EventId) => EventRecord | undefined
  readonly serversBefore: ReadonlySet<ServerName>
  readonly redaction: Redaction
  readonly publish: (position: number) => void
}

function acceptedChange(
  deps: RoomDeps,
  copy: RoomCopy,
  event: EventInput,
  draft: EventRecord,
  facts: Accepted,
): Change {
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
        timelines.put([copy.roomId, position], event.id),
        rooms.put([copy.roomId], toRecord(copy, position)),
        ...facts.stateWrites,
        ...membershipWrites(deps, copy.roomId, position, changes, facts.find),
        ...deps.destinations.changed(copy.roomId, position, {
          ...serverChanges(deps, copy, facts.serversBefore),
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
      facts.publish(position)
    },
  }
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

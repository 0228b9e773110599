/** One decision under way, and what its parts share. */
import type { Decision, EventId, RoomId, RoomVersion, StateMap } from '@plexus/core'
import { prevEventIds, stateKeyOf } from '@plexus/core'
import type { Write } from '../ports.ts'
import { generationOf } from './auth-graph.ts'
import type { RoomCopy } from './copy.ts'
import type { LoadingView } from './event-store.ts'
import type { EventInput, RoomDeps } from './room.ts'
import type { StateGroup } from './state-groups.ts'
import type { EventRecord } from './types.ts'

/** Rounds of "load what is missing, decide again" for one event. DESIGN section 5 */
export const MAX_DECIDE_ROUNDS = 8

/** What is decided, on what, and what was loaded for it so far. */
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

export type CaseInit = Omit<Case, 'view' | 'states' | 'claimed'>
export type Settled = Exclude<Decision, { kind: 'need' }>
export type AcceptedDecision = Extract<Settled, { kind: 'accept' }>
export type RefusedDecision = Extract<Settled, { kind: 'reject' | 'softFail' }>
export type Grouped = { readonly group: StateGroup; readonly writes: readonly Write[] }

export function openCase(start: CaseInit): Case {
  return { ...start, view: start.deps.events.view(), states: new Map(), claimed: new Set() }
}

/** True for an event that was decided, in this stay in the room or before. */
export function isDecided(record: EventRecord | undefined): boolean {
  return record?.stateGroup !== undefined
}

/** The present stay of this node in a room: `since` is that of the room's copy, 0 where there is none. */
export type Stay = { readonly roomId: RoomId; readonly since: number }

/**
 * True for an event that later ones of the room can follow: the state after it is known, and so is what came after it.
 * What is not committed yet has no position, and is of this stay.
 */
export function hasPlace(record: EventRecord | undefined, { roomId, since }: Stay): boolean {
  if (record === undefined || record.roomId !== roomId || !isDecided(record)) return false
  return record.position === 0 || record.position > since
}

/** True for an event from before this node's join: fetched for reading, or of an earlier stay. */
export function isHistory(record: EventRecord | undefined, stay: Stay): boolean {
  return isFetchedHistory(record) || (isDecided(record) && !hasPlace(record, stay))
}

export function stayOf({ roomId, copy }: Pick<Case, 'roomId' | 'copy'>): Stay {
  return copy ?? { roomId, since: 0 }
}

/** True for an event that was fetched for reading: the state after it is not known. */
export function isFetchedHistory(record: EventRecord | undefined): boolean {
  return record?.order !== undefined && record.order < 0
}

/** Loads the states after these events of the room; answers with the events that have none. */
export async function loadStates(current: Case, ids: readonly EventId[]): Promise<readonly EventId[]> {
  const { deps, states } = current
  const missing: EventId[] = []
  const records = await deps.events.working(ids)
  for (const [index, id] of ids.entries()) {
    const record = records[index]
    const group = hasPlace(record, stayOf(current)) ? record?.stateGroup : undefined
    if (group === undefined) missing.push(id)
    else states.set(id, await deps.groups.load(group))
  }
  return missing
}

/**
 * As `loadStates`, for what the decided event follows. The states of an earlier stay count too, before what others tell,
 * once it is known that the event is no history: it follows one of this stay, or others told the state before it.
 */
export async function loadPreviousStates(
  current: Case,
  ids: readonly EventId[],
): Promise<readonly EventId[]> {
  const { deps, event, states } = current
  const missing = await loadStates(current, ids)
  const stay = stayOf(current)
  if (missing.length === 0 || stay.since === 0) return missing
  const old = new Map<EventId, string>()
  for (const record of await deps.events.working(missing))
    if (record?.stateGroup !== undefined && record.roomId === stay.roomId && !isPartial(record))
      old.set(record.id, record.stateGroup)
  const absent = missing.filter((id) => !old.has(id))
  const isOfThisStay = (await deps.events.working(prevEventIds(event.pdu))).some((record) =>
    hasPlace(record, stay),
  )
  // What is absent may come and tell.
  if (event.claim === undefined && !isOfThisStay) return absent.length === 0 ? missing : absent
  for (const [id, group] of old) states.set(id, await deps.groups.load(group))
  return absent
}

/** Before the names of states that lack members, or are not confirmed: what is decided again gets states of other names. */
const PARTIAL_PREFIX = 'partial '
const UNCONFIRMED_PREFIX = 'unconfirmed '

export function groupName({ partial }: Pick<RoomCopy, 'partial'>, name: string): string {
  if (partial === undefined) return name
  return `${partial.unconfirmed === undefined ? PARTIAL_PREFIX : UNCONFIRMED_PREFIX}${name}`
}

/** True for an event that was decided on a state that lacks members, and not again since. */
export function isPartial(record: EventRecord | undefined): boolean {
  return record?.stateGroup?.startsWith(PARTIAL_PREFIX) ?? false
}

/** As `isPartial`, or on one that was not confirmed then. */
export function isProvisional(record: EventRecord | undefined): boolean {
  return isPartial(record) || (record?.stateGroup?.startsWith(UNCONFIRMED_PREFIX) ?? false)
}

/** The group of a state: that of a base where it is the same map, else a new one of the given name. */
export function groupOf(
  { deps, copy }: Pick<Case, 'deps' | 'copy'>,
  name: string,
  state: StateMap,
  bases: readonly StateGroup[],
): Grouped {
  const same = bases.find((base) => base.state === state)
  if (same !== undefined) return { group: same, writes: [] }
  const id = copy === undefined ? name : groupName(copy, name)
  return deps.groups.create(id, state, bases[0])
}

export function parentGroups({ event, states }: Case): readonly StateGroup[] {
  return prevEventIds(event.pdu).flatMap((id) => states.get(id) ?? [])
}

/** Of an event that is decided again, with its place and all else that no decision makes. */
export function draftRecord(
  { deps, roomId, copy, event, view, claimed }: Case,
  stateGroup: string,
  before: StateMap,
): EventRecord {
  const { order, redactedBy, position = 0, receivedAt = deps.clock.now() } = event.again ?? {}
  const key = stateKeyOf(event.pdu)
  const replaced = key === undefined ? undefined : before.get(key)
  return {
    id: event.id,
    roomId,
    pdu: event.pdu,
    verdict: 'accepted',
    generation: generationOf(event.pdu, (id) => view.generation(id)),
    basis: claimed.size === 0 && copy?.partial === undefined ? 'full' : 'partial',
    stateGroup,
    ...(replaced === undefined ? {} : { replaced }),
    ...(order === undefined ? {} : { order }),
    position,
    ...(redactedBy === undefined ? {} : { redactedBy }),
    ...(event.contentHashOk ? {} : { hashMismatch: true as const }),
    ...(event.sentBy === undefined ? {} : { sentBy: event.sentBy }),
    receivedAt,
  }
}

import { authEventState, checkAuthEvents, checkRoom } from './auth/auth-events.ts'
import { checkAuth } from './auth/check-auth.ts'
import { breach, type AuthState } from './auth/context.ts'
import { mayRedactOthers, redactionTarget } from './auth/redaction.ts'
import { authStateKeys } from './auth/selection.ts'
import { createIdOf, createOf, judgedBy, startsRoom } from './create-id.ts'
import { oversizedField, type FormatFailure } from './format.ts'
import { claimedRoomId } from './hash.ts'
import type { EventId, RoomId } from './ids.ts'
import { prevEventIds, type AuthFailure, type AuthView, type EventView, type Pdu } from './pdu.ts'
import { compareIds, type Missing } from './resolve/graph.ts'
import { resolve } from './resolve/resolve.ts'
import type { RoomVersion } from './room-version.ts'
import { applyToState, CREATE_KEY, type StateKey, type StateMap } from './state.ts'

/**
 * What a decided event asks for besides being stored.
 *
 * `redact`: apply the redaction to `target` if that event is known, accepted and of this room, and either
 * `ofOthers` is true or its sender is on the same server as the redaction's; if it is not known yet, when it comes.
 * spec: rooms/v3.md "Handling redactions"
 */
export type Effect = { readonly kind: 'redact'; readonly target: EventId; readonly ofOthers: boolean }

export type Decision =
  | {
      readonly kind: 'accept'
      readonly stateBefore: StateMap
      readonly stateAfter: StateMap
      readonly effects: readonly Effect[]
    }
  /** As accepted, but not shown to clients and never a forward extremity. Has no effects. */
  | {
      readonly kind: 'softFail'
      readonly why: AuthFailure
      readonly stateBefore: StateMap
      readonly stateAfter: StateMap
      readonly effects: readonly Effect[]
    }
  /** The state after it is the state before. */
  | {
      readonly kind: 'reject'
      readonly why: AuthFailure
      readonly stateBefore: StateMap
      readonly effects: readonly Effect[]
    }
  | { readonly kind: 'drop'; readonly why: FormatFailure }
  /** Load or fetch these, then ask again. */
  | ({ readonly kind: 'need'; readonly states: readonly EventId[] } & Missing)

export type DecideInput = {
  readonly version: RoomVersion
  readonly roomId: RoomId
  /** Passed `checkFormat`, and its signatures are valid. */
  readonly event: { readonly id: EventId; readonly pdu: Pdu }
  readonly view: AuthView
  /** The state after a previous event (before it, if it was rejected). */
  stateAfter(id: EventId): StateMap | undefined
  /** The resolved state of the forward extremities; `undefined` leaves the soft-fail check out. */
  readonly currentState: StateMap | undefined
}

export type OutlierInput = Pick<DecideInput, 'version' | 'roomId' | 'event'> & { readonly view: EventView }

/**
 * Decides an event: checks 4 to 6 of a received PDU. A pure function of its input, so asking twice gives the same
 * answer. spec: server-server-api.md "Checks performed on receipt of a PDU"
 */
export function decide(input: DecideInput): Decision {
  const { version, roomId, event, view } = input
  if (claimedRoomId(version, event.pdu) !== roomId) {
    return {
      kind: 'drop',
      why: { code: 'wrong room', field: 'room_id', reason: 'the event is of another room' },
    }
  }
  if (startsRoom(version, event.pdu)) return decideFirst(input)
  const missing = judgedBy(version, event.pdu).filter((id) => view.get(id) === undefined)
  const prevIds = [...new Set(prevEventIds(event.pdu))].sort(compareIds)
  const states = prevIds.map((id) => ({ id, state: input.stateAfter(id) }))
  const unknownStates = states.filter(({ state }) => state === undefined).map(({ id }) => id)
  if (missing.length > 0 || unknownStates.length > 0) return need(missing, unknownStates)
  const knownStates = states.flatMap(({ state }) => state ?? [])
  const before = resolve(version, knownStates, view)
  return before.kind === 'need' ? { ...before, states: [] } : decideIn(input, before.state)
}

/**
 * Check 4 alone, for an event that is known as state or auth event only; `undefined` means accepted. `view` must
 * hold its auth events and the room's create event.
 */
export function checkOutlier(input: OutlierInput): AuthFailure | undefined {
  const { version, roomId, event, view } = input
  if (claimedRoomId(version, event.pdu) !== roomId)
    return breach(version, 'authEvents.otherRoom', 'the event is of another room')
  if (startsRoom(version, event.pdu)) {
    return checkAuth(version, event.pdu, { create: event.pdu, get: () => undefined })
  }
  const unknown = judgedBy(version, event.pdu).find((id) => view.get(id) === undefined)
  if (unknown !== undefined) {
    const rule = unknown === createIdOf(version, event.pdu) ? 'room' : 'authEvents.rejected'
    return breach(version, rule, `${unknown} is not known`)
  }
  return checkByAuthEvents(input)
}

/** The event that starts a room. Rule 1 needs no state. A room is started once: another such event is of another room. */
function decideFirst({ version, event, currentState }: DecideInput): Decision {
  const stateBefore: StateMap = new Map()
  const why = checkAuth(version, event.pdu, { create: event.pdu, get: () => undefined })
  if (why !== undefined) return reject(why, stateBefore)
  const first = currentState?.get(CREATE_KEY)
  if (first !== undefined && first !== event.id) {
    const reason = 'another create event of a room that has one'
    return { kind: 'drop', why: { code: 'wrong room', field: 'type', reason } }
  }
  return {
    kind: 'accept',
    stateBefore,
    stateAfter: applyToState(stateBefore, event.id, event.pdu),
    effects: [],
  }
}

function decideIn(input: DecideInput, stateBefore: StateMap): Decision {
  const { version, event, view, currentState = stateBefore } = input
  // Check 4: the auth events, and the state that they make.
  const named = checkByAuthEvents(input)
  if (named !== undefined) return reject(named, stateBefore)
  const create = createOf(version, event.pdu, view) ?? event
  // Check 5: the state before the event. Check 6: the current state.
  const atEvent = authStateOf(version, event.pdu, create.pdu, stateBefore, view)
  const atPresent =
    currentState === stateBefore ? atEvent : authStateOf(version, event.pdu, create.pdu, currentState, view)
  const unloaded = [...atEvent.missing, ...atPresent.missing]
  if (unloaded.length > 0) return need(unloaded)
  const why = checkAuth(version, event.pdu, atEvent.auth)
  if (why !== undefined) return reject(why, stateBefore)
  const stateAfter = applyToState(stateBefore, event.id, event.pdu)
  const softly = atPresent === atEvent ? undefined : checkAuth(version, event.pdu, atPresent.auth)
  if (softly !== undefined) return { kind: 'softFail', why: softly, stateBefore, stateAfter, effects: [] }
  return { kind: 'accept', stateBefore, stateAfter, effects: effectsOf(version, event.pdu, atEvent.auth) }
}

function checkByAuthEvents({ version, roomId, event, view }: OutlierInput): AuthFailure | undefined {
  const create = createOf(version, event.pdu, view)
  const named = authEventState(event.pdu, view)
  const auth: AuthState = { create: create?.pdu ?? event.pdu, get: (key) => named.get(key) }
  // Rule 1 stands before the others.
  if (event.pdu.type === 'm.room.create') return checkAuth(version, event.pdu, auth)
  const field = oversizedField(event.pdu)
  if (field !== undefined) return { rule: 'size limits', reason: `${field} is longer than 255 bytes` }
  return (
    (create === undefined ? undefined : checkRoom(version, create)) ??
    checkAuthEvents(version, event.pdu, roomId, view) ??
    checkAuth(version, event.pdu, auth)
  )
}

function reject(why: AuthFailure, stateBefore: StateMap): Decision {
  return { kind: 'reject', why, stateBefore, effects: [] }
}

function need(events: readonly EventId[], states: readonly EventId[] = []): Decision {
  return {
    kind: 'need',
    events: [...new Set(events)].sort(compareIds),
    floor: Infinity,
    children: [],
    states,
  }
}

/** The entries of a state that an event is checked against, and those of them that are not loaded. */
function authStateOf(
  version: RoomVersion,
  pdu: Pdu,
  create: Pdu,
  state: StateMap,
  view: EventView,
): { readonly auth: AuthState; readonly missing: readonly EventId[] } {
  const events = new Map<StateKey, Pdu>()
  const missing: EventId[] = []
  for (const key of authStateKeys(version, pdu)) {
    const id = state.get(key)
    if (id === undefined) continue
    const known = view.get(id)
    if (known === undefined) missing.push(id)
    else events.set(key, known.pdu)
  }
  // Where the create event is part of the auth events, an event may name another than the room has.
  return { auth: { create: events.get(CREATE_KEY) ?? create, get: (key) => events.get(key) }, missing }
}

function effectsOf(version: RoomVersion, pdu: Pdu, auth: AuthState): readonly Effect[] {
  const target = redactionTarget(version, pdu)
  return target === undefined
    ? []
    : [{ kind: 'redact', target, ofOthers: mayRedactOthers(version, pdu, auth) }]
}

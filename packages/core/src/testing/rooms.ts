import { authStateKeys } from '../auth/selection.ts'
import { buildEvent } from '../build.ts'
import { decide, type Decision } from '../decide.ts'
import { eventIdOf, referenceTo, roomIdOf } from '../hash.ts'
import { serverOf, type EventId, type RoomId, type UserId } from '../ids.ts'
import type { JsonObject } from '../json.ts'
import { createKnownEvents } from '../known-events.ts'
import { prevEventIds, type AuthView, type Pdu } from '../pdu.ts'
import { resolve } from '../resolve/resolve.ts'
import { roomVersion, type RoomVersion } from '../room-version.ts'
import { splitStateKey, stateKey, type StateMap } from '../state.ts'

/** An event of a test room. */
export type Made = { readonly id: EventId; readonly pdu: Pdu }

/** What a test says about an event; everything left out is what an honest server would put. */
export type Spec = {
  readonly type: string
  readonly sender: string
  readonly stateKey?: string
  readonly content?: JsonObject
  /** Heads of the room if absent. */
  readonly prev?: readonly Made[]
  /** By the selection from the state before if absent. */
  readonly auth?: readonly Made[]
  /** A second after the last one if absent. */
  readonly ts?: number
  readonly redacts?: EventId
}

/** A room kept in memory as one server would, without signatures. */
export interface TestRoom {
  readonly version: RoomVersion
  readonly roomId: RoomId
  readonly create: Made
  readonly view: AuthView
  /** Builds and receives. */
  add(spec: Spec): Made
  /** As `add`, with the decision. */
  decide(spec: Spec): { readonly made: Made; readonly decision: Decision }
  /** Builds, and stores nothing. */
  build(spec: Spec): Made
  /** Decides an event of any origin, and stores it unless it is dropped or something is missing. */
  receive(made: Made): Decision
  stateAfter(id: EventId): StateMap | undefined
  /** The resolved state of the heads. */
  state(): StateMap
  /** The event at a place in the current state. */
  at(type: string, key?: string): Pdu | undefined
  /** All events in the order of arrival, the create event first. */
  all(): readonly Made[]
}

export type RoomInit = {
  readonly version?: RoomVersion
  readonly creator?: string
  readonly content?: JsonObject
  /** An existing create event: the room as another server would keep it. */
  readonly create?: Made
}

const START = 1_700_000_000_000

export function createTestRoom(init: RoomInit = {}): TestRoom {
  const version = init.version ?? requireVersion('12')
  const view = createKnownEvents()
  const order: Made[] = []
  const states = new Map<EventId, StateMap>()
  const heads = new Map<EventId, Made>()
  let clock = START
  const create = init.create ?? buildCreate(version, init.creator ?? '@alice:a', init.content ?? {})
  const roomId = roomIdOf(version, create.pdu)

  function stateBefore(prev: readonly Made[]): StateMap {
    const sets = prev.map(({ id }) => states.get(id) ?? new Map())
    const resolution = resolve(version, sets, view)
    if (resolution.kind === 'need') throw new Error(`the room lacks ${resolution.events.join(' ')}`)
    return resolution.state
  }

  function build(spec: Spec): Made {
    const { type, sender, stateKey: key, content = {}, redacts } = spec
    const prev = spec.prev ?? [...heads.values()]
    const template = {
      type,
      sender: sender as UserId,
      content,
      ...(key === undefined ? {} : { stateKey: key }),
      ...(redacts === undefined ? {} : { redacts }),
    }
    const subject = { type, sender, content, ...(key === undefined ? {} : { state_key: key }) }
    const state = spec.auth === undefined ? stateBefore(prev) : undefined
    const selected = authStateKeys(version, subject).flatMap((k) => state?.get(k) ?? [])
    const authEvents = (spec.auth ?? selected.flatMap((id) => view.get(id) ?? [])).map((event) =>
      referenceTo(version, event),
    )
    clock += 1000
    const prevEvents = prev.map((event) => ({
      reference: referenceTo(version, event),
      depth: event.pdu.depth,
    }))
    const now = spec.ts ?? clock
    const ids = { roomId, ...newEventId(version, sender, clock) }
    const pdu = buildEvent(version, { template, ...ids, prevEvents, authEvents, now })
    return { id: eventIdOf(version, pdu), pdu }
  }

  function receive(made: Made): Decision {
    const decision = decide({
      version,
      roomId,
      event: made,
      view,
      stateAfter: (id) => states.get(id),
      currentState: heads.size === 0 ? undefined : stateBefore([...heads.values()]),
    })
    if (decision.kind === 'drop' || decision.kind === 'need') return decision
    const rejected = decision.kind === 'reject'
    if (view.get(made.id) === undefined) order.push(made)
    view.add({ ...made, verdict: rejected ? 'rejected' : 'accepted' })
    states.set(made.id, rejected ? decision.stateBefore : decision.stateAfter)
    if (decision.kind === 'accept') {
      for (const id of prevEventIds(made.pdu)) heads.delete(id)
      heads.set(made.id, made)
    }
    return decision
  }

  receive(create)
  return {
    version,
    roomId,
    create,
    view,
    build,
    receive,
    add(spec) {
      const made = build(spec)
      receive(made)
      return made
    },
    decide(spec) {
      const made = build(spec)
      return { made, decision: receive(made) }
    },
    stateAfter: (id) => states.get(id),
    state: () => stateBefore([...heads.values()]),
    at(type, key = '') {
      const id = stateBefore([...heads.values()]).get(stateKey(type, key))
      return id === undefined ? undefined : view.get(id)?.pdu
    },
    all: () => order,
  }
}

/** The record of a version that must be there. */
export function requireVersion(id: string): RoomVersion {
  const version = roomVersion(id)
  if (version === undefined) throw new Error(`room version ${id} is not supported`)
  return version
}

function buildCreate(version: RoomVersion, creator: string, content: JsonObject): Made {
  const template = {
    type: 'm.room.create',
    sender: creator as UserId,
    stateKey: '',
    content: {
      room_version: version.id,
      ...(version.creator === 'content' ? { creator } : {}),
      ...content,
    },
  }
  const pdu = buildEvent(version, {
    template,
    ...(version.roomIdIsCreateHash ? {} : { roomId: `!room:${serverOf(template.sender)}` as RoomId }),
    ...newEventId(version, creator, START),
    prevEvents: [],
    authEvents: [],
    now: START,
  })
  return { id: eventIdOf(version, pdu), pdu }
}

/** Where events carry their ids. The clock of a room makes them unique in it. */
function newEventId(version: RoomVersion, sender: string, clock: number): { readonly eventId?: EventId } {
  return version.eventIds === 'field' ? { eventId: `$${clock}:${serverOf(sender as UserId)}` as EventId } : {}
}

export const member = (
  sender: string,
  target: string,
  membership: string,
  content: JsonObject = {},
): Spec => ({
  type: 'm.room.member',
  sender,
  stateKey: target,
  content: { membership, ...content },
})
export const join = (user: string): Spec => member(user, user, 'join')
export const state = (sender: string, type: string, content: JsonObject): Spec => ({
  type,
  sender,
  stateKey: '',
  content,
})
export const levels = (sender: string, content: JsonObject): Spec =>
  state(sender, 'm.room.power_levels', content)
export const joinRule = (sender: string, rule: string): Spec =>
  state(sender, 'm.room.join_rules', { join_rule: rule })
export const topic = (sender: string, text: string): Spec => state(sender, 'm.room.topic', { topic: text })
export const message = (sender: string, body: string): Spec => ({
  type: 'm.room.message',
  sender,
  content: { msgtype: 'm.text', body },
})

/** A state as text, for comparing: `type|key` → event id, sorted. */
export function stateText(map: StateMap): readonly string[] {
  return [...map].map(([key, id]) => `${splitStateKey(key).join('|')} ${id}`).sort()
}

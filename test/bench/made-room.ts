/** Rooms of any size, made of events that nobody decided: for measuring what is done with them. */
import {
  applyToState,
  authStateKeys,
  buildEvent,
  createEventIdOf,
  createKnownEvents,
  eventIdOf,
  roomIdOf,
  type EventId,
  type EventTemplate,
  type JsonObject,
  type KnownEvents,
  type Pdu,
  type RoomId,
  type RoomVersion,
  type StateMap,
  type UserId,
} from '@plexus/core'
import { requireVersion } from '@plexus/core/testing'

export const VERSION: RoomVersion = requireVersion('12')

export type Made = { readonly id: EventId; readonly pdu: Pdu }

/** A line of events from one server's point of view. Immutable: each event gives the next. */
export type Line = { readonly state: StateMap; readonly last: Made }

export type MadeRoom = {
  readonly roomId: RoomId
  readonly creator: UserId
  readonly events: KnownEvents
  /** With public join rules, power levels and every member joined. */
  readonly base: Line
  /** All of `base`, each event after its auth events. */
  readonly made: readonly Made[]
  /** The next event of a line, with the auth events that its state gives. Not among `events`. */
  build(line: Line, template: EventTemplate): Made
  /** Builds an event and puts it among `events`. */
  add(line: Line, template: EventTemplate): Line
}

/** What is done to each event when it is built, such as signing. */
export type Finish = (pdu: Pdu) => Pdu

const START = 1_700_000_000_000

export const stateOf = (
  sender: string,
  type: string,
  stateKey: string,
  content: JsonObject,
): EventTemplate => ({ type, sender: sender as UserId, stateKey, content })

export const membership = (sender: string, target: string, content: JsonObject): EventTemplate =>
  stateOf(sender, 'm.room.member', target, content)

export const messageOf = (sender: string, body: string): EventTemplate => ({
  type: 'm.room.message',
  sender: sender as UserId,
  content: { msgtype: 'm.text', body },
})

export const memberName = (index: number, server: string): string => `@member${index}:${server}`

/** `serverOf` tells where each member is. */
export function makeRoom(
  members: number,
  server: string,
  finish: Finish = (pdu) => pdu,
  serverOf: (member: number) => string = () => server,
): MadeRoom {
  const creator = `@creator:${server}` as UserId
  const events = createKnownEvents()
  const made: Made[] = []
  let clock = START
  const first = finish(
    buildEvent(VERSION, {
      template: stateOf(creator, 'm.room.create', '', { room_version: VERSION.id }),
      prevEvents: [],
      authEvents: [],
      now: clock,
    }),
  )
  const roomId = roomIdOf(VERSION, first)
  const keep = (event: Made): Made => {
    events.add({ ...event, verdict: 'accepted' })
    made.push(event)
    return event
  }
  const build = ({ state, last }: Line, template: EventTemplate): Made => {
    const { type, sender, content, stateKey } = template
    const subject = { type, sender, content, ...(stateKey === undefined ? {} : { state_key: stateKey }) }
    clock += 1
    const pdu = finish(
      buildEvent(VERSION, {
        template,
        roomId,
        prevEvents: [{ reference: last.id, depth: last.pdu.depth }],
        authEvents: authStateKeys(VERSION, subject).flatMap((key) => state.get(key) ?? []),
        now: clock,
      }),
    )
    return { id: eventIdOf(VERSION, pdu), pdu }
  }
  const add = (line: Line, template: EventTemplate): Line => {
    const last = keep(build(line, template))
    return { state: applyToState(line.state, last.id, last.pdu), last }
  }
  const create = keep({ id: createEventIdOf(roomId), pdu: first })
  let base: Line = { state: applyToState(new Map(), create.id, first), last: create }
  base = add(base, membership(creator, creator, { membership: 'join' }))
  base = add(base, stateOf(creator, 'm.room.power_levels', '', { users: {} }))
  base = add(base, stateOf(creator, 'm.room.join_rules', '', { join_rule: 'public' }))
  for (let index = 0; index < members; index += 1) {
    const user = memberName(index, serverOf(index))
    base = add(base, membership(user, user, { membership: 'join', displayname: `Member ${index}` }))
  }
  return { roomId, creator, events, base, made, build, add }
}

import { decide, type DecideInput, type Decision } from '../decide.ts'
import { eventIdOf } from '../hash.ts'
import type { EventId } from '../ids.ts'
import type { JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import { stateKey, type StateMap } from '../state.ts'
import type { Made, TestRoom } from './rooms.ts'

/** The id of an event that nobody has. */
export const NOWHERE: EventId = `$${'n'.repeat(43)}` as EventId

/** Verdict and rule in one word. */
export function outcome(decision: Decision): string {
  switch (decision.kind) {
    case 'accept':
    case 'need':
      return decision.kind
    case 'drop':
      return `drop: ${decision.why.code}`
    default:
      return `${decision.kind}: ${decision.why.rule}`
  }
}

/** The id at a place of a state. */
export function idAt(state: StateMap, type: string, key = ''): EventId | undefined {
  return state.get(stateKey(type, key))
}

/** The state after an event; empty for one that the room does not have. */
export function after(room: TestRoom, made: Made): StateMap {
  return room.stateAfter(made.id) ?? new Map<never, never>()
}

/** The event with top-level keys replaced, and the id that it then has. */
export function altered(room: TestRoom, made: Made, change: JsonObject): Made {
  const pdu = { ...made.pdu, ...change } as Pdu
  return { id: eventIdOf(room.version, pdu), pdu }
}

/** What the room would ask about an event. */
export function inputFor(room: TestRoom, event: Made, change: Partial<DecideInput> = {}): DecideInput {
  return {
    version: room.version,
    roomId: room.roomId,
    event,
    view: room.view,
    stateAfter: (id) => room.stateAfter(id),
    currentState: room.state(),
    ...change,
  }
}

/** `decide` on an event that the room does not store. */
export function decideIn(room: TestRoom, event: Made, change: Partial<DecideInput> = {}): Decision {
  return decide(inputFor(room, event, change))
}

/** What an event redacts, and what redacts it. spec: rooms/v3.md "Handling redactions" */
import type { EventId, RoomId, ServerName } from '@plexus/core'
import { serverOf } from '@plexus/core'
import type { AcceptedDecision, Case } from './case.ts'
import type { WaitingRedaction } from './records.ts'
import type { RoomDeps } from './room.ts'
import type { EventRecord } from './types.ts'

export type Redaction = {
  /** A known event that the accepted event redacts. */
  readonly target?: EventRecord
  /** The accepted event redacts one that is not here yet. */
  readonly waits?: readonly [target: EventId, redaction: WaitingRedaction]
  /** An earlier redaction of the accepted event itself. */
  readonly by?: EventId
}

/** The accepted redaction that waits for an event of this room by a user of this server. */
export async function redactionOf(
  deps: Pick<RoomDeps, 'waitingRedactions'>,
  roomId: RoomId,
  id: EventId,
  server: ServerName,
): Promise<EventId | undefined> {
  const waiting = await deps.waitingRedactions.get(id, server)
  return waiting?.roomId === roomId ? waiting.by : undefined
}

export async function prepareRedaction(
  { deps, roomId, event }: Case,
  decision: AcceptedDecision,
): Promise<Redaction> {
  const server = serverOf(event.pdu.sender)
  const earlier = await redactionOf(deps, roomId, event.id, server)
  const by = earlier === undefined ? {} : { by: earlier }
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
  return allowed ? { ...by, target: known } : by
}

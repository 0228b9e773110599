/** What an event redacts, and what redacts it. spec: rooms/v3.md "Handling redactions" */
import type { EventId, Pdu, RoomId, RoomVersion, ServerName } from '@plexus/core'
import { redact, redactionTarget, serverOf } from '@plexus/core'
import type { Write } from '../ports.ts'
import { forgetWrites, postingWrites } from '../search/postings.ts'
import type { AcceptedDecision, Case } from './case.ts'
import type { RoomCopy } from './copy.ts'
import { unredacted, waitingRedactions, type WaitingRedaction } from './records.ts'
import { placeWrites } from './relation.ts'
import type { RoomDeps } from './room.ts'
import type { EventRecord } from './types.ts'
import { reachOf } from './waiting-redactions.ts'

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
  const isOwn = serverOf(known.pdu.sender) === server
  const allowed = known.roomId === roomId && isRedactable(known.pdu) && (ofOthers || isOwn)
  return allowed ? { ...by, target: known } : by
}

/**
 * Not the create event: before version 11 it would lose the version of the room, so that nobody could join any more, and
 * whether the room federates.
 */
export function isRedactable({ type }: Pdu): boolean {
  return type !== 'm.room.create'
}

/** Redacts the event's target, or remembers to. `finish` keeps a record. */
export function redactionWrites(
  { deps, version, copy, event }: Case,
  { target: wanted, waits }: Redaction,
  finish: (record: EventRecord) => Write,
): Write[] {
  const writes: Write[] = []
  const target = wanted === undefined ? undefined : (deps.events.peek(wanted.id) ?? wanted)
  if (target !== undefined && target.redactedBy !== event.id) {
    writes.push(
      finish({ ...target, pdu: redact(version, target.pdu), redactedBy: event.id }),
      ...forgetWrites(target),
      ...(target.redactedBy === undefined ? unredactedWrites(copy, target.id, target.pdu) : []),
    )
  }
  if (waits !== undefined) writes.push(waitingRedactions.put([waits[0], reachOf(waits[1])], waits[1]))
  return writes
}

/** Keeps what is redacted while the state that allows it lacks members. */
export function unredactedWrites(
  copy: Pick<RoomCopy, 'roomId' | 'partial'> | undefined,
  id: EventId,
  pdu: Pdu,
): Write[] {
  return copy?.partial === undefined ? [] : [unredacted.put([copy.roomId, id], pdu)]
}

/** The writes that give back what a redaction took, which is refused when it is decided again. */
export async function undoneRedaction(
  { deps, version, roomId, event }: Case,
  finish: (record: EventRecord) => Write,
): Promise<() => readonly Write[]> {
  const id = event.again?.verdict === 'accepted' ? redactionTarget(version, event.pdu) : undefined
  if (id === undefined) return () => []
  const waiting = await deps.waitingRedactions.get(id, serverOf(event.pdu.sender))
  const waits = waiting?.by === event.id ? waiting : undefined
  if (waits !== undefined) deps.waitingRedactions.remove(id, waits)
  const pdu = await unredacted.get(deps.store, [roomId, id])
  const [known] = await deps.events.working([id])
  return () => {
    const writes: Write[] = waits === undefined ? [] : [waitingRedactions.delete([id, reachOf(waits)])]
    const target = deps.events.peek(id) ?? known
    if (pdu === undefined || target?.redactedBy !== event.id) return writes
    const { redactedBy: _, ...restored } = { ...target, pdu }
    const { order } = restored
    if (order !== undefined) writes.push(...placeWrites(roomId, order, id, pdu), ...postingWrites(restored))
    return [...writes, finish(restored)]
  }
}

/** The record as an earlier redaction leaves it. */
export function redactedRecord(
  version: RoomVersion,
  record: EventRecord,
  by: EventId | undefined,
): EventRecord {
  return by === undefined || record.redactedBy !== undefined || !isRedactable(record.pdu)
    ? record
    : { ...record, pdu: redact(version, record.pdu), redactedBy: by }
}

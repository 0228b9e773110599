/**
 * Events whose copies came without their content, and the whole copies that take their place.
 * DESIGN section 5 "Inbound"
 */
import { areCopies, type EventId } from '@plexus/core'
import { fetchEvent } from './claims.ts'
import { isStripped } from './copy.ts'
import type { GapDeps, Inquiry } from './gap.ts'
import { events as eventTable } from './records.ts'
import type { Room } from './room.ts'
import type { EventRecord } from './types.ts'
import type { CheckedEvent } from './verify.ts'

/** Events of a state of which whole copies are asked for: most that are stripped were redacted, and have none. */
export const MAX_WHOLE_COPIES = 20

/** Copies whose content matches its hash take the place of the redacted ones that did not. */
export async function replaceStripped(
  deps: Pick<GapDeps, 'events'>,
  room: Room,
  copies: readonly CheckedEvent[],
): Promise<void> {
  const whole = copies.filter(({ contentHashOk }) => contentHashOk)
  if (whole.length === 0) return
  const { done } = await room.run(async (turn) => {
    await deps.events.working(whole.map(({ id }) => id))
    let replaced: EventRecord[] = []
    const change = {
      writes: () => {
        replaced = whole.flatMap(({ id, pdu }) => {
          const record = deps.events.peek(id)
          if (record === undefined || !isStripped(record)) return []
          if (!areCopies(room.version, record.pdu, pdu)) return []
          const { hashMismatch: _, ...rest } = record
          return [{ ...rest, pdu, isLate: true as const }]
        })
        for (const record of replaced) deps.events.stage(record)
        return replaced.map((record) => eventTable.put([record.id], record))
      },
      publish: () => {
        for (const record of replaced) deps.events.adopt(record)
      },
    }
    return { done: turn.submit(change) }
  })
  await done
}

/**
 * Asks a member for whole copies of what came stripped of a state: without the content of `m.room.encryption` a room
 * would look unencrypted. Memberships keep what counts of them when they are stripped.
 */
export async function fetchWholeCopies(
  deps: GapDeps,
  room: Room,
  inquiry: Inquiry,
  state: Iterable<EventId>,
): Promise<void> {
  const stripped = (await deps.events.working([...state])).filter(
    (record) => record !== undefined && isStripped(record) && record.pdu.type !== 'm.room.member',
  )
  const copies: CheckedEvent[] = []
  for (const record of stripped.slice(0, MAX_WHOLE_COPIES)) {
    const copy = record === undefined ? undefined : await fetchEvent(deps, inquiry, record.id)
    if (copy !== undefined) copies.push(copy)
  }
  await replaceStripped(deps, room, copies)
}

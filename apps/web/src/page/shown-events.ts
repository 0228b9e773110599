import { RelationType, type MatrixEvent, type Room } from './sdk.ts'

/** In the order of the node, then what it has not taken yet. */
export function eventsOf(room: Room): readonly MatrixEvent[] {
  const taken = readableEvents(room)
  const ids = new Set(taken.map((event) => event.getId()))
  // What the node took while the page was away is fetched as history, which settles no pending event.
  const pending = room
    .getPendingEvents()
    .filter((event) => !event.isRelation(RelationType.Replace) && !ids.has(event.getId()))
  return [...taken, ...pending]
}

/** What the node took. What just came is left out while it is decrypted: drawing it would make that longer. */
export function readableEvents(room: Room): readonly MatrixEvent[] {
  const events = room.getLiveTimeline().getEvents()
  return events.slice(0, events.findLastIndex((event) => !isBeingOpened(event)) + 1)
}

/** The newest event is being decrypted. */
export function isOpening(room: Room): boolean {
  const newest = room.getLiveTimeline().getEvents().at(-1)
  return newest !== undefined && isBeingOpened(newest)
}

function isBeingOpened(event: MatrixEvent): boolean {
  return event.isBeingDecrypted() && !event.isDecryptionFailure()
}

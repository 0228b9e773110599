import { RelationType, type MatrixEvent, type Room } from './sdk.ts'

/** In the order of the node, then what it has not taken yet. */
export function eventsOf(room: Room): readonly MatrixEvent[] {
  const taken = room.getLiveTimeline().getEvents()
  const ids = new Set(taken.map((event) => event.getId()))
  // What the node took while the page was away is fetched as history, which settles no pending event.
  const pending = room
    .getPendingEvents()
    .filter((event) => !event.isRelation(RelationType.Replace) && !ids.has(event.getId()))
  return [...taken, ...pending]
}

/** Rooms that would mix nodes without a DNS name and ordinary homeservers, who cannot check their events. DESIGN section 2 */
import type { EventId, ServerName } from '@plexus/core'
import { serverOf } from '@plexus/core'
import { canMeet } from '@plexus/core/names'
import { memberOf, membershipOf } from './copy.ts'
import type { EventStore } from './event-store.ts'
import type { RoomSnapshot } from './types.ts'
import { RoomError } from './types.ts'

export const MIXED_ROOM =
  'a user of an ordinary homeserver cannot be in a room with a user of a node without a DNS name'

/** @throws RoomError M_FORBIDDEN for a server that cannot meet all who are in the room or invited to it. */
export async function checkCanMeet(
  { events }: { readonly events: EventStore },
  snapshot: Pick<RoomSnapshot, 'joinedServers' | 'state'>,
  server: ServerName,
): Promise<void> {
  const mayMeet = canMeet(server)
  if (!snapshot.joinedServers.every(mayMeet)) throw new RoomError('M_FORBIDDEN', MIXED_ROOM)
  // Of servers without a joined member it is the membership that tells: most have left.
  const judged = new Map(snapshot.joinedServers.map((name) => [name, true]))
  const strange: EventId[] = []
  for (const [key, id] of snapshot.state) {
    const user = memberOf(key)
    if (user === undefined) continue
    const name = serverOf(user)
    if (!judged.has(name)) judged.set(name, mayMeet(name))
    if (judged.get(name) === false) strange.push(id)
  }
  const memberships = (await events.getMany(strange)).map((record) => membershipOf(record?.pdu))
  if (memberships.some((each) => each === 'invite' || each === 'join'))
    throw new RoomError('M_FORBIDDEN', MIXED_ROOM)
}

/** @throws RoomError M_FORBIDDEN for two servers whose users cannot be in one room. */
export function checkPair(one: ServerName, other: ServerName): void {
  if (!canMeet(one)(other)) throw new RoomError('M_FORBIDDEN', MIXED_ROOM)
}

/** Who may see a room from outside. spec: data/api/client-server/space_hierarchy.yaml and its sibling in server-server */
import { splitStateKey } from '@plexus/core'
import type { RoomId, ServerName, StateMap, UserId } from '@plexus/core'
import { membershipOf } from '../rooms/copy.ts'
import type { Membership, Rooms } from '../rooms/types.ts'
import type { RoomDescription } from './types.ts'

/** Join rules under which anybody may ask to come in. */
const OPEN_RULES: ReadonlySet<string> = new Set(['public', 'knock', 'knock_restricted'])
const AWAITED: ReadonlySet<Membership> = new Set(['invite', 'knock'])
/** Members of one server that are looked at, for one who is invited. */
const MAX_INVITED = 100

const isOpen = ({ worldReadable, joinRule }: RoomDescription): boolean =>
  worldReadable || OPEN_RULES.has(joinRule ?? 'invite')

export async function mayUserKnow(
  rooms: Rooms,
  room: RoomDescription,
  userId: UserId | undefined,
): Promise<boolean> {
  if (isOpen(room)) return true
  if (userId === undefined) return false
  const membership = (await rooms.membership(userId, room.roomId))?.membership
  if (membership === 'join' || membership === 'invite' || membership === 'knock') return true
  if (room.joinRule !== 'restricted') return false
  const own = await rooms.memberships(userId)
  return own.some((row) => row.membership === 'join' && room.allowedRooms.includes(row.roomId))
}

/** True where one of the server's users could join or peek, or asked to. */
export async function mayServerKnow(
  rooms: Rooms,
  room: RoomDescription,
  server: ServerName,
): Promise<boolean> {
  if (isOpen(room)) return true
  const snapshot = await rooms.snapshot(room.roomId)
  if (snapshot === undefined) return false
  if (snapshot.joinedServers.includes(server) || (await isAwaited(rooms, snapshot.state, server))) return true
  if (room.joinRule !== 'restricted') return false
  for (const id of room.allowedRooms) {
    const allowed = await rooms.snapshot(id as RoomId)
    const isCurrent = allowed !== undefined && rooms.localMembers(allowed).length > 0
    if (isCurrent && allowed.joinedServers.includes(server)) return true
  }
  return false
}

/** Whether a user of the server is invited, or has knocked. */
async function isAwaited(rooms: Rooms, state: StateMap, server: ServerName): Promise<boolean> {
  const keys = [...state.keys()]
    .filter((key) => {
      const [type, user] = splitStateKey(key)
      return type === 'm.room.member' && user.endsWith(`:${server}`)
    })
    .slice(0, MAX_INVITED)
  const members = await rooms.stateEvents(state, keys)
  return members.some(({ pdu }) => AWAITED.has(membershipOf(pdu)))
}

/** Who is typing: in memory only, worth nothing after a restart. spec: client-server-api/modules/typing_notifications.md */
import { ownValue, parseRoomId, parseUserId, serverOf } from '@plexus/core'
import type { RoomId, UserId } from '@plexus/core'
import type { Serial } from '../kernel/serial.ts'
import type { Outbox } from '../outbox-types.ts'
import type { Clock } from '../ports.ts'
import { aclOf } from '../rooms/acl.ts'
import type { Rooms } from '../rooms/types.ts'
import { mayBeMember, requireJoined } from './joined.ts'
import type { Typing } from './types.ts'

/** Longest time for which one request or EDU shows a user as typing. */
export const MAX_TYPING_MS = 60_000
/** EDUs carry no time; a user who is not heard of for so long has stopped. */
export const REMOTE_TYPING_MS = 30_000
/** Users shown as typing in one room; further ones are ignored. */
export const MAX_TYPING_USERS = 100
/** Rooms whose typing users are remembered; the one changed longest ago is forgotten first. */
export const MAX_TYPING_ROOMS = 1_000

type RoomTyping = { readonly users: Map<UserId, () => void>; changed: number }

type TypingDeps = {
  readonly rooms: () => Rooms
  readonly outbox: Pick<Outbox, 'sendToRoom'>
  readonly clock: Clock
  readonly serial: Serial
}

export function createTyping({ rooms, outbox, clock, serial }: TypingDeps): Typing {
  /** In the order of the last change. */
  const byRoom = new Map<RoomId, RoomTyping>()
  const listeners = new Set<() => void>()

  const changed = (roomId: RoomId, room: RoomTyping): void => {
    room.changed = serial.next()
    byRoom.delete(roomId)
    byRoom.set(roomId, room)
    for (const [oldest, { users }] of byRoom) {
      if (byRoom.size <= MAX_TYPING_ROOMS) break
      for (const cancel of users.values()) cancel()
      byRoom.delete(oldest)
    }
    for (const listener of listeners) listener()
  }

  /** True when the room's list of users changed. */
  const stop = (userId: UserId, roomId: RoomId): boolean => {
    const room = byRoom.get(roomId)
    const cancel = room?.users.get(userId)
    if (room === undefined || cancel === undefined) return false
    cancel()
    room.users.delete(userId)
    changed(roomId, room)
    return true
  }

  const start = (userId: UserId, roomId: RoomId, ms: number): void => {
    const room = byRoom.get(roomId) ?? { users: new Map<UserId, () => void>(), changed: 0 }
    const running = room.users.get(userId)
    if (running === undefined && room.users.size >= MAX_TYPING_USERS) return
    running?.()
    room.users.set(
      userId,
      clock.after(ms, () => void stop(userId, roomId)),
    )
    if (running === undefined) changed(roomId, room)
  }

  return {
    async set(userId, roomId, typing, timeoutMs) {
      const snapshot = await requireJoined(rooms(), userId, roomId)
      const isAllowed = await aclOf((id) => rooms().event(id), snapshot)
      if (typing) start(userId, roomId, Math.min(Math.max(0, timeoutMs), MAX_TYPING_MS))
      else if (!stop(userId, roomId)) return
      const edu = { edu_type: 'm.typing', content: { room_id: roomId, user_id: userId, typing } }
      outbox.sendToRoom(roomId, snapshot.joinedServers.filter(isAllowed), edu)
    },
    changedSince(since) {
      return [...byRoom].filter(([, room]) => room.changed > since).map(([roomId]) => roomId)
    },
    users: (roomId) => [...(byRoom.get(roomId)?.users.keys() ?? [])].sort(),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async edu(origin, content) {
      const room = ownValue(content, 'room_id')
      const user = ownValue(content, 'user_id')
      const roomId = typeof room === 'string' ? parseRoomId(room) : undefined
      const userId = typeof user === 'string' ? parseUserId(user) : undefined
      if (roomId === undefined || userId === undefined || serverOf(userId) !== origin) return undefined
      const snapshot = await rooms().snapshot(roomId)
      if (snapshot === undefined) return undefined
      if (!snapshot.joinedMembers.includes(userId) && !mayBeMember(snapshot, userId)) return undefined
      if (ownValue(content, 'typing') === true) start(userId, roomId, REMOTE_TYPING_MS)
      else stop(userId, roomId)
      return undefined
    },
  }
}

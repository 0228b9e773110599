/** The rooms of this node, loaded when asked for. */
import type { RoomId, RoomVersion, UserId } from '@plexus/core'
import { roomVersion } from '@plexus/core'
import type { RoomCopy } from './copy.ts'
import { memberOf, membershipOf } from './copy.ts'
import { partialRooms, rooms } from './records.ts'
import type { Room, RoomDeps } from './room.ts'
import { createRoom } from './room.ts'

export interface RoomRegistry {
  /** The room as loaded; `undefined` where this node holds no state of it. */
  get(roomId: RoomId): Promise<Room | undefined>
  /** The room, made empty when there is none: for a create event or a join through another server. */
  ensure(roomId: RoomId, version: RoomVersion): Promise<Room>
  /** Forgets a room of which nothing was committed. */
  discard(room: Room): void
}

export function createRoomRegistry(deps: RoomDeps): RoomRegistry {
  const open = new Map<RoomId, Promise<Room | undefined>>()

  deps.committer.onFailure(() => {
    open.clear()
    deps.events.clear()
    deps.groups.clear()
  })

  const get = async (roomId: RoomId): Promise<Room | undefined> => {
    const room = open.get(roomId) ?? loadRoom(deps, roomId)
    open.set(roomId, room)
    const forget = (): void => {
      if (open.get(roomId) === room) open.delete(roomId)
    }
    const loaded = await room.catch((error: unknown) => {
      forget()
      throw error
    })
    // An unknown room is asked for anew each time, so that strangers' ids take no memory.
    if (loaded === undefined) forget()
    if (loaded?.void !== true) return loaded
    forget()
    return get(roomId)
  }

  const ensure = async (roomId: RoomId, version: RoomVersion): Promise<Room> => {
    const known = await get(roomId)
    if (known !== undefined) return known
    if (open.has(roomId)) return ensure(roomId, version)
    const room = createRoom(deps, { roomId, version, failures: deps.committer.failures })
    open.set(roomId, Promise.resolve(room))
    return room
  }

  return {
    get,
    ensure,
    discard(room) {
      if (room.snapshot === undefined) open.delete(room.roomId)
    },
  }
}

async function loadRoom(deps: RoomDeps, roomId: RoomId): Promise<Room | undefined> {
  const { failures } = deps.committer
  const record = await rooms.get(deps.store, [roomId])
  if (record === undefined) return undefined
  const version = roomVersion(record.version)
  const create = await deps.events.get(record.createId)
  if (version === undefined || create === undefined)
    throw new Error(`the stored room ${roomId} cannot be read`)
  const current = await deps.groups.load(record.stateGroup)
  const members = [...current.state].filter(([key]) => memberOf(key) !== undefined)
  const memberEvents = await deps.events.getMany(members.map(([, id]) => id))
  const joined = new Set<UserId>()
  members.forEach(([key], index) => {
    const user = memberOf(key)
    if (user !== undefined && membershipOf(memberEvents[index]?.pdu) === 'join') joined.add(user)
  })
  const copy: RoomCopy = {
    roomId,
    version,
    create: { id: create.id, pdu: create.pdu },
    heads: record.heads,
    current,
    joined,
    lowestOrder: record.lowestOrder,
    backward: record.backward,
    holes: record.holes ?? [],
    since: record.since ?? 0,
    partial: await partialRooms.get(deps.store, [roomId]),
  }
  return createRoom(deps, { roomId, version, failures, copy, lastPosition: record.lastPosition })
}

/** Spaces and rooms from outside, those of other servers too. spec: server-server-api.md "Spaces" */
import { parseServerName, serverOf } from '@plexus/core'
import type { JsonValue, RoomId, ServerName, UserId } from '@plexus/core'
import type { Lru } from '../kernel/lru.ts'
import { createLru } from '../kernel/lru.ts'
import type { Clock, Federation, Log } from '../ports.ts'
import { FederationError } from '../ports.ts'
import type { Rooms } from '../rooms/types.ts'
import { mayServerKnow, mayUserKnow } from './may-know.ts'
import { describeRoom } from './published-room.ts'
import { inOrder, spaceChildren } from './space-children.ts'
import type { RoomDescription, RoomDirectory, SpaceChild, SpaceRoom } from './types.ts'
import { createSteady } from '../kernel/steady.ts'

/** Rooms of a space that are shown. */
export const MAX_WALKED_ROOMS = 1_000
/** Requests to other servers for one walk; what their answers say is remembered for the next. */
export const MAX_WALK_REQUESTS = 30
/** Servers asked for one room. */
const MAX_ROOM_VIA = 3
/** Children of a space that another server is told, as the page that Synapse gives. */
export const MAX_TOLD_CHILDREN = 50
/** What others said of rooms, and JSON text of what is remembered of one, in UTF-16 code units: with more it is asked for anew. */
const MAX_REMEMBERED_ROOMS = 1_000
export const MAX_REMEMBERED_LENGTH = 32_768
const REMEMBERED_MS = 300_000
/** That a server cannot be reached is remembered for a shorter time. */
const SILENCE_MS = 60_000
const ASK_TIMEOUT_MS = 10_000

export type SpacesDeps = {
  readonly rooms: Rooms
  readonly federation: Pick<Federation, 'hierarchy'>
  readonly serverName: ServerName
  readonly clock: Clock
  readonly log: Log
}

type Spaces = Pick<RoomDirectory, 'describe' | 'walk' | 'hierarchyFor'>
/** `undefined` for what a server did not tell. */
type Remembered = { readonly room: SpaceRoom | undefined; readonly until: number }
type Budget = { requests: number; readonly signal: AbortSignal | undefined }

export function createSpaces({ rooms, federation, serverName, clock, log }: SpacesDeps): Spaces {
  const steady = createSteady(clock)
  // By server and room: a server tells what it wants of rooms, and nobody else's word is touched by it.
  const remembered: Lru<string, Remembered> = createLru(MAX_REMEMBERED_ROOMS)

  const local = async (roomId: RoomId): Promise<SpaceRoom | undefined> => {
    const room = await describeRoom(rooms, roomId)
    return room === undefined ? undefined : { ...room, children: await spaceChildren(rooms, roomId) }
  }

  const remember = (server: ServerName, roomId: RoomId, room: SpaceRoom | undefined): void => {
    if (room !== undefined && JSON.stringify(room).length > MAX_REMEMBERED_LENGTH) return
    const lasts = room === undefined ? SILENCE_MS : REMEMBERED_MS
    remembered.set(`${server} ${roomId}`, { room, until: steady() + lasts })
  }

  const ask = async (server: ServerName, roomId: RoomId, budget: Budget): Promise<SpaceRoom | undefined> => {
    const known = remembered.get(`${server} ${roomId}`)
    if (known !== undefined && known.until > steady()) return known.room
    if (budget.requests <= 0) return undefined
    budget.requests -= 1
    const { signal } = budget
    const options = { timeoutMs: ASK_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) }
    try {
      const { room: told, children, inaccessible } = await federation.hierarchy(server, roomId, options)
      const room = told.roomId === roomId ? { ...told, children: inOrder(told.children) } : undefined
      remember(server, roomId, room)
      for (const id of inaccessible) remember(server, id, undefined)
      // Of a space among the children it does not say what is in it.
      for (const child of children)
        if (child.roomType !== 'm.space') remember(server, child.roomId, { ...child, children: [] })
      return room
    } catch (error) {
      signal?.throwIfAborted()
      // What it refuses it may tell as soon as somebody here has joined.
      const isRefused = error instanceof FederationError && [403, 404].includes(error.remote.status)
      if (!isRefused) remember(server, roomId, undefined)
      log.log('info', 'a server did not describe a room', { server, roomId, error: String(error) })
      return undefined
    }
  }

  const visit = async (
    roomId: RoomId,
    userId: UserId | undefined,
    via: readonly ServerName[],
    budget: Budget,
  ): Promise<SpaceRoom | undefined> => {
    const here = await local(roomId)
    if (here !== undefined) return (await mayUserKnow(rooms, here, userId)) ? here : undefined
    for (const server of via.filter((name) => name !== serverName).slice(0, MAX_ROOM_VIA)) {
      const room = await ask(server, roomId, budget)
      if (room !== undefined && (await mayUserKnow(rooms, room, userId))) return room
    }
    return undefined
  }

  return {
    async describe(roomId, userId, via, signal) {
      const room = await visit(roomId, userId, [...via, ...serverOfId(roomId)], {
        requests: MAX_ROOM_VIA,
        signal,
      })
      if (room === undefined) return undefined
      const { children: _, ...description } = room
      return description
    },
    async walk(root, userId, { maxDepth, suggestedOnly }, signal) {
      const budget: Budget = { requests: MAX_WALK_REQUESTS, signal }
      const found: SpaceRoom[] = []
      const seen = new Set<RoomId>()
      // Who was invited may look before they join.
      const row = await rooms.membership(userId, root)
      const via = [...serverOfId(root), ...(row === undefined ? [] : [serverOf(row.sender)])]
      const stack: { roomId: RoomId; depth: number; via: readonly ServerName[] }[] = [
        { roomId: root, depth: 0, via },
      ]
      for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
        const { roomId, depth } = next
        if (seen.has(roomId)) continue
        if (seen.size >= MAX_WALKED_ROOMS) break
        seen.add(roomId)
        const room = await visit(roomId, userId, next.via, budget)
        if (room === undefined) continue
        const children = suggestedOnly ? room.children.filter(({ suggested }) => suggested) : room.children
        found.push({ ...room, children })
        if (depth === maxDepth) continue
        const below = children.map((child) => ({
          roomId: child.roomId,
          depth: depth + 1,
          via: viaOf(child),
        }))
        stack.push(...below.toReversed())
      }
      return found
    },
    async hierarchyFor(origin, roomId, suggestedOnly) {
      const room = await local(roomId)
      if (room === undefined || !(await mayServerKnow(rooms, room, origin))) return undefined
      const named = suggestedOnly ? room.children.filter(({ suggested }) => suggested) : room.children
      const children: RoomDescription[] = []
      const inaccessible: RoomId[] = []
      for (const { roomId: id } of named.slice(0, MAX_TOLD_CHILDREN)) {
        const child = await describeRoom(rooms, id)
        if (child === undefined) continue
        if (await mayServerKnow(rooms, child, origin)) children.push(child)
        else inaccessible.push(id)
      }
      return { room: { ...room, children: named }, children, inaccessible }
    },
  }
}

/** Servers that the parent names for a child. */
function viaOf({ event }: SpaceChild): readonly ServerName[] {
  const via = event.content['via']
  if (!Array.isArray(via)) return []
  return via.slice(0, MAX_ROOM_VIA).flatMap((name: JsonValue) => {
    return (typeof name === 'string' ? parseServerName(name) : undefined) ?? []
  })
}

/** The server in the id of a room of versions 1 to 11, which is all that there is to go by. */
function serverOfId(roomId: RoomId): readonly ServerName[] {
  const colon = roomId.indexOf(':')
  const server = colon === -1 ? undefined : parseServerName(roomId.slice(colon + 1))
  return server === undefined ? [] : [server]
}

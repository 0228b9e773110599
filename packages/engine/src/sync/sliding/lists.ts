/** The rooms of a user in the order of their activity, and which of them a list is about. spec: proposals/4186 "Lists" */
import { isJsonObject, ownValue, splitStateKey, stateKey } from '@plexus/core'
import type { JsonObject, JsonValue, RoomId, StateMap, UserId } from '@plexus/core'
import type { MembershipRecord, RoomSnapshot, Rooms } from '../../rooms/types.ts'
import type { AccountData } from '../../users/types.ts'
import type { SlidingFilters } from './types.ts'

export type ListedRoom = {
  readonly row: MembershipRecord
  /** Absent where this node holds no state, as of invites of others. */
  readonly snapshot: RoomSnapshot | undefined
  readonly activity: number
}

/** `wasTold`: rooms of the connection, which are shown when they are left. */
export async function activeRooms(
  rooms: Rooms,
  userId: UserId,
  rows: readonly MembershipRecord[],
  wasTold: ReadonlySet<RoomId>,
): Promise<readonly ListedRoom[]> {
  const listed = rows.filter((row) => isListed(row, userId, wasTold.has(row.roomId)))
  const found = await Promise.all(
    listed.map(async (row) => {
      const snapshot = await rooms.snapshot(row.roomId)
      if (row.membership !== 'join') return { row, snapshot, activity: row.position }
      return snapshot === undefined ? undefined : { row, snapshot, activity: snapshot.lastPosition }
    }),
  )
  return found
    .filter((room) => room !== undefined)
    .sort((a, b) => b.activity - a.activity || (a.row.roomId < b.row.roomId ? -1 : 1))
}

function isListed(
  { membership, sender, previous, forgotten }: MembershipRecord,
  userId: UserId,
  wasTold: boolean,
): boolean {
  if (forgotten === true) return false
  if (membership === 'leave') return wasTold || (sender !== userId && previous === 'join')
  return membership !== 'ban' || wasTold || previous === 'join'
}

const CREATE_KEY = stateKey('m.room.create', '')
const ENCRYPTION_KEY = stateKey('m.room.encryption', '')

/** What filters look at beside the rooms; loaded when a list asks for it. */
export interface FilterFacts {
  isDm(roomId: RoomId): boolean
  passes(room: ListedRoom, filters: SlidingFilters): Promise<boolean>
}

export async function loadFilterFacts(
  deps: { readonly rooms: Rooms; readonly accountData: Pick<AccountData, 'get' | 'ofRoom'> },
  userId: UserId,
): Promise<FilterFacts> {
  const { rooms, accountData } = deps
  const direct = directRooms(await accountData.get(userId, undefined, 'm.direct'))
  const children = new Map<RoomId, Promise<ReadonlySet<string>>>()

  const childrenOf = (space: RoomId): Promise<ReadonlySet<string>> => {
    const known = children.get(space) ?? loadChildren(rooms, userId, space)
    children.set(space, known)
    return known
  }
  const isInSpace = async (roomId: RoomId, spaces: readonly RoomId[]): Promise<boolean> => {
    for (const space of spaces) if ((await childrenOf(space)).has(roomId)) return true
    return false
  }
  const tagsOf = async (roomId: RoomId): Promise<ReadonlySet<string>> => {
    const content = await accountData.get(userId, roomId, 'm.tag')
    const tags = content === undefined ? undefined : ownValue(content, 'tags')
    return new Set(isJsonObject(tags) ? Object.keys(tags) : [])
  }

  return {
    isDm: (roomId) => direct.has(roomId),
    async passes({ row, snapshot }, filters) {
      const { isDm, isInvited, isEncrypted, spaces, roomTypes, notRoomTypes, tags, notTags } = filters
      if (isDm !== undefined && direct.has(row.roomId) !== isDm) return false
      if (isInvited !== undefined && (row.membership === 'invite') !== isInvited) return false
      const seesState = isEncrypted !== undefined || roomTypes !== undefined || notRoomTypes !== undefined
      const state = seesState ? await stateSeen(rooms, row, snapshot) : undefined
      if (isEncrypted !== undefined && isEncryptedRoom(row, state) !== isEncrypted) return false
      if (roomTypes !== undefined || notRoomTypes !== undefined) {
        const type = await typeOf(rooms, row, state)
        if (roomTypes?.includes(type) === false || notRoomTypes?.includes(type) === true) return false
      }
      if (spaces !== undefined && !(await isInSpace(row.roomId, spaces))) return false
      if (tags === undefined && notTags === undefined) return true
      const own = await tagsOf(row.roomId)
      if (notTags?.some((tag) => own.has(tag)) === true) return false
      return tags === undefined || tags.some((tag) => own.has(tag))
    },
  }
}

function directRooms(content: JsonObject | undefined): ReadonlySet<JsonValue> {
  return new Set(
    Object.values(content ?? {}).flatMap((ids) => (Array.isArray(ids) ? (ids as JsonValue[]) : [])),
  )
}

async function loadChildren(rooms: Rooms, userId: UserId, space: RoomId): Promise<ReadonlySet<string>> {
  const row = await rooms.membership(userId, space)
  const state = row?.membership === 'join' ? (await rooms.snapshot(space))?.state : undefined
  if (state === undefined) return new Set()
  const keys = [...state.keys()].filter((key) => splitStateKey(key)[0] === 'm.space.child')
  const events = await rooms.stateEvents(state, keys)
  // A child without `via` is none. spec: client-server-api/modules/spaces.md "m.space.child"
  const valid = events.filter(({ pdu }) => Array.isArray(ownValue(pdu.content, 'via')))
  return new Set(valid.map(({ pdu }) => pdu.state_key ?? ''))
}

/** Who is not in the room any more learns no more of it. */
async function stateSeen(
  rooms: Rooms,
  { membership, eventId }: MembershipRecord,
  snapshot: RoomSnapshot | undefined,
): Promise<StateMap | undefined> {
  const isOver = membership === 'leave' || membership === 'ban'
  return isOver ? ((await rooms.stateAfter(eventId)) ?? new Map()) : snapshot?.state
}

function isEncryptedRoom({ strippedState }: MembershipRecord, state: StateMap | undefined): boolean {
  if (state !== undefined) return state.has(ENCRYPTION_KEY)
  return strippedState?.some((event) => ownValue(event, 'type') === 'm.room.encryption') ?? false
}

async function typeOf(
  rooms: Rooms,
  { strippedState }: MembershipRecord,
  state: StateMap | undefined,
): Promise<string | null> {
  const id = state?.get(CREATE_KEY)
  const told = strippedState?.find((event) => ownValue(event, 'type') === 'm.room.create')
  const content = id === undefined ? ownValue(told ?? {}, 'content') : (await rooms.event(id))?.pdu.content
  const type = isJsonObject(content) ? ownValue(content, 'type') : undefined
  return typeof type === 'string' ? type : null
}

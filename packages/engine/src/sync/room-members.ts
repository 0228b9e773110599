/** Member counts and heroes of rooms, kept in step with the state. spec: sync.yaml "RoomSummary" */
import { memberKey, parseUserId, splitStateKey } from '@plexus/core'
import type { EventId, JsonObject, RoomId, StateKey, UserId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import { createLru } from '../kernel/lru.ts'
import type { EventRecord, RoomSnapshot, Rooms, StateDelta } from '../rooms/types.ts'
import { membershipIn } from './visibility.ts'

export const MAX_HEROES = 5
/** Rooms whose members are kept in memory. */
export const MAX_MEMBER_INDEXES = 200

type Member = { readonly membership: 'join' | 'invite'; readonly position: StreamPosition }
type Index = {
  readonly stateGroup: string
  readonly upTo: StreamPosition
  readonly members: ReadonlyMap<string, Member>
}

export type Summary = {
  /** At most five, the ones who came first; never the reader. */
  readonly heroes: readonly UserId[]
  readonly joined: number
  readonly invited: number
}

export interface RoomMembers {
  summary(snapshot: RoomSnapshot, reader: UserId): Promise<Summary>
}

export function createRoomMembers(rooms: Rooms): RoomMembers {
  const indexes = createLru<RoomId, Index>(MAX_MEMBER_INDEXES)

  const indexOf = async (snapshot: RoomSnapshot): Promise<Index> => {
    const old = indexes.get(snapshot.roomId)
    if (old?.stateGroup === snapshot.stateGroup) return old
    const index = old === undefined ? await build(rooms, snapshot) : await update(rooms, snapshot, old)
    indexes.set(snapshot.roomId, index)
    return index
  }

  return {
    async summary(snapshot, reader) {
      const { members } = await indexOf(snapshot)
      const joined = [...members.values()].filter(({ membership }) => membership === 'join').length
      const others = [...members].filter(([userId]) => userId !== reader)
      const first = others.sort(([, a], [, b]) => a.position - b.position).slice(0, MAX_HEROES)
      const heroes =
        first.length > 0 ? first.map(([userId]) => userId as UserId) : await former(rooms, snapshot, reader)
      return { heroes, joined, invited: members.size - joined }
    },
  }
}

/** Who is joined and was not before the changes. */
export async function arrivals(
  rooms: Rooms,
  { joinedMembers }: RoomSnapshot,
  deltas: readonly StateDelta[],
): Promise<readonly UserId[]> {
  const before = new Map<UserId, EventId | undefined>()
  for (const change of deltas.flatMap(({ changes }) => changes)) {
    const [type, member] = splitStateKey(change.key)
    const userId = type === 'm.room.member' ? parseUserId(member) : undefined
    if (userId !== undefined && !before.has(userId)) before.set(userId, change.before)
  }
  const old = await rooms.events([...before.values()].filter((id) => id !== undefined))
  const were = new Set(old.map((record) => (record === undefined ? undefined : joinedBy(record))))
  return [...before.keys()].filter((userId) => joinedMembers.includes(userId) && !were.has(userId))
}

function joinedBy({ pdu }: EventRecord): string | undefined {
  return membershipIn(pdu.content) === 'join' ? pdu.state_key : undefined
}

async function build(rooms: Rooms, snapshot: RoomSnapshot): Promise<Index> {
  const members = new Map<string, Member>()
  for (const record of await rooms.stateEvents(snapshot.state, memberKeys(snapshot))) put(members, record)
  return { stateGroup: snapshot.stateGroup, upTo: snapshot.lastPosition, members }
}

async function update(rooms: Rooms, snapshot: RoomSnapshot, old: Index): Promise<Index> {
  const deltas = await rooms.stateDeltas(snapshot.roomId, old.upTo, snapshot.lastPosition)
  const changed = new Map<string, EventId | undefined>()
  for (const { changes } of deltas) {
    for (const { key, after } of changes) {
      const [type, userId] = splitStateKey(key)
      if (type === 'm.room.member') changed.set(userId, after)
    }
  }
  const members = new Map(old.members)
  for (const userId of changed.keys()) members.delete(userId)
  const ids = [...changed.values()].filter((id) => id !== undefined)
  for (const record of await rooms.events(ids)) if (record !== undefined) put(members, record)
  return { stateGroup: snapshot.stateGroup, upTo: snapshot.lastPosition, members }
}

function put(members: Map<string, Member>, { pdu, position }: EventRecord): void {
  const membership = membershipIn(pdu.content)
  if (membership !== 'join' && membership !== 'invite') return
  const userId = parseUserId(pdu.state_key ?? '')
  if (userId !== undefined) members.set(userId, { membership, position })
}

/** Of users: the rules let a member event stand for what is none. */
function memberKeys(snapshot: RoomSnapshot): StateKey[] {
  return [...snapshot.state.keys()].filter((key) => {
    const [type, userId] = splitStateKey(key)
    return type === 'm.room.member' && parseUserId(userId) !== undefined
  })
}

/** Who left or was banned, for a room in which nobody else is. */
async function former(rooms: Rooms, snapshot: RoomSnapshot, reader: UserId): Promise<readonly UserId[]> {
  const own = memberKey(reader)
  const keys = memberKeys(snapshot).filter((key) => key !== own)
  const records = await rooms.stateEvents(snapshot.state, keys)
  const sorted = [...records].sort((a, b) => a.position - b.position)
  return sorted.slice(0, MAX_HEROES).map(({ pdu }) => (pdu.state_key ?? '') as UserId)
}

export function summaryJson({ heroes, joined, invited }: Summary): JsonObject {
  return { 'm.heroes': heroes, 'm.joined_member_count': joined, 'm.invited_member_count': invited }
}

/** Who may read which event. spec: client-server-api/modules/history_visibility.md "Server behaviour" */
import { memberKey, ownValue, stateKey } from '@plexus/core'
import type { EventId, JsonObject, RoomId, StateMap, UserId } from '@plexus/core'
import type { EventRecord, Membership, MembershipRecord, Rooms } from '../rooms/types.ts'
import { MAX_ORDER, MIN_ORDER } from './tokens.ts'

export type HistoryVisibility = 'world_readable' | 'shared' | 'invited' | 'joined'

const HISTORY_VISIBILITY_KEY = stateKey('m.room.history_visibility', '')

/** The state of a room at an event, as far as it decides who may read the event. */
export type Sight = { readonly visibility: HistoryVisibility; readonly membership: Membership }

/** The five rules of the specification. `joinedLater`: the user joined at some point after the event. */
export function mayRead({ visibility, membership }: Sight, joinedLater: boolean): boolean {
  // 1. If the `history_visibility` was set to `world_readable`, allow.
  if (visibility === 'world_readable') return true
  // 2. If the user's `membership` was `join`, allow.
  if (membership === 'join') return true
  // 3. If `history_visibility` was set to `shared`, and the user joined the room at any point after the event, allow.
  if (visibility === 'shared' && joinedLater) return true
  // 4. If the user's `membership` was `invite`, and the `history_visibility` was set to `invited`, allow.
  if (membership === 'invite' && visibility === 'invited') return true
  // 5. Otherwise, deny.
  return false
}

/** A reader of one room. */
export type Viewer = {
  readonly userId: UserId
  /** The event that ended the user's last time in the room; absent for who is in it or never was. */
  readonly leftBy?: EventId
  /** The user joined, or was joined, after every event whose order is below this. */
  readonly joinedUntil: number
}

/** Memberships to look back over for the last time in a room; a longer row of invites and bans since then hides that time. */
export const MAX_LOOK_BACK = 20

/** What a reader gets to know about an event. */
export type Seen = {
  readonly record: EventRecord
  readonly visible: boolean
  /** The reader's membership after the event, if it is known. */
  readonly membership?: Membership
}

export interface Visibility {
  viewer(userId: UserId, membership: MembershipRecord | undefined): Promise<Viewer>
  /** In the order of `records`. An event without a place in a timeline is not visible. */
  judge(viewer: Viewer, records: readonly EventRecord[]): Promise<readonly Seen[]>
}

export function createVisibility(rooms: Rooms): Visibility {
  return {
    async viewer(userId, membership) {
      if (membership?.membership === 'join') return { userId, joinedUntil: MAX_ORDER }
      const left = membership === undefined ? undefined : await leaving(rooms, userId, membership)
      if (left === undefined) return { userId, joinedUntil: MIN_ORDER }
      return { userId, leftBy: left.id, joinedUntil: left.order ?? MIN_ORDER }
    },
    async judge(viewer, records) {
      const sights = createSights(rooms, viewer.userId)
      const seen: Seen[] = []
      for (const record of records) seen.push(await judgeOne(rooms, viewer, record, sights))
      return seen
    },
  }
}

/** The event by which a user left a room; they may have been invited, banned or forgiven since. */
async function leaving(
  rooms: Rooms,
  userId: UserId,
  { roomId, eventId, previous }: MembershipRecord,
): Promise<EventRecord | undefined> {
  let record = await rooms.event(eventId)
  if (previous === 'join') return record
  for (let looked = 0; record !== undefined && looked < MAX_LOOK_BACK; looked += 1) {
    // An invite that came from outside has no state of its own: what the node knows last is before it.
    const before: StateMap | undefined =
      (await rooms.stateBefore(record.id)) ??
      (looked === 0 ? (await rooms.snapshot(roomId))?.state : undefined)
    const id = before?.get(memberKey(userId))
    const earlier = id === undefined || id === record.id ? undefined : await rooms.event(id)
    if (earlier !== undefined && membershipIn(earlier.pdu.content) === 'join') return record
    record = earlier
  }
  return undefined
}

interface Sights {
  after(record: EventRecord): Promise<Sight | undefined>
}

/** Events share states, so that each is looked up once. */
function createSights(rooms: Rooms, userId: UserId): Sights {
  const known = new Map<string, Promise<Sight | undefined>>()
  const remember = (key: string, look: () => Promise<Sight | undefined>): Promise<Sight | undefined> => {
    const sight = known.get(key) ?? look()
    known.set(key, sight)
    return sight
  }
  return {
    after({ id, roomId, stateGroup }) {
      if (stateGroup === undefined) return remember(roomId, () => sightBeforeAll(rooms, roomId))
      return remember(stateGroup, async () => {
        const state = await rooms.stateAfter(id)
        return state === undefined ? undefined : sightOf(rooms, state, userId)
      })
    },
  }
}

/**
 * The state at events from before this node was in the room is not known. The server that gave them has checked that
 * somebody here may read them; they count as sent under the visibility that the node found when it joined, to nobody
 * of its users.
 */
async function sightBeforeAll(rooms: Rooms, roomId: RoomId): Promise<Sight | undefined> {
  const { events } = await rooms.timeline(roomId, { from: -1, to: MAX_ORDER, direction: 'f', limit: 1 })
  const state = events[0] === undefined ? undefined : await rooms.stateAfter(events[0].id)
  const id = state?.get(HISTORY_VISIBILITY_KEY)
  if (state === undefined) return undefined
  const content = id === undefined ? undefined : (await rooms.event(id))?.pdu.content
  return { visibility: visibilityOf(content), membership: 'leave' }
}

async function judgeOne(rooms: Rooms, viewer: Viewer, record: EventRecord, sights: Sights): Promise<Seen> {
  if (record.order === undefined || record.verdict !== 'accepted') return { record, visible: false }
  const after = await sights.after(record)
  if (after === undefined) return { record, visible: false }
  const joinedLater = record.order < viewer.joinedUntil
  const membership = record.stateGroup === undefined ? {} : { membership: after.membership }
  if (mayRead(after, joinedLater)) return { record, visible: true, ...membership }
  // What changes the visibility or the reader's own membership may be read if the state before or after allows it.
  if (!changesSight(record, viewer.userId)) return { record, visible: false, ...membership }
  const before = await rooms.stateBefore(record.id)
  const visible = before !== undefined && mayRead(await sightOf(rooms, before, viewer.userId), joinedLater)
  return { record, visible, ...membership }
}

function changesSight({ pdu }: EventRecord, userId: UserId): boolean {
  if (pdu.type === 'm.room.history_visibility') return pdu.state_key === ''
  return pdu.type === 'm.room.member' && pdu.state_key === userId
}

async function sightOf(rooms: Rooms, state: StateMap, userId: UserId): Promise<Sight> {
  const ids: readonly (EventId | undefined)[] = [
    state.get(HISTORY_VISIBILITY_KEY),
    state.get(memberKey(userId)),
  ]
  const [visibility, member] = await Promise.all(
    ids.map(async (id) => (id === undefined ? undefined : (await rooms.event(id))?.pdu.content)),
  )
  return { visibility: visibilityOf(visibility), membership: membershipIn(member) }
}

/** What is not set or not understood counts as `shared`. */
export function visibilityOf(content: JsonObject | undefined): HistoryVisibility {
  const value = content === undefined ? undefined : ownValue(content, 'history_visibility')
  return value === 'world_readable' || value === 'invited' || value === 'joined' ? value : 'shared'
}

/** The membership in the content of a member event; `leave` for what is none. */
export function membershipIn(content: JsonObject | undefined): Membership {
  const value = content === undefined ? undefined : ownValue(content, 'membership')
  return value === 'join' || value === 'invite' || value === 'knock' || value === 'ban' ? value : 'leave'
}

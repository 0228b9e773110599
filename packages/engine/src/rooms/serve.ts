/** What this node tells other servers about its rooms, and what it takes from them on behalf of their users. */
import type { EventId, Pdu, RoomId, ServerName, StateMap, UserId } from '@plexus/core'
import { prevEventIds, redact, serverOf, splitStateKey } from '@plexus/core'
import { eventAtTime } from './at-time.ts'
import { aclOf } from './acl.ts'
import { isStripped, membershipOf, stateBefore } from './copy.ts'
import { checkCanMeet } from './networks.ts'
import { createPastVisibility, isForMembers, VISIBILITY_KEY } from './past-visibility.ts'
import { isRedactable } from './redaction.ts'
import type { RemoteDeps } from './remote-join.ts'
import type { Room } from './room.ts'
import { acceptMembership, membershipTemplate } from './serve-membership.ts'
import { stateWithChain, stateWithoutMembers, stateWithShortChain } from './told-state.ts'
import type { AcceptedMembership, EventRecord, RoomSnapshot, Rooms } from './types.ts'
import { RoomError } from './types.ts'

/** Events of one answer. spec: server-server-api.md "Backfilling and retrieving missing events" */
export const MAX_SERVED_EVENTS = 100
/** Events looked at for one answer. */
const MAX_WALKED_EVENTS = 1_000

type Serving = Pick<
  Rooms,
  | 'makeMembership'
  | 'acceptMembership'
  | 'missingEvents'
  | 'backfillFor'
  | 'eventFor'
  | 'receivers'
  | 'eventAtTimeFor'
  | 'stateFor'
>

type ServeDeps = RemoteDeps & Pick<Rooms, 'timeline'>

export function createServing(deps: ServeDeps): Serving {
  const roomOf = async (roomId: RoomId): Promise<{ room: Room; snapshot: RoomSnapshot }> => {
    const room = await deps.registry.get(roomId)
    if (room?.snapshot === undefined || !room.snapshot.joinedServers.includes(deps.ownName)) {
      throw new RoomError('M_NOT_FOUND', 'this server is not in the room')
    }
    return { room, snapshot: room.snapshot }
  }

  /**
   * The room, for a server that is in it, or was when this one left: what a user said and left behind may follow what
   * nobody else has. spec: server-server-api.md "Server Access Control Lists"
   */
  const roomFor = async (
    origin: ServerName,
    roomId: RoomId,
  ): Promise<{ room: Room; snapshot: RoomSnapshot }> => {
    const room = await deps.registry.get(roomId)
    if (room?.snapshot === undefined) throw new RoomError('M_NOT_FOUND', 'this server was never in the room')
    const { snapshot } = room
    await checkAcl(deps, origin, snapshot)
    if (!snapshot.joinedServers.includes(origin)) {
      throw new RoomError('M_FORBIDDEN', 'the server that asks is not in the room')
    }
    return { room, snapshot }
  }

  /** As `roomOf`, for what takes the whole state. */
  const wholeRoomOf: typeof roomOf = async (roomId) => {
    const found = await roomOf(roomId)
    checkWhole(found.snapshot)
    return found
  }

  return {
    async makeMembership(kind, origin, roomId, userId, versions) {
      const { room, snapshot } = await wholeRoomOf(roomId)
      await checkAcl(deps, origin, snapshot)
      if (serverOf(userId) !== origin)
        throw new RoomError('M_FORBIDDEN', 'the user is not of the server that asks')
      if (!versions.includes(room.version.id)) {
        throw new RoomError('M_INCOMPATIBLE_ROOM_VERSION', `the room has version ${room.version.id}`)
      }
      if (kind !== 'leave') await checkCanMeet(deps, snapshot, origin)
      const event = await room.run((turn) => membershipTemplate(deps, turn, kind, userId))
      return { roomVersion: room.version.id, event }
    },
    async acceptMembership(kind, origin, roomId, eventId, event, options = {}) {
      const { room, snapshot } = await wholeRoomOf(roomId)
      await checkAcl(deps, origin, snapshot)
      if (kind !== 'leave') await checkCanMeet(deps, snapshot, origin)
      const accepted = await acceptMembership(deps, room, kind, origin, eventId, event)
      const told = await toldOfRoom(
        deps,
        room,
        accepted,
        snapshot,
        kind !== 'join' || options.omitMembers === true,
      )
      return { event: accepted.pdu, ...told, ...doubtOf(snapshot) }
    },
    async missingEvents(origin, roomId, { earliest, latest, limit, minDepth }) {
      const { room } = await roomFor(origin, roomId)
      const stop = new Set(earliest)
      const above = new Set(latest)
      const found = await walkBack(
        deps,
        roomId,
        latest,
        Math.min(limit, MAX_SERVED_EVENTS) + latest.length,
        (record) => stop.has(record.id) || record.pdu.depth < minDepth,
      )
      const wanted = found.filter(({ id }) => !above.has(id)).slice(0, Math.min(limit, MAX_SERVED_EVENTS))
      return (await visible(deps, room, origin, wanted)).toReversed()
    },
    async backfillFor(origin, roomId, from, limit) {
      const { room } = await roomFor(origin, roomId)
      return visible(
        deps,
        room,
        origin,
        await walkBack(deps, roomId, from, Math.min(limit, MAX_SERVED_EVENTS), () => false),
      )
    },
    async eventFor(origin, eventId) {
      const record = await deps.events.get(eventId)
      if (record === undefined || isStripped(record)) throw new RoomError('M_NOT_FOUND', 'no such event')
      const { room } = await roomFor(origin, record.roomId)
      const [pdu] = await visible(deps, room, origin, [record])
      if (pdu === undefined) throw new RoomError('M_NOT_FOUND', 'no such event')
      return pdu
    },
    async receivers(eventId, servers) {
      const record = await deps.events.get(eventId)
      if (record === undefined || isStripped(record) || record.redactedBy !== undefined) return []
      const room = await deps.registry.get(record.roomId)
      const { snapshot } = room ?? {}
      if (room === undefined || snapshot?.joinedServers.includes(deps.ownName) !== true) return []
      // Whoever brought it: the ACL keeps others from hearing of it by this node.
      const isAllowed = await aclOf((id) => deps.events.get(id), snapshot)
      if (!isAllowed(serverOf(record.pdu.sender))) return []
      const past = createPastVisibility(deps, record.roomId)
      const found: ServerName[] = []
      for (const server of servers) {
        const isIn = snapshot.joinedServers.includes(server) && isAllowed(server)
        if (isIn && (await isVisible(deps, room, server, record, past))) found.push(server)
      }
      return found
    },
    async eventAtTimeFor(origin, roomId, ts, direction) {
      const { room } = await roomFor(origin, roomId)
      const past = createPastVisibility(deps, roomId)
      const found = await eventAtTime(deps, { roomId, ts, direction }, async (events) => {
        const shown: EventRecord[] = []
        for (const event of events)
          if (!isStripped(event) && (await isVisible(deps, room, origin, event, past))) shown.push(event)
        return shown
      })
      if (found === undefined) throw new RoomError('M_NOT_FOUND', 'no event was found')
      return { id: found.id, sentAt: found.pdu.origin_server_ts }
    },
    async stateFor(origin, roomId, eventId) {
      const { room, snapshot } = await roomFor(origin, roomId)
      checkWhole(snapshot)
      const record = await deps.events.get(eventId)
      if (record?.roomId !== roomId || record.stateGroup === undefined) {
        throw new RoomError('M_NOT_FOUND', 'the state at that event is not known here')
      }
      const state = stateBefore(record, (await deps.groups.load(record.stateGroup)).state)
      return { ...(await stateWithChain(deps, room.version, state)), ...doubtOf(snapshot) }
    },
  }
}

/** Who has its state from one member alone is none that confirms it. */
function doubtOf({ isUnconfirmed }: RoomSnapshot): Pick<RoomSnapshot, 'isUnconfirmed'> {
  return isUnconfirmed === undefined ? {} : { isUnconfirmed }
}

/** What would be told without members is not told. */
function checkWhole({ isPartial }: RoomSnapshot): void {
  if (isPartial === true)
    throw new RoomError(
      'M_UNABLE_DUE_TO_PARTIAL_STATE',
      'this server does not know all members of the room yet',
    )
}

async function checkAcl(deps: RemoteDeps, origin: ServerName, snapshot: RoomSnapshot): Promise<void> {
  const isAllowed = await aclOf((id) => deps.events.get(id), snapshot)
  if (!isAllowed(origin)) throw new RoomError('M_FORBIDDEN', 'the server ACL of the room denies the server')
}

/** The state before a membership event that was accepted. */
async function toldOfRoom(
  deps: RemoteDeps,
  { version }: Room,
  join: EventRecord,
  { joinedMembers: joined, joinedServers: serversInRoom }: RoomSnapshot,
  omitMembers: boolean,
): Promise<Omit<AcceptedMembership, 'event'>> {
  if (join.stateGroup === undefined) throw new Error('an accepted event has no state')
  const state = stateBefore(join, (await deps.groups.load(join.stateGroup)).state)
  if (!omitMembers) return stateWithChain(deps, version, state)
  const told = await stateWithoutMembers(deps, { version, join, state, joined })
  return told === undefined ? stateWithShortChain(deps, version, state) : { ...told, serversInRoom }
}

/** Breadth first from newer to older, deepest first, over events that have a place. */
async function walkBack(
  deps: RemoteDeps,
  roomId: RoomId,
  from: readonly EventId[],
  limit: number,
  stops: (record: EventRecord) => boolean,
): Promise<readonly EventRecord[]> {
  const found = new Map<EventId, EventRecord>()
  const frontier = new Map<EventId, EventRecord>()
  const seen = new Set<EventId>()
  const add = async (ids: readonly EventId[]): Promise<void> => {
    for (const record of await deps.events.getMany(ids.filter((id) => !seen.has(id)))) {
      if (record?.roomId !== roomId || stops(record)) continue
      seen.add(record.id)
      frontier.set(record.id, record)
    }
  }
  await add(from.slice(0, MAX_SERVED_EVENTS))
  for (let walked = 0; frontier.size > 0 && found.size < limit && walked < MAX_WALKED_EVENTS; walked += 1) {
    const next = [...frontier.values()].reduce((a, b) => (b.pdu.depth > a.pdu.depth ? b : a))
    frontier.delete(next.id)
    // What is not passed on does not hide what lies behind it.
    if (next.verdict !== 'rejected' && !isStripped(next)) found.set(next.id, next)
    await add(prevEventIds(next.pdu))
  }
  return [...found.values()].sort((a, b) => b.pdu.depth - a.pdu.depth)
}

/**
 * The events as a server may see them: whole, or redacted, but for the create event, where the history visibility at the
 * event keeps them from all of its users. spec: client-server-api/modules/history_visibility.md
 */
async function visible(
  deps: ServeDeps,
  room: Room,
  origin: ServerName,
  records: readonly EventRecord[],
): Promise<readonly Pdu[]> {
  const pdus: Pdu[] = []
  const past = createPastVisibility(deps, room.roomId)
  for (const record of records) {
    if (!isRedactable(record.pdu) || (await isVisible(deps, room, origin, record, past)))
      pdus.push(record.pdu)
    // Who may see it may be a member that is not known yet: another server can tell.
    else if (room.snapshot?.isPartial !== true) pdus.push(redact(room.version, record.pdu))
  }
  return pdus
}

async function isVisible(
  deps: ServeDeps,
  room: Room,
  origin: ServerName,
  record: EventRecord,
  past: ReturnType<typeof createPastVisibility>,
): Promise<boolean> {
  if (serverOf(record.pdu.sender) === origin) return true
  // History that was fetched has no state of its own here: it is shown where neither the room's present visibility nor
  // what held at that time hides it.
  const state =
    record.stateGroup === undefined ? room.snapshot?.state : (await deps.groups.load(record.stateGroup)).state
  if (state === undefined) return false
  // Who was in the room then is not known here. What has no place is shown as state to all members.
  if (record.stateGroup === undefined) {
    const id = state.get(VISIBILITY_KEY)
    const held = id === undefined ? undefined : await deps.events.get(id)
    return isForMembers(held) && (record.order === undefined || (await past(record.order)))
  }
  if (await allows(deps, state, origin)) return true
  // What changes who may see is seen by whom the state before or after it allows.
  const { type, state_key: key } = record.pdu
  const changesSight =
    type === 'm.room.history_visibility' ||
    (type === 'm.room.member' && key !== undefined && serverOf(key as UserId) === origin)
  return changesSight && allows(deps, stateBefore(record, state), origin)
}

/** By the rules for who is in the room now. spec: client-server-api/modules/history_visibility.md */
async function allows({ events }: ServeDeps, state: StateMap, origin: ServerName): Promise<boolean> {
  const id = state.get(VISIBILITY_KEY)
  const held = id === undefined ? undefined : await events.get(id)
  if (isForMembers(held)) return true
  const isForInvited = held?.pdu.content['history_visibility'] === 'invited'
  const members = [...state].filter(([key]) => isMemberOf(key, origin)).map(([, memberId]) => memberId)
  const memberships = (await events.getMany(members)).map((member) => membershipOf(member?.pdu))
  return memberships.some((membership) => membership === 'join' || (isForInvited && membership === 'invite'))
}

function isMemberOf(key: Parameters<typeof splitStateKey>[0], server: ServerName): boolean {
  const [type, user] = splitStateKey(key)
  return type === 'm.room.member' && serverOf(user as UserId) === server
}

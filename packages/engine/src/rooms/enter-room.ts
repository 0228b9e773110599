/** Making a room of what a resident server tells of it. spec: server-server-api.md "Joining Rooms" */
import type { EventId, ServerName, StateMap, UserId } from '@plexus/core'
import { memberKey, prevEventIds, serverOf } from '@plexus/core'
import type { Write } from '../ports.ts'
import { MAX_BACKWARD } from './accept-event.ts'
import { newEventWrites } from './auth-graph.ts'
import { groupName, isDecided, isFetchedHistory } from './case.ts'
import type { RoomCopy } from './copy.ts'
import { memberOf, membershipOf, serversIn, stateChanges, toRecord } from './copy.ts'
import { provisionalWrites } from './decided-again.ts'
import { checkState, judgeAnswer, type Answer, type Judged, type Told } from './judge-answer.ts'
import { outlierWrites } from './outliers.ts'
import { deltas, memberships, partialRooms, rooms, timelines, type PartialRecord } from './records.ts'
import type { RemoteDeps } from './remote-join.ts'
import { forgetProvisional } from './replay.ts'
import type { Room } from './room.ts'
import { unconfirmedOf } from './second-look.ts'
import { comparedState, type Compared } from './second-member.ts'
import type { EventRecord } from './types.ts'

/**
 * Servers that are taken to be in a room by the word of the resident server alone: own events go to each of them. Those
 * beyond get what they missed once the room's state tells that they are there. To see that a name is a key takes some two
 * milliseconds.
 */
export const MAX_UNPROVEN_SERVERS = 500

/** Makes the room of what the resident server told. */
export async function enterRoom(deps: RemoteDeps, room: Room, told: Told): Promise<void> {
  const { roomId, version } = room
  const answer = { version, roomId, ...told }
  const judged = await judgeAnswer(deps, answer)
  checkState(answer, judged.before, judged.byId)
  await deps.committer.submit({ writes: (position) => outlierWrites(deps.events, judged.records, position) })
  // Outside of the room's queue: the network is slow.
  const compared: Compared =
    told.serversInRoom === undefined
      ? await comparedState(deps, { room, ...told }, judged.before)
      : { state: judged.before }
  const { done } = await room.run(async (turn) => {
    const previous = turn.copy
    // The position after all that was decided in the earlier stay.
    const since = previous === undefined ? 0 : await deps.committer.submit({ writes: () => [] })
    const joined = await adoptRoom(deps, { ...answer, previous, since }, { ...judged, ...compared })
    const publish = turn.replace(joined.copy)
    joined.stage()
    return {
      done: turn.submit({
        positions: joined.positions,
        writes: joined.writes,
        publish: (position) => {
          joined.publish()
          publish(position + joined.positions - 1)
        },
      }),
    }
  })
  await done
}

/** `state` is what counts of all that was told. */
type Weighed = Omit<Judged, 'before'> & Compared

type Adopting = Answer & {
  /** The copy from an earlier stay in the room. */
  readonly previous: RoomCopy | undefined
  /** Of the copy to be made. */
  readonly since: number
}

type Adopted = {
  readonly copy: RoomCopy
  readonly positions: number
  readonly writes: (position: number) => Write[]
  /** Holds the join until it is committed: what is decided meanwhile follows it. */
  readonly stage: () => void
  readonly publish: () => void
}

/** Makes the room of the state before the join, as one change. */
async function adoptRoom(
  deps: RemoteDeps,
  answer: Adopting,
  { state: before, unconfirmed, byId, generation }: Weighed,
): Promise<Adopted> {
  const { version, roomId, join, previous } = answer
  const others = [...before.values()].filter((id) => !byId.has(id))
  for (const record of await deps.events.working(others))
    if (record !== undefined) byId.set(record.id, record)
  const create = checkState(answer, before, byId)
  const mark = markOf(deps, answer, unconfirmed)
  const { partial } = mark
  const joinKey = memberKey(join.pdu.sender)
  const replaced = before.get(joinKey)
  const after = new Map(before).set(joinKey, join.id)
  const { group, writes } = deps.groups.create(groupName({ partial }, `after ${join.id}`), after, undefined)
  const joined = new Set<UserId>([join.pdu.sender])
  for (const id of before.values()) {
    const pdu = byId.get(id)?.pdu
    if (id !== replaced && membershipOf(pdu) === 'join') joined.add(pdu?.state_key as UserId)
  }
  const invited = answer.invite === undefined ? undefined : byId.get(answer.invite)
  const first = invited ?? join
  const lower = await unplaced(deps, [...prevEventIds(first.pdu), ...(previous?.backward ?? [])])
  const copy: RoomCopy = {
    roomId,
    version,
    create: { id: create.id, pdu: create.pdu },
    heads: [join.id],
    current: group,
    joined,
    lowestOrder: previous?.lowestOrder ?? 0,
    backward: lower.slice(0, MAX_BACKWARD),
    holes: [],
    since: answer.since,
    partial,
  }
  const record: EventRecord = {
    id: join.id,
    roomId,
    pdu: join.pdu,
    verdict: 'accepted',
    generation,
    basis: 'partial',
    stateGroup: group.id,
    ...(replaced === undefined ? {} : { replaced }),
    position: 0,
    receivedAt: deps.clock.now(),
  }
  const localMembers = [...before].flatMap(([key, id]) => {
    const user = memberOf(key)
    const isOther = user !== undefined && user !== join.pdu.sender && serverOf(user) === deps.ownName
    const isChanged = isOther && previous?.current.state.get(key) !== id
    return isChanged ? (byId.get(id) ?? []) : []
  })
  const forgotten = await forgetProvisional(deps, roomId)
  const invite = invited === undefined ? undefined : placedInvite(deps, invited, { partial, before })
  const facts = {
    groupWrites: [...writes, ...mark.writes, ...(invite?.writes ?? [])],
    invite: invite?.record,
    localMembers,
    forgotten,
  }
  return { copy, ...joinChange(deps, answer, copy, record, facts) }
}

/** The invite with its place in the room: what members told meanwhile follows it. */
function placedInvite(
  { groups }: RemoteDeps,
  invited: EventRecord,
  { partial, before }: { readonly partial: PartialRecord | undefined; readonly before: StateMap },
) {
  const name = groupName({ partial }, `after ${invited.id}`)
  const { group, writes } = groups.create(name, before, undefined)
  return { record: { ...invited, basis: 'partial' as const, stateGroup: group.id }, writes }
}

/** What is to be found out yet about the state. */
function markOf(
  deps: RemoteDeps,
  answer: Adopting,
  open: Compared['unconfirmed'],
): { readonly partial: PartialRecord | undefined; readonly writes: readonly Write[] } {
  const { join, server: resident, serversInRoom } = answer
  if (serversInRoom !== undefined) {
    const servers = unprovenServers(answer).filter((name) => name !== deps.ownName)
    return { partial: { join: join.id, resident, servers }, writes: [] }
  }
  if (open === undefined) return { partial: undefined, writes: [] }
  const { unconfirmed, writes } = unconfirmedOf(deps, open)
  return { partial: { join: join.id, resident, servers: [], unconfirmed }, writes }
}

function unprovenServers({ server, serversInRoom = [] }: Answer): readonly ServerName[] {
  return [...new Set([server, ...serversInRoom])].slice(0, MAX_UNPROVEN_SERVERS)
}

/** Those of the events that are not decided here, and not fetched. */
async function unplaced(deps: RemoteDeps, ids: readonly EventId[]): Promise<readonly EventId[]> {
  const unique = [...new Set(ids)]
  const records = await deps.events.working(unique)
  return unique.filter((_, index) => !isDecided(records[index]) && !isFetchedHistory(records[index]))
}

function joinChange(
  deps: RemoteDeps,
  answer: Adopting,
  copy: RoomCopy,
  join: EventRecord,
  facts: {
    readonly groupWrites: readonly Write[]
    /** Takes its place before the join. */
    readonly invite: EventRecord | undefined
    /** Memberships of other users of this node, as far as they changed since an earlier stay. */
    readonly localMembers: readonly EventRecord[]
    /** Decisions of an earlier stay that nobody makes again. */
    readonly forgotten: readonly Write[]
  },
): Omit<Adopted, 'copy'> {
  const { roomId, server } = answer
  const servers = new Set(serversIn(copy))
  servers.delete(deps.ownName)
  const { invite } = facts
  const resident = invite === undefined ? server : undefined
  const others = [...servers].filter((name) => name !== resident)
  // What changed since an earlier stay, of which those who keep step with the state must hear.
  const before = answer.previous?.current.state
  const changes = before === undefined ? [] : stateChanges(before, copy.current.state)
  let final = join
  let placed: EventRecord | undefined
  return {
    stage: () =>
      [...(invite === undefined ? [] : [invite]), join].forEach((event) => deps.events.stage(event)),
    writes: (at) => {
      const position = invite === undefined ? at : at + 1
      placed = invite === undefined ? undefined : { ...invite, position: at, order: at }
      if (placed !== undefined) deps.events.stage(placed)
      final = { ...join, position, order: position }
      deps.events.stage(final)
      return [
        ...facts.groupWrites,
        ...newEventWrites(final),
        ...(placed === undefined ? [] : [...newEventWrites(placed), timelines.put([roomId, at], placed.id)]),
        timelines.put([roomId, position], join.id),
        rooms.put([roomId], toRecord(copy, position)),
        ...facts.forgotten,
        ...(placed === undefined ? [] : provisionalWrites(copy, at, placed.id)),
        ...provisionalWrites(copy, position, join.id),
        copy.partial === undefined ? partialRooms.delete([roomId]) : partialRooms.put([roomId], copy.partial),
        ...(changes.length === 0 ? [] : [deltas.put([roomId, position], changes)]),
        ...[...facts.localMembers, join].map(({ pdu, id }) =>
          memberships.put([pdu.state_key as UserId, roomId], {
            roomId,
            membership: membershipOf(pdu),
            eventId: id,
            sender: pdu.sender,
            position,
          }),
        ),
        ...deps.services.accepted(join, answer.previous?.joined ?? new Set(), copy.joined),
        ...deps.destinations.joinedRoom(roomId, position, { resident, others, join: join.id }),
      ]
    },
    publish: () =>
      [...(placed === undefined ? [] : [placed]), final].forEach((event) => deps.events.adopt(event)),
    positions: invite === undefined ? 1 : 2,
  }
}

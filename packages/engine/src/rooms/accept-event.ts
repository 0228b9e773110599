/** The next copy of the room after an accepted event, and the change that commits both. */
import type { EventId, RoomId, ServerName, UserId } from '@plexus/core'
import { CREATE_KEY, prevEventIds, serverOf, stateKey, stateKeyOf } from '@plexus/core'
import type { Change } from '../kernel/committer.ts'
import type { Write } from '../ports.ts'
import { authChildWrites } from './auth-graph.ts'
import { draftRecord, groupOf, parentGroups } from './case.ts'
import type { AcceptedDecision, Case } from './case.ts'
import type { RoomCopy, StateChange } from './copy.ts'
import {
  joinedAfter,
  lacksMembers,
  memberOf,
  membershipOf,
  serversIn,
  stateChanges,
  toRecord,
} from './copy.ts'
import { decidedAgain, finisher, provisionalWrites } from './decided-again.ts'
import { clientTransactions, deltas, memberships, rooms } from './records.ts'
import { holesAfter, presentAfter } from './present.ts'
import {
  prepareRedaction,
  redactedRecord,
  redactionWrites,
  unredactedWrites,
  type Redaction,
} from './redaction.ts'
import { placeWrites } from './relation.ts'
import type { RoomDeps } from './room.ts'
import type { EventRecord } from './types.ts'

/** Events that are remembered as the lower ends of what is known of a room. */
export const MAX_BACKWARD = 100
export async function acceptEvent(
  current: Case,
  decision: AcceptedDecision,
): Promise<{ change: Change; next: RoomCopy }> {
  const { version, roomId, copy, event, view, states } = current
  const bases = [...(copy === undefined ? [] : [copy.current]), ...parentGroups(current)]
  const after = groupOf(current, `after ${event.id}`, decision.stateAfter, bases)
  const redaction = await prepareRedaction(current, decision)
  const decided = draftRecord(current, after.group.id, decision.stateBefore)
  const draft = redactedRecord(version, decided, redaction.by)
  current.hold(draft)
  states.set(event.id, after.group)

  const { heads, ...resolved } = await presentAfter(current, after.group)
  const changes = stateChanges(copy?.current.state ?? new Map(), resolved.group.state)
  await view.load(
    changes.flatMap(({ key, before, after: id }) =>
      memberOf(key) === undefined ? [] : [before, id].filter((entry) => entry !== undefined),
    ),
  )
  const find = (id: EventId): EventRecord | undefined => (id === event.id ? draft : view.record(id))
  const next: RoomCopy = {
    roomId,
    version,
    create: copy?.create ?? { id: event.id, pdu: event.pdu },
    heads,
    current: resolved.group,
    joined: joinedAfter(copy?.joined ?? new Set(), changes, find),
    lowestOrder: copy?.lowestOrder ?? 0,
    backward: copy?.backward ?? [],
    holes: holesAfter(current),
    since: copy?.since ?? 0,
    partial: copy?.partial,
  }
  const servers = serverChanges(current.deps, copy, next, draft)
  const isOwn = event.distribute === true
  const { mailedInvites } = current.deps
  const invited = isOwn ? await mailedInvites.waiting(next) : { servers: [], writes: [] }
  const noted = await mailedInvites.accepted(draft)
  const change = acceptedChange(current, next, draft, {
    servers: {
      ...servers,
      ...(await lateComer(current, decision, next, servers.joined)),
      ...(invited.servers.length === 0 ? {} : { invited: invited.servers }),
    },
    invited: [...invited.writes, ...noted],
    stateWrites: [...after.writes, ...resolved.writes],
    changes,
    find,
    redaction,
  })
  return { change, next }
}

type ServerChanges = Parameters<RoomDeps['destinations']['changed']>[2]

type Accepted = {
  readonly servers: ServerChanges
  /** Note a mailed invite, and forget those that are over. */
  readonly invited: readonly Write[]
  readonly stateWrites: readonly Write[]
  readonly changes: readonly StateChange[]
  readonly find: (id: EventId) => EventRecord | undefined
  readonly redaction: Redaction
}

function acceptedChange(current: Case, copy: RoomCopy, draft: EventRecord, facts: Accepted): Change {
  const { deps, event } = current
  const joinedBefore = current.copy?.joined ?? new Set<UserId>()
  const { finish, adopt } = finisher(deps.events)
  const { again } = event
  if (again !== undefined) {
    const isNew = again.order === undefined
    const change = decidedAgain(deps, again, draft, () => [
      ...facts.stateWrites,
      ...(isNew ? deps.services.accepted(draft, joinedBefore, copy.joined) : []),
      ...redactionWrites(current, facts.redaction, finish),
    ])
    return {
      ...change,
      publish: (position) => {
        change.publish?.(position)
        adopt()
      },
    }
  }
  const publish = current.publisherOf(copy)
  const outsider = outsiderOf(deps, copy, draft, facts)
  return {
    writes: (position) => {
      const { redaction, changes, servers } = facts
      const writes: Write[] = [
        finish({ ...draft, position, order: position }),
        ...authChildWrites(draft),
        ...provisionalWrites(copy, position, event.id),
        ...placeWrites(copy.roomId, position, event.id, draft.pdu),
        rooms.put([copy.roomId], toRecord(copy, position)),
        ...facts.stateWrites,
        ...facts.invited,
        ...membershipWrites(deps, copy.roomId, position, changes, facts.find),
        ...deps.destinations.changed(copy.roomId, position, {
          ...servers,
          event: {
            id: event.id,
            server: serverOf(draft.pdu.sender),
            pdu: draft.pdu,
            ...(event.from === undefined ? {} : { from: event.from }),
          },
          ...(event.distribute === true ? { distributed: event.id, ...outsider } : {}),
        }),
        ...deps.services.accepted(draft, joinedBefore, copy.joined),
        ...(event.writes ?? []),
      ]
      if (changes.length > 0) writes.push(deltas.put([copy.roomId, position], changes))
      if (event.sentBy !== undefined) {
        const { userId, deviceId, transactionId } = event.sentBy
        writes.push(clientTransactions.put([userId, deviceId, copy.roomId, transactionId], event.id))
      }
      if (redaction.by !== undefined) writes.push(...unredactedWrites(copy, event.id, event.pdu))
      writes.push(...redactionWrites(current, redaction, finish))
      return writes
    },
    publish: (position) => {
      adopt()
      publish(position)
    },
  }
}

/**
 * The server of a user whose invite or knock the event ends, where nobody of it is in the room: what goes to members does
 * not reach it.
 */
function outsiderOf(
  { ownName }: Pick<RoomDeps, 'ownName'>,
  copy: RoomCopy,
  { pdu }: EventRecord,
  { changes, find }: Accepted,
): { readonly outsider?: ServerName } {
  const key = stateKeyOf(pdu)
  const userId = key === undefined ? undefined : memberOf(key)
  const before = changes.find((change) => change.key === key)?.before
  if (userId === undefined || before === undefined) return {}
  const was = membershipOf(find(before)?.pdu)
  const is = membershipOf(pdu)
  const server = serverOf(userId)
  const isOver = (was === 'invite' || was === 'knock') && (is === 'leave' || is === 'ban')
  const isTold = server === ownName || server === serverOf(pdu.sender) || serversIn(copy).has(server)
  return isOver && !isTold ? { outsider: server } : {}
}

const VISIBILITY_KEY = stateKey('m.room.history_visibility', '')

/**
 * Who comes by an event that does not follow the newest ones: what was sent while the join was under way is no ancestor of
 * it. Told where members may read what was sent before they came, and could so all the while.
 */
async function lateComer(
  { deps, copy, event, view }: Case,
  { stateBefore }: AcceptedDecision,
  after: RoomCopy,
  joined: readonly ServerName[],
): Promise<Pick<ServerChanges, 'late'>> {
  const server = serverOf(event.pdu.sender)
  const prev = prevEventIds(event.pdu)
  const isLate = copy?.heads.some((id) => !prev.includes(id)) === true && joined.includes(server)
  const id = after.current.state.get(VISIBILITY_KEY)
  if (!isLate || lacksMembers(after) || stateBefore.get(VISIBILITY_KEY) !== id) return {}
  if (id !== undefined) await view.load([id])
  const visibility = id === undefined ? 'shared' : view.record(id)?.pdu.content['history_visibility']
  const records = await deps.events.working(prev)
  const positions = records.map((record) => record?.position ?? 0)
  const isShared = visibility === 'shared' || visibility === 'world_readable'
  return isShared && !positions.includes(0) ? { late: { server, since: Math.max(...positions) } } : {}
}

/** Which servers came and went between two copies; `event`, which made the second, says itself who came by it. */
export function serverChanges(
  { ownName }: Pick<RoomDeps, 'ownName'>,
  before: RoomCopy | undefined,
  after: RoomCopy,
  event?: EventRecord,
): ServerChanges {
  if (before?.joined === after.joined && before.partial === after.partial) return { joined: [], left: [] }
  const old = before === undefined ? new Set<ServerName>() : serversIn(before)
  const fresh = serversIn(after)
  const joined = [...fresh].filter((server) => !old.has(server) && server !== ownName)
  const left = [...old].filter((server) => !fresh.has(server) && server !== ownName)
  if (before?.partial === undefined) return { joined, left }
  const comer = event === undefined ? undefined : memberOf(stateKeyOf(event.pdu) ?? CREATE_KEY)
  const servers = new Set(joined.filter((server) => comer === undefined || serverOf(comer) !== server))
  const proven = serversIn({ joined: before.joined, partial: undefined })
  const unproven = new Set(left.filter((server) => !proven.has(server)))
  return { joined, left, unproven, found: { servers, since: before.since } }
}

/** Rows of the local users whose membership in the current state changed. */
export function membershipWrites(
  deps: Pick<RoomDeps, 'ownName'>,
  roomId: RoomId,
  position: number,
  changes: readonly StateChange[],
  find: (id: EventId) => EventRecord | undefined,
): Write[] {
  const writes: Write[] = []
  for (const { key, before, after } of changes) {
    const userId = memberOf(key)
    // A membership that a resolution took out of the state is over.
    const event = find(after ?? before ?? ('' as EventId))
    if (userId === undefined || event === undefined || serverOf(userId) !== deps.ownName) continue
    const previous = before === undefined ? undefined : membershipOf(find(before)?.pdu)
    writes.push(
      memberships.put([userId, roomId], {
        roomId,
        membership: after === undefined ? 'leave' : membershipOf(event.pdu),
        eventId: event.id,
        sender: event.pdu.sender,
        position,
        ...(previous === undefined ? {} : { previous }),
      }),
    )
  }
  return writes
}

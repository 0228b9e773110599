/** Invites from other servers. spec: server-server-api.md "Inviting to a room" */
import type { EventId, JsonObject, Pdu, RoomId, RoomVersion, ServerName, UserId } from '@plexus/core'
import { authEventIds, roomVersion, serverOf } from '@plexus/core'
import { beyond } from './beyond.ts'
import { cosign } from './co-sign.ts'
import { checkInvitable } from './invites.ts'
import { memberships } from './records.ts'
import { checkPair } from './networks.ts'
import type { RemoteDeps } from './remote-join.ts'
import { stripAll } from './stripped-state.ts'
import { droppedInvite, type OutsiderRow } from './outsiders.ts'
import type { MembershipRecord } from './types.ts'
import { RoomError } from './types.ts'
import { checkEvents } from './verify.ts'

/** Invites of one server that may wait for an answer. */
export const MAX_INVITES_OF_SERVER = 50
/** Invites that may wait for an answer. */
export const MAX_WAITING_INVITES = 1_000
/** Invites of other servers that wait with one for the same user and room. */
export const MAX_OTHER_INVITES = 3

export type RemoteInvite = {
  readonly roomVersion: string
  readonly event: JsonObject
  readonly inviteRoomState: readonly JsonObject[]
}

export type AcceptInvite = (
  origin: ServerName,
  roomId: RoomId,
  eventId: EventId,
  invite: RemoteInvite,
) => Promise<{ event: JsonObject }>

export function createAcceptInvite(
  deps: RemoteDeps & { readonly seekUser: (userId: UserId) => Promise<void> },
): AcceptInvite {
  const checkSpace = createInviteCounter(deps)
  return async (origin, roomId, eventId, invite) => {
    const version = roomVersion(invite.roomVersion)
    if (version === undefined) {
      throw new RoomError(
        'M_INCOMPATIBLE_ROOM_VERSION',
        `room version ${invite.roomVersion} is not supported`,
      )
    }
    checkPair(deps.ownName, origin)
    const pdu = await checkInvite(deps, version, { origin, roomId, eventId }, invite.event)
    const signed = await cosign(deps, 'invite', { version, origin, pdu })
    const target = signed.state_key as UserId
    await checkInvitable(deps, target)
    const isMember =
      (await deps.registry.get(roomId))?.snapshot?.joinedServers.includes(deps.ownName) ?? false
    if (!isMember) await checkSpace(origin)
    await deps.seekUser(target)
    // A room that this node is in learns of the invite by the ordinary way of events.
    if (!isMember) {
      const shown = [...invite.inviteRoomState, signed]
      await keepInvite(deps, { roomId, eventId, target, pdu, shown, version })
    }
    return { event: signed }
  }
}

/** An invite that waits, in the row of its user and room. */
type Waiting = {
  readonly key: readonly [UserId, RoomId]
  readonly eventId: EventId
  readonly server: ServerName
  /** It was withdrawn. */
  readonly isOver: boolean
}

/**
 * Strangers can invite: the rows that they cause are bounded. What is left of invites that they withdrew counts too, and
 * makes room for new ones. Where those of all are too many, the oldest of who has more than the new one's server ends: a name
 * costs nothing, and few that fill their shares must not keep all others out. Where nobody has more the new one is refused: many
 * names with one invite each must not end what was accepted before.
 */
function createInviteCounter({ store, outsiders }: RemoteDeps): (origin: ServerName) => Promise<void> {
  let counts: Map<ServerName, number> | undefined
  const waitingOldestFirst = async (): Promise<readonly Waiting[]> =>
    (await memberships.list(store, []))
      .filter(([, { membership, strippedState }]) => membership !== 'knock' && strippedState !== undefined)
      .toSorted(([, a], [, b]) => a.position - b.position)
      .flatMap(([key, row]) =>
        [row, ...(row.others ?? [])].map(({ eventId, sender }) => ({
          key,
          eventId,
          server: serverOf(sender),
          isOver: row.membership !== 'invite',
        })),
      )
  const count = async (): Promise<Map<ServerName, number>> => {
    const found = new Map<ServerName, number>()
    for (const { server } of await waitingOldestFirst()) found.set(server, (found.get(server) ?? 0) + 1)
    return found
  }
  const isShareFull = (known: ReadonlyMap<ServerName, number>, origin: ServerName): boolean =>
    (known.get(origin) ?? 0) >= MAX_INVITES_OF_SERVER
  const isFull = (known: ReadonlyMap<ServerName, number>, origin: ServerName): boolean =>
    isShareFull(known, origin) ||
    [...known.values()].reduce((sum, each) => sum + each, 0) >= MAX_WAITING_INVITES
  return async (origin) => {
    counts ??= await count()
    // Only rises are counted as they come; what was answered since is seen when it matters.
    if (isFull(counts, origin)) {
      for (const { key, isOver } of await waitingOldestFirst())
        if (isOver) await outsiders.forgetEnded(...key)
      counts = await count()
    }
    if (isShareFull(counts, origin))
      throw new RoomError('M_LIMIT_EXCEEDED', 'too many invites of this server wait for an answer')
    if (isFull(counts, origin)) {
      // Of those with as many the new one's server comes first, and there the new one.
      const waiting = [undefined, ...(await waitingOldestFirst())]
      const gone = beyond(waiting, (each) => each?.server ?? origin, MAX_WAITING_INVITES)
      if (gone.includes(undefined))
        throw new RoomError('M_LIMIT_EXCEEDED', 'too many invites wait for an answer')
      for (const { key, eventId } of gone.filter((each) => each !== undefined))
        await outsiders.change(...key, (row) => row && droppedInvite(row, eventId))
      counts = await count()
    }
    counts.set(origin, (counts.get(origin) ?? 0) + 1)
  }
}

/** The event that the path names, whole and signed by its sender's server. */
async function checkInvite(
  deps: RemoteDeps,
  version: RoomVersion,
  { origin, roomId, eventId }: { origin: ServerName; roomId: RoomId; eventId: EventId },
  raw: JsonObject,
): Promise<Pdu> {
  const lookup = { broughtBy: origin, forStranger: true }
  const [checked] = await checkEvents(deps, version, roomId, [raw], lookup)
  if (checked?.kind !== 'ok')
    throw new RoomError('M_INVALID_PARAM', `not a valid invite: ${checked?.why ?? ''}`)
  const { id, pdu, contentHashOk } = checked.event
  if (id !== eventId || !contentHashOk)
    throw new RoomError('M_INVALID_PARAM', 'the event is not the one that the path names')
  return pdu
}

type Kept = {
  readonly roomId: RoomId
  readonly eventId: EventId
  readonly target: UserId
  readonly pdu: Pdu
  readonly shown: readonly JsonObject[]
  readonly version: RoomVersion
}

async function keepInvite(
  { outsiders, services }: RemoteDeps,
  { roomId, eventId, target, pdu, shown, version }: Kept,
): Promise<void> {
  const { sender, origin_server_ts: at } = pdu
  const row = {
    membership: 'invite' as const,
    eventId,
    sender,
    roomVersion: version.id,
    strippedState: stripAll(shown),
  }
  await outsiders.change(
    target,
    roomId,
    (before) => rowAfter(before, row, pdu),
    services.invited(eventId, roomId, target, at),
  )
}

/** The row with one more invite; `undefined` for who may have joined meanwhile by another, or has refused this one. */
function rowAfter(
  before: MembershipRecord | undefined,
  invite: OutsiderRow,
  pdu: Pdu,
): OutsiderRow | undefined {
  if (before?.membership === 'join') return undefined
  // It comes directly and by mail.
  if (before?.membership === 'leave' && before.eventId === invite.eventId) return undefined
  if (before?.membership !== 'invite' || before.strippedState === undefined) return invite
  // One that does not follow those of other servers may be of none of their rooms: it must not end with itself what waits.
  const { eventId, sender, roomVersion: version, strippedState, others = [] } = before
  const first = { eventId, sender, strippedState, ...(version === undefined ? {} : { roomVersion: version }) }
  const kept = [first, ...others].filter(
    (each) => serverOf(each.sender) !== serverOf(pdu.sender) && !authEventIds(pdu).includes(each.eventId),
  )
  return { ...invite, others: kept.slice(0, MAX_OTHER_INVITES) }
}

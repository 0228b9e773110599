/**
 * Users of this node in rooms that it is not in, by an invite or a knock: their rows, and the events of others that end
 * them.
 */
import type { EventId, JsonObject, RoomId, RoomVersion, ServerName, UserId } from '@plexus/core'
import { authEventIds, isJsonObject, parseUserId, roomVersion, serverOf } from '@plexus/core'
import type { Committer } from '../kernel/committer.ts'
import { createKeyedMutex } from '../kernel/mutex.ts'
import type { Store, Write } from '../ports.ts'
import { membershipOf } from './copy.ts'
import { memberships } from './records.ts'
import { stripAll } from './stripped-state.ts'
import type { MembershipRecord, WaitingInvite } from './types.ts'
import { checkEvents, type CheckedEvent, type VerifyDeps } from './verify.ts'

/** A row but for what follows from the one before it. */
export type OutsiderRow = Omit<MembershipRecord, 'roomId' | 'position' | 'previous'>

export interface Outsiders {
  /**
   * Replaces a user's row by what is made of the one before, which is the newest, or leaves it for `undefined`. Resolves
   * once that outlives a power cut, with the row before. @throws what `next` throws.
   */
  change(
    userId: UserId,
    roomId: RoomId,
    next: (before: MembershipRecord | undefined) => OutsiderRow | undefined,
    also?: readonly Write[],
  ): Promise<MembershipRecord | undefined>
  /** Deletes a user's row if it tells of no more than the end of an invite or knock. */
  forgetEnded(userId: UserId, roomId: RoomId): Promise<void>
}

export function createOutsiders({
  store,
  committer,
}: {
  readonly store: Store
  readonly committer: Committer
}): Outsiders {
  const changes = createKeyedMutex()
  const oneByOne = <T>(userId: UserId, roomId: RoomId, work: () => Promise<T>): Promise<T> =>
    changes.run(`${userId} ${roomId}`, work)
  return {
    forgetEnded: (userId, roomId) =>
      oneByOne(userId, roomId, async () => {
        const row = await memberships.get(store, [userId, roomId])
        if (row?.strippedState === undefined || isOutside(row)) return
        await committer.submit({ writes: () => [memberships.delete([userId, roomId])] })
      }),
    change: (userId, roomId, next, also = []) =>
      oneByOne(userId, roomId, async () => {
        const before = await memberships.get(store, [userId, roomId])
        const row = next(before)
        if (row === undefined) return before
        const previous = before === undefined ? {} : { previous: before.membership }
        await committer.submit({
          durability: 'strict',
          writes: (position) => [
            memberships.put([userId, roomId], { ...row, roomId, position, ...previous }),
            ...also,
          ],
        })
        return before
      }),
  }
}

/**
 * The row after an event of another server that withdraws the user's invite, refuses their knock, or bans them;
 * `undefined` where it does not. This node does not know the room's state, so that it believes who could have kept the
 * user out as well: the server that invited the user or took the knock, and who made the room, as that server showed it.
 * An event that does not follow this very invite or knock may be of the time before it.
 */
function endedBy(row: MembershipRecord | undefined, { id, pdu }: CheckedEvent): OutsiderRow | undefined {
  const membership = membershipOf(pdu)
  if (row === undefined || !isOutside(row)) return undefined
  if (membership !== 'leave' && membership !== 'ban') return undefined
  const { sender } = pdu
  const waiting = [row, ...(row.others ?? [])]
  const ended = waiting.find((each) => authEventIds(pdu).includes(each.eventId) && believes(each, sender))
  if (ended === undefined) return undefined
  return withoutInvite(row, ended.eventId, {
    membership,
    eventId: id,
    sender,
    strippedState: stripAll([pdu]),
  })
}

/** The row after this node gives up an invite that waits; its user sees that it is over. */
export function droppedInvite(row: MembershipRecord, eventId: EventId): OutsiderRow | undefined {
  if (row.membership !== 'invite' || !isOutside(row)) return undefined
  return withoutInvite(row, eventId, { membership: 'leave', eventId, sender: row.sender, strippedState: [] })
}

/** `end`: the row where no other waits. */
function withoutInvite(row: MembershipRecord, eventId: EventId, end: OutsiderRow): OutsiderRow {
  const [first, ...others] = [row, ...(row.others ?? [])].filter((each) => each.eventId !== eventId)
  return first === undefined ? end : { ...first, membership: 'invite', others }
}

function believes(row: WaitingInvite & Pick<MembershipRecord, 'resident'>, sender: UserId): boolean {
  const trusted = row.resident ?? serverOf(row.sender)
  return serverOf(sender) === trusted || creatorsIn(row).includes(sender)
}

function isOutside({ membership, strippedState }: MembershipRecord): boolean {
  return (membership === 'invite' || membership === 'knock') && strippedState !== undefined
}

function creatorsIn({ strippedState = [] }: WaitingInvite): readonly unknown[] {
  const create = strippedState.find(({ type, state_key: key }) => type === 'm.room.create' && key === '')
  return create === undefined ? [] : [create['sender']]
}

export type OutsiderDeps = VerifyDeps & {
  readonly store: Store
  readonly ownName: ServerName
  readonly outsiders: Outsiders
}

/** Takes those of the events that end an invite or a knock of a user of ours, and names them. */
export async function takeFromOutside(
  deps: OutsiderDeps,
  origin: ServerName,
  roomId: RoomId,
  raw: readonly JsonObject[],
): Promise<ReadonlyMap<JsonObject, EventId>> {
  const taken = new Map<JsonObject, EventId>()
  for (const pdu of raw) {
    const wanted = await wantedOf(deps, origin, roomId, pdu)
    if (wanted === undefined) continue
    const lookup = { broughtBy: origin, forStranger: true }
    const [checked] = await checkEvents(deps, wanted.version, roomId, [pdu], lookup)
    if (checked?.kind !== 'ok' || !checked.event.contentHashOk) continue
    const { event } = checked
    let isTaken = false
    await deps.outsiders.change(wanted.userId, roomId, (row) => {
      const next = endedBy(row, event)
      isTaken = next !== undefined
      return next
    })
    if (isTaken) taken.set(pdu, event.id)
  }
  return taken
}

/**
 * Whose row an event of its own server may end, before anything of it is checked: for nobody else's event a key is looked up,
 * while the room's joins wait.
 */
async function wantedOf(
  { store, ownName }: OutsiderDeps,
  origin: ServerName,
  roomId: RoomId,
  { type, sender, state_key: key, content, auth_events: auth }: JsonObject,
): Promise<{ readonly userId: UserId; readonly version: RoomVersion } | undefined> {
  const userId = typeof key === 'string' ? parseUserId(key) : undefined
  const from = typeof sender === 'string' ? parseUserId(sender) : undefined
  if (type !== 'm.room.member' || userId === undefined || from === undefined || !isJsonObject(content))
    return undefined
  if (serverOf(userId) !== ownName || serverOf(from) !== origin) return undefined
  const row = await memberships.get(store, [userId, roomId])
  if (row === undefined || !isOutside(row)) return undefined
  // In rooms of versions 1 and 2 an event is named beside its hashes.
  const cited = Array.isArray(auth) ? auth.map((id) => (Array.isArray(id) ? id[0] : id)) : []
  const ended = [row, ...(row.others ?? [])].find(
    (each) => cited.includes(each.eventId) && believes(each, from),
  )
  const version = ended?.roomVersion === undefined ? undefined : roomVersion(ended.roomVersion)
  return version === undefined ? undefined : { userId, version }
}

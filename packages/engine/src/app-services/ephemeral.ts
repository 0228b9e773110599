/** What is not kept in rooms. spec: application-service-api.md "Pushing ephemeral data" */
import { serverOf } from '@plexus/core'
import type { JsonObject, RoomId, ServerName, UserId } from '@plexus/core'
import type { StreamPosition } from '../kernel/committer.ts'
import type { Serial } from '../kernel/serial.ts'
import type { Outbox } from '../outbox-types.ts'
import type { Clock } from '../ports.ts'
import { presenceContent } from '../rooms-ephemeral/index.ts'
import type { Presence, Receipt, Receipts, Typing } from '../rooms-ephemeral/types.ts'
import type { RoomSnapshot, Rooms } from '../rooms/types.ts'
import { receiptEvents, typingEvent } from '../sync/ephemeral.ts'
import { joinedRooms } from '../users/sharing.ts'
import type { Interest } from './interest.ts'
import type { AppService } from './types.ts'

/** Of each kind in one transaction. Further receipts come with the next one. */
export const MAX_EPHEMERAL = 500

/** How far a service has got in receipts, and in what is kept in memory only. */
export type Heard = { readonly receipts: StreamPosition; readonly serial: number }

export type EphemeralDeps = {
  readonly rooms: Rooms
  readonly receipts: Receipts
  readonly typing: Typing
  readonly presence: Presence
  readonly outbox: Pick<Outbox, 'peers'>
  readonly serial: Serial
  readonly clock: Clock
  readonly interest: Interest
  readonly serverName: ServerName
}

export async function ephemeralNews(
  deps: EphemeralDeps,
  service: AppService,
  heard: Heard,
  committed: StreamPosition,
): Promise<{ readonly events: readonly JsonObject[]; readonly heard: Heard }> {
  const serial = deps.serial.current
  const fresh = await deps.receipts.since(heard.receipts, committed)
  const receipts = fresh.slice(0, MAX_EPHEMERAL)
  const events = [
    ...(await receiptsOf(deps, service, receipts)),
    ...(await typingOf(deps, service, heard.serial)),
    ...(await presenceOf(deps, service, heard.serial)),
  ]
  const last = receipts.length < fresh.length ? receipts.at(-1)?.position : undefined
  return { events, heard: { receipts: last ?? committed, serial } }
}

async function isOfInterest(
  { rooms, interest }: EphemeralDeps,
  service: AppService,
  roomId: RoomId,
): Promise<boolean> {
  const snapshot = await rooms.snapshot(roomId)
  return snapshot !== undefined && isIn(interest, service, snapshot)
}

const isIn = (interest: Interest, service: AppService, { roomId, joinedMembers }: RoomSnapshot): boolean =>
  interest.inRoom(roomId, joinedMembers).includes(service)

/** Private receipts only of its own users. */
async function receiptsOf(
  deps: EphemeralDeps,
  service: AppService,
  receipts: readonly Receipt[],
): Promise<readonly JsonObject[]> {
  const found: JsonObject[] = []
  for (const [roomId, ofRoom] of Map.groupBy(receipts, (receipt) => receipt.roomId)) {
    if (!(await isOfInterest(deps, service, roomId))) continue
    for (const event of receiptEvents(ofRoom, (userId) => service.coversUser(userId)))
      found.push({ ...event, room_id: roomId })
  }
  return found
}

async function typingOf(
  deps: EphemeralDeps,
  service: AppService,
  since: number,
): Promise<readonly JsonObject[]> {
  const found: JsonObject[] = []
  for (const roomId of deps.typing.changedSince(since).slice(0, MAX_EPHEMERAL)) {
    if (await isOfInterest(deps, service, roomId))
      found.push({ ...typingEvent(deps.typing.users(roomId)), room_id: roomId })
  }
  return found
}

async function presenceOf(
  deps: EphemeralDeps,
  service: AppService,
  since: number,
): Promise<readonly JsonObject[]> {
  const found: JsonObject[] = []
  for (const userId of deps.presence.changedSince(since).slice(0, MAX_EPHEMERAL)) {
    const record = deps.presence.get(userId)
    if (record === undefined || !(service.coversUser(userId) || (await isMet(deps, service, userId))))
      continue
    found.push({ type: 'm.presence', sender: userId, content: presenceContent(record, deps.clock.now()) })
  }
  return found
}

/** Whether a user is in a room that the service is interested in. */
async function isMet(deps: EphemeralDeps, service: AppService, userId: UserId): Promise<boolean> {
  const { rooms, interest, outbox, serverName } = deps
  if (serverOf(userId) === serverName)
    return (await joinedRooms(rooms, userId)).some((snapshot) => isIn(interest, service, snapshot))
  for (const [roomId, servers] of outbox.peers()) {
    if (!servers.includes(serverOf(userId))) continue
    const snapshot = await rooms.snapshot(roomId)
    if (snapshot?.joinedMembers.includes(userId) === true && isIn(interest, service, snapshot)) return true
  }
  return false
}

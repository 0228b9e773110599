/**
 * Users of other servers that come, knock and go: templates for their events, and the events.
 * spec: server-server-api.md "Joining Rooms", "Knocking upon a room", "Leaving Rooms (Rejecting Invites)"
 */
import type { EventId, JsonObject, KeyId, ServerName, UserId } from '@plexus/core'
import { authorisingServer, checkFormat, parseUserId, serverOf, withSignature } from '@plexus/core'
import { cosign } from './co-sign.ts'
import { MAX_DATED_AHEAD_MS } from './decide-staged.ts'
import { buildNext, newEventId } from './local.ts'
import { recommend } from './policy.ts'
import type { RemoteDeps } from './remote-join.ts'
import { AUTHORISER, authoriserFor } from './restricted.ts'
import type { Room, Turn } from './room.ts'
import type { EventRecord } from './types.ts'
import { RoomError } from './types.ts'
import { checkEvents } from './verify.ts'

type Kind = 'join' | 'leave' | 'knock'

/** @throws RoomError when the event could not pass: a clear answer before the other server builds it. */
export async function membershipTemplate(
  deps: RemoteDeps,
  turn: Turn,
  kind: Kind,
  userId: UserId,
): Promise<JsonObject> {
  const { copy } = turn
  if (copy === undefined) throw new RoomError('M_NOT_FOUND', 'this server is not in the room')
  const authoriser = kind === 'join' ? await authoriserFor(deps, copy, userId) : undefined
  const content = { membership: kind, ...(authoriser === undefined ? {} : { [AUTHORISER]: authoriser }) }
  const template = { type: 'm.room.member', sender: userId, stateKey: userId, content }
  const built = await buildNext(deps, copy, template, newEventId(deps, copy.version))
  // With the place of the signature that this node gives to what comes back.
  const format = checkFormat(copy.version, withSignature(built, deps.ownName, deps.signer.keyId as KeyId, ''))
  if (format.kind === 'drop') throw new RoomError('M_INVALID_PARAM', format.why.reason)
  const why = await turn.check({ id: format.eventId, pdu: format.pdu, contentHashOk: true })
  if (why !== undefined) throw new RoomError('M_FORBIDDEN', why)
  // Id, hashes and signatures are the other server's to make.
  const { hashes: _hashes, signatures: _signatures, event_id: _id, ...event } = built as JsonObject
  return event
}

/** Takes a signed event of a user of the origin; it is in the room, and outlives a power cut, when this resolves. */
export async function acceptMembership(
  deps: RemoteDeps,
  room: Room,
  kind: Kind,
  origin: ServerName,
  eventId: EventId,
  given: JsonObject,
): Promise<EventRecord> {
  const raw = kind === 'join' ? await authorised(deps, room, origin, given) : given
  const lookup = { broughtBy: origin, forStranger: true }
  const [checked] = await checkEvents(deps, room.version, room.roomId, [raw], lookup)
  if (checked?.kind !== 'ok')
    throw new RoomError('M_INVALID_PARAM', `not a valid event: ${checked?.why ?? ''}`)
  const { id, pdu, contentHashOk } = checked.event
  const userId = pdu.state_key === undefined ? undefined : parseUserId(pdu.state_key)
  if (id !== eventId || !contentHashOk)
    throw new RoomError('M_INVALID_PARAM', 'the event is not the one that the path names')
  if (pdu.type !== 'm.room.member' || pdu.content['membership'] !== kind) {
    throw new RoomError('M_INVALID_PARAM', `the event is no ${kind}`)
  }
  if (userId === undefined || userId !== pdu.sender || serverOf(userId) !== origin) {
    throw new RoomError('M_FORBIDDEN', 'the event is not of a user of the server that asks')
  }
  if (pdu.origin_server_ts > deps.clock.now() + MAX_DATED_AHEAD_MS) {
    throw new RoomError('M_FORBIDDEN', 'the event is dated more than a week ahead: is a clock wrong?')
  }
  const event = await recommend(deps, room, checked.event).catch((error: unknown) => {
    throw new RoomError(
      'M_FORBIDDEN',
      `the room's policy server does not recommend the event: ${String(error)}`,
    )
  })
  const { done } = await room.run(async (turn) => {
    const outcome = await turn.decide({ ...event, from: origin, distribute: true })
    if (outcome.kind === 'missing')
      throw new RoomError('M_BAD_STATE', 'the event refers to events that are not known here')
    if (outcome.kind === 'drop') throw new RoomError('M_INVALID_PARAM', outcome.why)
    if (outcome.change === undefined) return { done: undefined }
    // Who joined, or left, does not say so again: what is answered must outlive a power cut.
    return { done: turn.submit({ ...outcome.change, durability: 'strict' }) }
  })
  await done
  // The answer to a repeated request is that to the first.
  const record = await deps.events.get(id)
  if (record?.verdict !== 'accepted') throw new RoomError('M_FORBIDDEN', record?.why ?? 'not allowed')
  return record
}

/**
 * The join with the signature of this node, where a user of ours is named as who authorises it and the conditions hold
 * at this moment. @throws RoomError as `authoriserFor`. spec: server-server-api.md "Restricted rooms"
 */
async function authorised(
  deps: RemoteDeps,
  room: Room,
  origin: ServerName,
  raw: JsonObject,
): Promise<JsonObject> {
  const { version } = room
  const format = checkFormat(version, raw)
  if (format.kind === 'drop' || authorisingServer(format.pdu) !== deps.ownName) return raw
  // Of this room are the conditions that are looked at.
  if (format.roomId !== room.roomId || !format.contentHashOk) return raw
  const known = await deps.events.get(format.eventId)
  if (known?.verdict === 'accepted') return known.pdu
  const { pdu } = format
  const authoriser = await room.run((turn) =>
    turn.copy === undefined ? Promise.resolve(undefined) : authoriserFor(deps, turn.copy, pdu.sender),
  )
  return authoriser === undefined ? raw : cosign(deps, 'join', { version, origin, pdu })
}

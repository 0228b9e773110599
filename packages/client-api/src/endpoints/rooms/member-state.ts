/** A member event sent as state: the same as the membership endpoints do. */
import { memberKey, ownValue, parseUserId } from '@plexus/core'
import type { EventId, RoomId } from '@plexus/core'
import type { NewEvent } from '@plexus/engine'
import { badJson, forbidden, invalidParam } from '../../matrix-error.ts'
import type { Requester } from '../../services.ts'
import type { Asking } from '../app-services/resolve-alias.ts'

export async function changeMembership(
  { engine, service, signal }: Asking,
  { userId }: Requester,
  roomId: RoomId,
  {
    stateKey,
    content,
    originServerTs,
  }: Pick<NewEvent, 'content' | 'originServerTs'> & { readonly stateKey: string },
): Promise<EventId> {
  const target = parseUserId(stateKey)
  if (target === undefined) throw invalidParam('the state key of a member event must be a user id')
  const membership = ownValue(content, 'membership')
  if (typeof membership !== 'string') throw badJson('membership must be a string')
  const { rooms, appServices } = engine
  const own = target === userId
  const event = { type: 'm.room.member', sender: userId, stateKey, content }
  // A time of its own has only what this node builds by itself, where it is in the room.
  if (originServerTs !== undefined) return rooms.send(roomId, { ...event, originServerTs })
  if (own && membership === 'join') await rooms.join(userId, roomId, { via: [], content, signal })
  else if (own && membership === 'leave') await rooms.leave(userId, roomId, content)
  else if (!own && membership === 'invite') {
    await appServices.askForUser(target, service)
    await rooms.invite(userId, roomId, target, content)
  } else return rooms.send(roomId, event)
  const eventId = (await rooms.snapshot(roomId))?.state.get(memberKey(target))
  if (eventId === undefined) throw forbidden('the membership was not changed')
  return eventId
}

/** Whether the state of a room keeps a user from joining by their own event. */
import type { StateMap, UserId } from '@plexus/core'
import { memberKey, stateKey } from '@plexus/core'
import { membershipOf } from './copy.ts'
import type { EventStore } from './event-store.ts'

/** `undefined` for who may join, as far as membership and join rule tell; the auth rules have the last word. */
export async function whyNoJoin(
  events: EventStore,
  state: StateMap,
  userId: UserId,
): Promise<string | undefined> {
  const find = async (id: Parameters<EventStore['get']>[0] | undefined) =>
    id === undefined ? undefined : (await events.working([id]))[0]?.pdu
  const membership = membershipOf(await find(state.get(memberKey(userId))))
  if (membership === 'ban') return 'the user is banned from the room'
  if (membership === 'join' || membership === 'invite') return undefined
  const rules = await find(state.get(stateKey('m.room.join_rules', '')))
  return rules?.content['join_rule'] === 'public' ? undefined : 'the user is not invited to the room'
}

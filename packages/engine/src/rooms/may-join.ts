/** Whether the state of a room keeps a user from joining by their own event. */
import type { Pdu, StateMap } from '@plexus/core'
import { memberKey, stateKey } from '@plexus/core'
import { membershipOf } from './copy.ts'
import type { EventStore } from './event-store.ts'
import { AUTHORISER, isRestricted } from './restricted.ts'

/** False for who may not join, as far as membership and join rule tell; the auth rules have the last word. */
export async function mayJoin(
  events: EventStore,
  state: StateMap,
  { sender, content }: Pdu,
): Promise<boolean> {
  const find = async (id: Parameters<EventStore['get']>[0] | undefined) =>
    id === undefined ? undefined : (await events.working([id]))[0]?.pdu
  const membership = membershipOf(await find(state.get(memberKey(sender))))
  if (membership === 'ban') return false
  if (membership === 'join' || membership === 'invite') return true
  const rule = (await find(state.get(stateKey('m.room.join_rules', ''))))?.content['join_rule']
  return rule === 'public' || (isRestricted(rule) && content[AUTHORISER] !== undefined)
}

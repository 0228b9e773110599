/** The state that an invite shows of its room. spec: data/api/server-server/invites-v2.yaml `invite_room_state` */
import type { JsonObject, RoomId, RoomVersion, ServerName } from '@plexus/core'
import { checkEvents, type VerifyDeps } from './verify.ts'

/** Why it is not signed state events of this very room, its create event among them; `undefined` when it is. */
export async function inviteStateFault(
  deps: VerifyDeps,
  { version, roomId, origin }: { version: RoomVersion; roomId: RoomId; origin: ServerName },
  state: readonly JsonObject[],
): Promise<'it holds what is no signed state of the room' | 'it has no m.room.create event' | undefined> {
  const lookup = { broughtBy: origin, forStranger: true }
  const results = await checkEvents(deps, version, roomId, state, lookup)
  const pdus = results.map((result) => (result.kind === 'ok' ? result.event.pdu : undefined))
  if (pdus.some((pdu) => pdu?.state_key === undefined)) return 'it holds what is no signed state of the room'
  const hasCreate = pdus.some((pdu) => pdu?.type === 'm.room.create')
  return hasCreate ? undefined : 'it has no m.room.create event'
}

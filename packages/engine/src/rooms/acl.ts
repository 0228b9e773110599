/** Which servers may take part in a room. spec: server-server-api.md "Server Access Control Lists (ACLs)" */
import type { EventId, ServerName } from '@plexus/core'
import { isServerAllowed, stateKey } from '@plexus/core'
import type { EventRecord, RoomSnapshot } from './types.ts'

const ACL_KEY = stateKey('m.room.server_acl', '')

/** Answers for each server with whether the room's ACL lets it take part. */
export async function aclOf(
  event: (id: EventId) => Promise<Pick<EventRecord, 'pdu'> | undefined>,
  { state }: Pick<RoomSnapshot, 'state'>,
): Promise<(server: ServerName) => boolean> {
  const id = state.get(ACL_KEY)
  const acl = id === undefined ? undefined : (await event(id))?.pdu.content
  return (server) => isServerAllowed(acl, server)
}

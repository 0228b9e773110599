import type { ServerName } from '@plexus/core'
import { isServerAllowed, stateKey } from '@plexus/core'
import type { EventStore } from './event-store.ts'
import type { RoomSnapshot } from './types.ts'

/** Why a server may not take part in a room; `undefined` if it may. spec: server-server-api.md "Server Access Control Lists (ACLs)" */
export async function deniedByAcl(
  { events }: { readonly events: EventStore },
  origin: ServerName,
  snapshot: RoomSnapshot,
): Promise<string | undefined> {
  const aclId = snapshot.state.get(stateKey('m.room.server_acl', ''))
  const acl = aclId === undefined ? undefined : (await events.get(aclId))?.pdu.content
  return isServerAllowed(acl, origin) ? undefined : 'the server ACL of the room denies the sending server'
}

/** Makes and takes back invite links of this account. */
import { parseRoomId, type RoomId, type UserId } from '@plexus/core'
import type { NodeApi } from '../bridge/api.ts'
import type { Bridge } from '../bridge/bridge.ts'
import type { MadeInvite } from '../ui/model.ts'
import { encodeInvite } from './invite-link.ts'
import type { Network } from './network.ts'
import { until } from './until.ts'

const LINK_LIFETIME_MS = 7 * 24 * 3_600_000
/** How long a relay may take to be there. */
const RELAY_WAIT_MS = 6_000

export interface InviteMaker {
  /** A link for one person. `roomName` is what the link calls the room. */
  make(roomId: string, roomName: string | undefined): Promise<MadeInvite>
  revoke(roomId: string, token: string): Promise<void>
}

export function createInviteMaker(node: Bridge<NodeApi>, network: Network, me: UserId): InviteMaker {
  return {
    async make(room, roomName) {
      const roomId = roomIdOf(room)
      // Right after the start a relay may still be on its way; a link without addresses leads nowhere.
      await until(
        network.status,
        ({ relays }) => relays.length === 0 || relays.some(({ reserved }) => reserved),
        RELAY_WAIT_MS,
      )
      const link = await node.call('createInvite', { roomId, as: me })
      const named = roomName === undefined ? link : { ...link, roomName }
      return {
        url: `${location.origin}${location.pathname}${encodeInvite(named)}`,
        token: link.token,
        expires: Date.now() + LINK_LIFETIME_MS,
        reachable: link.multiaddrs.length > 0,
      }
    },
    revoke: (room, token) => node.call('revokeInvite', { roomId: roomIdOf(room), token, as: me }),
  }
}

function roomIdOf(text: string): RoomId {
  const roomId = parseRoomId(text)
  if (roomId === undefined) throw new Error('This room has no valid id.')
  return roomId
}

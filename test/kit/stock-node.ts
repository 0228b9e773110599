/**
 * What a node does that keeps to the specification alone, as a stock homeserver: it tells no heads and no sequence, takes
 * none, and drops events that another server than their sender's brings, but for joins and invites. DESIGN section 5
 */
import { isJsonObject, ownValue, parseUserId, serverOf, type JsonObject, type ServerName } from '@plexus/core'
import type { Inbound } from '@plexus/engine'
import type { Federation } from '@plexus/engine/ports'

export function asStockSender(federation: Federation): Federation {
  return {
    ...federation,
    async sendTransaction(destination, { txnId, pdus, edus }, options) {
      const { pdus: verdicts } = await federation.sendTransaction(destination, { txnId, pdus, edus }, options)
      return { pdus: verdicts }
    },
  }
}

export function asStockReceiver(inbound: Inbound): Inbound {
  return {
    async transaction({ origin, pdus, edus }) {
      const kept = pdus.filter((pdu) => isTaken(origin, pdu))
      const { pdus: verdicts } = await inbound.transaction({ origin, pdus: kept, edus })
      return { pdus: verdicts }
    },
    isNext: (transaction) => inbound.isNext(transaction),
  }
}

/** Whether a stock homeserver looks at an event that this server brings. */
export function isTaken(origin: ServerName, pdu: JsonObject): boolean {
  const { sender, type, content } = pdu
  const user = typeof sender === 'string' ? parseUserId(sender) : undefined
  if (user !== undefined && serverOf(user) === origin) return true
  const membership = isJsonObject(content) ? ownValue(content, 'membership') : undefined
  return type === 'm.room.member' && (membership === 'join' || membership === 'invite')
}

/** The way of each request: libp2p between names that are keys, HTTPS where one is a DNS name. DESIGN section 1 */
import type { ServerName } from '@plexus/core'
import { meetsDirectly } from '@plexus/core/names'
import type { Carrier } from '@plexus/engine/ports'
import { CarrierError } from '@plexus/engine/ports'

export type CarrierName = 'libp2p' | 'https'

export type CarriersInit = {
  readonly ownName: ServerName
  readonly p2p: Carrier
  /** `undefined` for a node whose own name no stock server could ask. */
  readonly https: Carrier | undefined
  /** An answer came, or none (status 0). */
  readonly sent: (carrier: CarrierName, status: number) => void
}

export function createCarriers({ ownName, p2p, https, sent }: CarriersInit): Carrier {
  const counted = (name: CarrierName, carrier: Carrier): Carrier => ({
    async send(request, options) {
      try {
        const response = await carrier.send(request, options)
        sent(name, response.status)
        return response
      } catch (error) {
        sent(name, 0)
        throw error
      }
    },
  })
  const direct = counted('libp2p', p2p)
  const web = https === undefined ? undefined : counted('https', https)
  return {
    async send(request, options) {
      const { destination } = request.request
      if (meetsDirectly(ownName, destination)) return direct.send(request, options)
      if (web === undefined)
        throw new CarrierError('unreachable', 'this node has no DNS name, and so no way to servers that do')
      return web.send(request, options)
    },
  }
}

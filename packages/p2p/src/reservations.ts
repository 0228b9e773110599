import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import type { PeerId, Transport } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'

type TransportFactory = NonNullable<Libp2pOptions['transports']>[number]

/** The part of the transport's reservation store that is used; the class is public, its type is not. */
interface ReservationStore {
  addRelay(peerId: PeerId, type: 'discovered' | 'configured'): Promise<unknown>
  /** Asks for one more reservation, and forgets which relays failed before. */
  reserveRelay(): unknown
}

/**
 * The circuit relay transport, held to configured relays: left alone it would reserve at any peer that offers to be a
 * relay, and such a peer could take the place of ours.
 */
export interface Reservations {
  readonly transport: TransportFactory
  /** Makes or keeps a reservation at a relay that is connected. @throws when the relay refuses */
  reserve(relay: PeerId): Promise<void>
}

export function createReservations(isRelay: (peerId: string) => boolean): Reservations {
  let reserve: ((relay: PeerId) => Promise<unknown>) | undefined
  return {
    transport(components) {
      const transport = circuitRelayTransport()(components)
      const store = reservationStore(transport)
      const addRelay = store.addRelay.bind(store)
      store.addRelay = (peerId, type) =>
        isRelay(peerId.toString())
          ? addRelay(peerId, type)
          : Promise.reject(new Error('Reservations are made at configured relays only'))
      reserve = (relay) =>
        addRelay(relay, 'discovered').catch((error: unknown) => {
          // The store remembers for ever that a relay failed, also if it was only about to start or stop.
          store.reserveRelay()
          throw error
        })
      return transport
    },
    async reserve(relay) {
      if (reserve === undefined) throw new Error('The circuit relay transport is not started')
      await reserve(relay)
    },
  }
}

/** @throws TypeError when the library's transport is not as it was: to be found by the first test that runs. */
function reservationStore(transport: Transport): ReservationStore {
  if ('reservationStore' in transport) {
    const store = transport.reservationStore
    if (typeof store === 'object' && store !== null && 'addRelay' in store && 'reserveRelay' in store)
      return store as ReservationStore
  }
  throw new TypeError('The circuit relay transport has no reservation store')
}

import type { Endpoint } from '../endpoint.ts'
import { ping } from './app-services/ping.ts'
import { putNetworkVisibility } from './app-services/put-network-visibility.ts'
import { thirdPartyLookups } from './app-services/third-party-lookup.ts'
import { thirdPartyProtocol } from './app-services/third-party-protocol.ts'
import { thirdPartyProtocols } from './app-services/third-party-protocols.ts'

/** Endpoints for application services, and those that they answer. */
export const appServiceEndpoints: readonly Endpoint[] = [
  ping,
  putNetworkVisibility,
  thirdPartyProtocol,
  thirdPartyProtocols,
  ...thirdPartyLookups,
]

export * from './discovery.ts'
export {
  createHttpsCarrier,
  MAX_CONNECTIONS_PER_PLACE,
  MAX_REQUESTS_PER_SERVER,
  type HttpsCarrier,
  type HttpsCarrierInit,
} from './https-carrier.ts'
export { answerClientError, createFederationListener, type FederationListenerInit } from './listener.ts'
export { createResolveMap, type ResolveMap } from './resolve-map.ts'
export { createLookupSrv } from './srv.ts'
export { createWellKnown, type HttpsGet, type WellKnown } from './well-known.ts'

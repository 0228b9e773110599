export { createRelay, type Relay, type RelayDeps, type RelayInit, type RelayStats } from './create-relay.ts'
export { loadRelayIdentity, type RelayIdentity, type WebrtcCertificate } from './identity.ts'

export type * from './app-services/types.ts'
export {
  createEngine,
  type Engine,
  type EngineDeps,
  type EngineInit,
  type AppServicesInit,
} from './engine.ts'
export type * from './directory/types.ts'
export * from './kernel/committer.ts'
export { MIGRATIONS } from './migrations.ts'
export { watchPeers } from './watch-peers.ts'
export * from './outbox-types.ts'
export * from './ports.ts'
export { presenceContent } from './rooms-ephemeral/index.ts'
export type * from './rooms-ephemeral/types.ts'
export * from './rooms/types.ts'
export * from './sync/index.ts'
export { SEARCH_KEYS } from './search/terms.ts'
export type { TurnInit } from './users/turn.ts'
export * from './users/types.ts'
export { createSigner, createVerifier, type SubtleEd25519 } from './webcrypto.ts'
export { checkEvents, type CheckedEvent, type CheckResult } from './rooms/verify.ts'

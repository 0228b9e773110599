export { checkAuthEvents, checkRoom } from './auth/auth-events.ts'
export { checkAuth } from './auth/check-auth.ts'
export type { AuthState } from './auth/context.ts'
export {
  creatorOf,
  creatorsOf,
  requiredActionLevel,
  requiredEventLevel,
  userPowerLevel,
  type PowerAction,
} from './auth/levels.ts'
export { membershipOf } from './auth/member.ts'
export { checkLevelsContent } from './auth/power-levels.ts'
export { mayRedactOthers, redactionTarget } from './auth/redaction.ts'
export { authStateKeys, type AuthSubject } from './auth/selection.ts'
export * from './base64.ts'
export * from './build.ts'
export * from './canonical-json.ts'
export { createIdOf, createOf, judgedBy, startsRoom } from './create-id.ts'
export * from './decide.ts'
export * from './format.ts'
export * from './hash.ts'
export * from './ids.ts'
export * from './json.ts'
export { createKnownEvents, generationAbove, type KnownEvents } from './known-events.ts'
export { changeState, stateDifference, type StateDifference } from './layered-state.ts'
export * from './pdu.ts'
export * from './redact.ts'
export { type Missing } from './resolve/graph.ts'
export { resolve, type Resolution } from './resolve/resolve.ts'
export * from './room-version.ts'
export * from './server-acl.ts'
export * from './sign.ts'
export * from './state.ts'

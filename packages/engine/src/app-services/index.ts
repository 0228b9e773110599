export { createAppServiceCalls, createCallService } from './calls.ts'
export { createAppServices } from './registry.ts'

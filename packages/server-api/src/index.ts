export { createFederation, type FederationDeps, type FederationInit } from './federation.ts'
export { createServerApi, type ServerApiDeps } from './server-api.ts'
export { createMailHandler } from './mail.ts'

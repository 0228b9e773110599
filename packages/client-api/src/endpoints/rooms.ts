import type { Endpoint } from '../endpoint.ts'

/** Endpoints about sync and rooms. */
export const roomEndpoints: readonly Endpoint[] = []

import type { Endpoint } from '../endpoint.ts'
import { ping } from './app-services/ping.ts'

/** Endpoints for application services alone. */
export const appServiceEndpoints: readonly Endpoint[] = [ping]

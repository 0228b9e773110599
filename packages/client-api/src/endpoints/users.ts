import type { Endpoint } from '../endpoint.ts'

/** Endpoints about accounts, devices, keys, account data, push rules, profiles and media. */
export const userEndpoints: readonly Endpoint[] = []

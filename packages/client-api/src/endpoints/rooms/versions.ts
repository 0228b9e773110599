// GET /_matrix/client/versions https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions
import type { JsonObject } from '@plexus/core'
import { endpoint } from '../../endpoint.ts'
import type { Endpoint } from '../../endpoint.ts'

/**
 * Versions from which a client may infer what is here. Of what they have, third-party ids and single sign-on are not, nor are
 * URL previews where the node reads no web pages: those endpoints say so.
 */
export const SPEC_VERSIONS: readonly string[] = [
  'r0.6.1',
  ...Array.from({ length: 19 }, (_, index) => `v1.${index + 1}`),
]

/** What is here of proposals, by the names that clients look for. */
const UNSTABLE_FEATURES: JsonObject = {
  // `use_state_after`, of v1.16.
  'org.matrix.msc4222': true,
  // Dehydrated devices.
  'org.matrix.msc3814': true,
  // Sliding sync.
  'org.matrix.simplified_msc3575': true,
}

export const versions: Endpoint = endpoint({
  method: 'GET',
  path: '/_matrix/client/versions',
  auth: 'none',
  handler: () => ({ versions: SPEC_VERSIONS, unstable_features: UNSTABLE_FEATURES }),
})

/** What the endpoints of dehydrated devices share. source: proposal 3814 */
import * as v from 'valibot'
import { queryInteger } from '../../schemas.ts'

export const DEHYDRATED_DEVICE = '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device'

/** A position up to which the client has messages. */
export const batchToken: v.GenericSchema<unknown, number> = v.optional(
  queryInteger(0, Number.MAX_SAFE_INTEGER),
  '0',
)

import { isJsonObject, type JsonValue } from '../json.ts'
import { isCount, separatedBytes } from './domain.ts'

const HASH = /^[A-Za-z0-9_-]{43}$/
const INCARNATION = /^[A-Za-z0-9_-]{22}$/

/**
 * What Plexus nodes add to a signed request, signed by the same key: X-Matrix has neither time nor order.
 */
export type Envelope = {
  /** `requestHash` of the request. */
  readonly requestHash: string
  /** 128 random bits of the sender's store, URL-safe unpadded base64. */
  readonly incarnation: string
  /** Place in the sender's sequence to this destination, from 1; only where the request must be acknowledged. */
  readonly sequence?: number
  /** Milliseconds since 1970 from which the request is refused. */
  readonly expires: number
}

/** The bytes that the name key signs. */
export function envelopeBytes(envelope: Envelope): Uint8Array {
  const { requestHash, incarnation, sequence, expires } = envelope
  const fields = { requestHash, incarnation, expires }
  return separatedBytes('envelope', sequence === undefined ? fields : { ...fields, sequence })
}

/** Shape only. Unknown keys are dropped. */
export function parseEnvelope(value: JsonValue): Envelope | undefined {
  if (!isJsonObject(value)) return undefined
  const { requestHash, incarnation, sequence, expires } = value
  if (typeof requestHash !== 'string' || !HASH.test(requestHash)) return undefined
  if (typeof incarnation !== 'string' || !INCARNATION.test(incarnation)) return undefined
  if (!isCount(expires)) return undefined
  if (sequence === undefined) return { requestHash, incarnation, expires }
  return isCount(sequence) && sequence > 0 ? { requestHash, incarnation, sequence, expires } : undefined
}

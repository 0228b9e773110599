/** A server that signs whatever a test wants, in the name of the node with the same seed. */
import {
  buildEvent,
  encodeBase64,
  eventIdOf,
  isJsonObject,
  parseJson,
  signingBytes,
  withSignature,
  type BuildInput,
  type EventId,
  type JsonObject,
  type JsonValue,
  type KeyId,
  type Pdu,
  type RoomVersion,
  type ServerName,
} from '@plexus/core'
import { envelopeBytes, requestBytes, requestHash } from '@plexus/core/names'
import type { CarrierResponse, Clock, EnvelopedRequest, Signer } from '@plexus/engine/ports'
import { testSigner } from './keys.ts'
import type { Loopback } from './loopback.ts'
import { createSeededRandom } from './seeded-random.ts'

export type RawRequest = {
  readonly method: string
  readonly uri: string
  readonly content?: JsonValue
  readonly sequence?: number
}

export type RawAnswer = {
  readonly status: number
  readonly body: JsonObject
  readonly response: CarrierResponse
}

export interface FakePeer {
  readonly name: ServerName
  readonly signer: Signer
  /** Signs and encloses as an honest client would, whatever the request says. */
  enclose(destination: ServerName, raw: RawRequest): Promise<EnvelopedRequest>
  ask(destination: ServerName, raw: RawRequest): Promise<RawAnswer>
  /** Brings bytes that somebody made. */
  bring(request: EnvelopedRequest): Promise<RawAnswer>
  /** PUT /send. */
  send(destination: ServerName, content: JsonObject, sequence?: number): Promise<RawAnswer>
  /** An event with the hash that belongs to it, and this peer's signature if `signed`. */
  build(version: RoomVersion, input: BuildInput, signed?: boolean): Promise<{ id: EventId; pdu: Pdu }>
}

const LIFETIME_MS = 60_000

export function createFakePeer(init: {
  loopback: Pick<Loopback, 'carrier'>
  clock: Clock
  seed: number
  /** That of the seed unless given. */
  signer?: Signer
}): FakePeer {
  const { loopback, clock, signer = testSigner(init.seed) } = init
  const { name } = signer
  const carrier = loopback.carrier(name)
  const incarnation = Buffer.from(createSeededRandom(init.seed + 77).bytes(16)).toString('base64url')
  let count = 0

  const bring = async (request: EnvelopedRequest): Promise<RawAnswer> => {
    const response = await carrier.send(request, { timeoutMs: 1_000 })
    const parsed = parseJson(response.body, { maxBytes: response.body.length })
    const body = parsed.kind === 'ok' && isJsonObject(parsed.value) ? parsed.value : {}
    return { status: response.status, body, response }
  }

  const enclose = async (
    destination: ServerName,
    { sequence, ...raw }: RawRequest,
  ): Promise<EnvelopedRequest> => {
    const unsigned = { ...raw, origin: name, destination }
    count += 1
    const expires = clock.now() + LIFETIME_MS + count
    const fields = { requestHash: requestHash(unsigned), incarnation, expires }
    const envelope = sequence === undefined ? fields : { ...fields, sequence }
    const own = encodeBase64(await signer.sign(requestBytes(unsigned)))
    return {
      request: { ...unsigned, signatures: { [name]: { [signer.keyId]: own } } },
      envelope,
      signature: encodeBase64(await signer.sign(envelopeBytes(envelope))),
    }
  }

  const ask = async (destination: ServerName, raw: RawRequest): Promise<RawAnswer> =>
    bring(await enclose(destination, raw))

  return {
    name,
    signer,
    enclose,
    ask,
    bring,
    send(destination, content, sequence) {
      const raw = { method: 'PUT', uri: `/_matrix/federation/v1/send/fake-${count}`, content }
      return ask(destination, sequence === undefined ? raw : { ...raw, sequence })
    },
    async build(version, input, signed = true) {
      const bare = buildEvent(version, input)
      const signature = encodeBase64(await signer.sign(signingBytes(version, bare)))
      const pdu = signed ? withSignature(bare, name, signer.keyId as KeyId, signature) : bare
      return { id: eventIdOf(version, pdu), pdu }
    },
  }
}

/** Asks other servers: signs, sends by a carrier, and parses what comes back. */
import type { JsonObject, JsonValue, ServerName } from '@plexus/core'
import { encodeBase64, isJsonObject, MAX_DOCUMENT_DEPTH, MAX_JSON_DEPTH, parseJson } from '@plexus/core'
import { envelopeBytes, hashOfRequestBytes, MAX_CLOCK_SKEW_MS, requestBytes } from '@plexus/core/names'
import type {
  CallOptions,
  Carrier,
  CarrierResponse,
  Clock,
  EnvelopedRequest,
  Federation,
  Signer,
} from '@plexus/engine/ports'
import { CarrierError, FederationError } from '@plexus/engine/ports'
import {
  DEFAULT_TIMEOUT_MS,
  ENVELOPE_LIFETIME_MS,
  LONG_TIMEOUT_MS,
  MAX_ERROR_LENGTH,
  MAX_MULTIPART_OVERHEAD_BYTES,
  MAX_SMALL_ANSWER_BYTES,
} from './bounds.ts'
import { maxBytesOf, type Call } from './call.ts'
import { backfillCall } from './endpoints/backfill.ts'
import { eventCall } from './endpoints/event.ts'
import { exchangeThirdPartyInviteCall } from './endpoints/exchange-third-party-invite.ts'
import { getMissingEventsCall } from './endpoints/get-missing-events.ts'
import { hierarchyCall } from './endpoints/hierarchy.ts'
import { inviteCall, inviteV1Call } from './endpoints/invite.ts'
import { makeMembershipCall } from './endpoints/make-membership.ts'
import { mediaDownloadUri } from './endpoints/media-download.ts'
import { policySignCall } from './endpoints/policy-sign.ts'
import { publicRoomsCall } from './endpoints/public-rooms.ts'
import { notaryQueryCall } from './endpoints/notary-query.ts'
import { queryDirectoryCall } from './endpoints/query-directory.ts'
import { queryProfileCall } from './endpoints/query-profile.ts'
import { sendJoinCall } from './endpoints/send-join.ts'
import { sendKnockCall } from './endpoints/send-knock.ts'
import { sendLeaveCall } from './endpoints/send-leave.ts'
import { sendCall } from './endpoints/send.ts'
import { serverKeysCall } from './endpoints/server-keys.ts'
import { stateIdsCall } from './endpoints/state-ids.ts'
import { stateCall } from './endpoints/state.ts'
import { timestampToEventCall } from './endpoints/timestamp-to-event.ts'
import { userDevicesCall } from './endpoints/user-devices.ts'
import { userKeysClaimCall } from './endpoints/user-keys-claim.ts'
import { userKeysQueryCall } from './endpoints/user-keys-query.ts'
import { decodeMedia } from './multipart.ts'
import type { Method } from './request.ts'
import { applySchema } from './schema.ts'

export type FederationDeps = { readonly carrier: Carrier; readonly signer: Signer; readonly clock: Clock }

/** `incarnation`: 128 random bits of the store, URL-safe unpadded base64. */
export type FederationInit = { readonly incarnation: string }

/** What is to be signed for one request. */
type Outgoing = {
  readonly destination: ServerName
  readonly method: Method
  readonly uri: string
  readonly content?: JsonObject
  readonly sequence?: number
}

/** The destination has no such endpoint. spec: server-server-api.md "Unsupported endpoints" */
function isUnrecognized(error: unknown): boolean {
  if (!(error instanceof FederationError)) return false
  const { status, errcode } = error.remote
  return errcode === 'M_UNRECOGNIZED' || (status === 404 && errcode !== 'M_NOT_FOUND')
}

export function createFederation(deps: FederationDeps, { incarnation }: FederationInit): Federation {
  const { carrier, clock, signer } = deps
  const enclose = createEncloser(signer, clock, incarnation)

  const exchange = async (
    outgoing: Outgoing,
    options: CallOptions,
    bounds: { readonly timeoutMs: number; readonly maxBytes: number },
  ): Promise<CarrierResponse> => {
    const { signal, timeoutMs = bounds.timeoutMs } = options
    const { maxBytes } = bounds
    signal?.throwIfAborted()
    const request = await enclose(outgoing)
    return carrier.send(request, { timeoutMs, maxBytes, ...(signal === undefined ? {} : { signal }) })
  }

  const ask = async <T>(
    destination: ServerName,
    call: Call<T>,
    options: CallOptions = {},
  ): Promise<{ value: T; response: CarrierResponse }> => {
    const { method, uri, content, sequence, timeoutMs = DEFAULT_TIMEOUT_MS } = call
    const outgoing = {
      destination,
      method,
      uri,
      ...(content === undefined ? {} : { content }),
      ...(sequence === undefined ? {} : { sequence }),
    }
    const response = await exchange(outgoing, options, { timeoutMs, maxBytes: maxBytesOf(call) })
    return { value: parseAnswer(response, call), response }
  }

  const valueOf = async <T>(destination: ServerName, call: Call<T>, options?: CallOptions): Promise<T> =>
    (await ask(destination, call, options)).value

  return {
    async sendTransaction(destination, transaction, options) {
      const call = sendCall(signer.name, clock.now(), transaction)
      const { value, response } = await ask(destination, call, options)
      const { pdus, 'plexus.heads': heads } = value
      const { acknowledgement } = response
      return {
        pdus,
        ...(heads === undefined ? {} : { heads }),
        ...(acknowledgement?.incarnation === incarnation ? { committed: acknowledgement.committed } : {}),
      }
    },
    encloseTransaction(destination, transaction, expires) {
      const { method, uri, content, sequence } = sendCall(signer.name, clock.now(), transaction)
      const numbered = sequence === undefined ? {} : { sequence }
      return enclose(
        { destination, method, uri, ...(content === undefined ? {} : { content }), ...numbered },
        expires,
      )
    },
    makeMembership: (kind, destination, roomId, userId, versions, options) =>
      valueOf(destination, makeMembershipCall(kind, roomId, userId, versions), options),
    sendJoin: (destination, roomId, eventId, event, options) =>
      valueOf(destination, sendJoinCall(roomId, eventId, event), options),
    sendLeave: (destination, roomId, eventId, event, options) =>
      valueOf(destination, sendLeaveCall(roomId, eventId, event), options),
    sendKnock: (destination, roomId, eventId, event, options) =>
      valueOf(destination, sendKnockCall(roomId, eventId, event), options),
    async invite(destination, roomId, eventId, invite, options) {
      try {
        return await valueOf(destination, inviteCall(roomId, eventId, invite), options)
      } catch (error) {
        const older = isUnrecognized(error) ? inviteV1Call(roomId, eventId, invite) : undefined
        if (older === undefined) throw error
        return valueOf(destination, older, options)
      }
    },
    exchangeThirdPartyInvite: (destination, roomId, event, options) =>
      valueOf(destination, exchangeThirdPartyInviteCall(roomId, event), options),
    getMissingEvents: (destination, roomId, query, options) =>
      valueOf(destination, getMissingEventsCall(roomId, query), options),
    backfill: (destination, roomId, from, limit, options) =>
      valueOf(destination, backfillCall(roomId, from, limit), options),
    event: (destination, eventId, options) => valueOf(destination, eventCall(eventId), options),
    state: (destination, roomId, eventId, options) =>
      valueOf(destination, stateCall(roomId, eventId), options),
    stateIds: (destination, roomId, eventId, options) =>
      valueOf(destination, stateIdsCall(roomId, eventId), options),
    profile: (destination, userId, field, options) =>
      valueOf(destination, queryProfileCall(userId, field), options),
    directory: (destination, alias, options) => valueOf(destination, queryDirectoryCall(alias), options),
    publicRooms: (destination, query, options) => valueOf(destination, publicRoomsCall(query), options),
    hierarchy: (destination, roomId, options) => valueOf(destination, hierarchyCall(roomId), options),
    timestampToEvent: (destination, roomId, ts, direction, options) =>
      valueOf(destination, timestampToEventCall(roomId, ts, direction), options),
    signByPolicy: (destination, event, options) => valueOf(destination, policySignCall(event), options),
    userDevices: (destination, userId, options) => valueOf(destination, userDevicesCall(userId), options),
    queryKeys: (destination, deviceKeys, options) =>
      valueOf(destination, userKeysQueryCall(deviceKeys), options),
    claimKeys: (destination, oneTimeKeys, options) =>
      valueOf(destination, userKeysClaimCall(oneTimeKeys), options),
    serverKeys: (destination, options) => valueOf(destination, serverKeysCall(), options),
    notaryKeys: (notary, server, until, options) => valueOf(notary, notaryQueryCall(server, until), options),
    async downloadMedia(destination, mediaId, maxBytes, options = {}) {
      const uri = mediaDownloadUri(mediaId, options.uploadTimeoutMs)
      const outgoing = { destination, method: 'GET', uri } as const
      const most = maxBytes + MAX_MULTIPART_OVERHEAD_BYTES
      const bounds = { timeoutMs: LONG_TIMEOUT_MS, maxBytes: most }
      const response = await exchange(outgoing, options, bounds)
      checkStatus(response)
      if (response.body.length > most)
        throw new FederationError({ status: 413, errcode: 'M_TOO_LARGE', error: 'the media is too large' })
      const media = decodeMedia(response.contentType, response.body, maxBytes)
      if (media === undefined) throw nonsense('the answer is not media')
      return media
    },
  }
}

/** Signs requests. Each without a given expiry gets one of its own, by which the receiver tells a repeated one. */
function createEncloser(
  signer: Signer,
  clock: Clock,
  incarnation: string,
): (outgoing: Outgoing, expires?: number) => Promise<EnvelopedRequest> {
  let last = 0
  const nextExpiry = (): number => {
    const wanted = clock.now() + ENVELOPE_LIFETIME_MS
    // A clock that was set back by more than others tolerate must not leave every request with an expiry ahead.
    last = last - wanted > MAX_CLOCK_SKEW_MS ? wanted : Math.max(wanted, last + 1)
    return last
  }
  return async ({ sequence, ...target }, expires = nextExpiry()) => {
    const unsigned = { ...target, origin: signer.name }
    const bytes = requestBytes(unsigned)
    const fields = { requestHash: hashOfRequestBytes(bytes), incarnation, expires }
    const envelope = sequence === undefined ? fields : { ...fields, sequence }
    const [own, around] = await Promise.all([signer.sign(bytes), signer.sign(envelopeBytes(envelope))])
    const signatures = { [signer.name]: { [signer.keyId]: encodeBase64(own) } }
    return { request: { ...unsigned, signatures }, envelope, signature: encodeBase64(around) }
  }
}

function parseAnswer<T>(response: CarrierResponse, call: Call<T>): T {
  checkStatus(response)
  const maxDepth = call.holdsEvents === true ? MAX_DOCUMENT_DEPTH : MAX_JSON_DEPTH
  const parsed = parseJson(response.body, { maxBytes: maxBytesOf(call), maxDepth })
  if (parsed.kind === 'failure') throw nonsense(`the answer is ${parsed.why}`)
  const result = applySchema(call.answer, parsed.value)
  if (result.kind === 'wrong') throw nonsense(`the answer is malformed: ${result.why}`)
  return result.value
}

/** @throws FederationError for an error answer, CarrierError for a status that no endpoint answers. */
function checkStatus({ status, body }: CarrierResponse): void {
  if (status === 200) return
  if (status < 400) throw nonsense(`the status is ${status}`)
  const parsed = parseJson(body, { maxBytes: MAX_SMALL_ANSWER_BYTES })
  const fields = parsed.kind === 'ok' && isJsonObject(parsed.value) ? parsed.value : {}
  const errcode = textOf(fields['errcode'], 'M_UNKNOWN')
  throw new FederationError({ status, errcode, error: textOf(fields['error'], 'no reason given') })
}

function textOf(value: JsonValue | undefined, otherwise: string): string {
  return typeof value === 'string' ? value.slice(0, MAX_ERROR_LENGTH) : otherwise
}

function nonsense(message: string): CarrierError {
  return new CarrierError('refused', message)
}

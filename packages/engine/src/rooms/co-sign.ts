/**
 * Events that two servers sign. The one place where this node signs an event that another built. DESIGN section 2
 */
import type { JsonObject, KeyId, Pdu, RoomVersion, ServerName, UserId } from '@plexus/core'
import {
  authorisingServer,
  encodeBase64,
  isJsonObject,
  parseUserId,
  serverOf,
  signingBytes,
  withSignature,
} from '@plexus/core'
import type { Signer } from '../ports.ts'
import { CarrierError } from '../ports.ts'
import { membershipOf } from './copy.ts'
import type { EventInput } from './room.ts'
import { RoomError } from './types.ts'
import { findSignature, type VerifyDeps } from './verify.ts'

export type CosignRequest = {
  readonly version: RoomVersion
  /** The server that asks. */
  readonly origin: ServerName
  /** Whose format and content hash are checked. */
  readonly pdu: Pdu
}

/**
 * Signs an invite of a user of ours, or a join that a user of ours authorises, of a user of the server that asks, which
 * is not ours. Whether the invite is welcome or the join is due is the caller's to know.
 * @throws RoomError M_INVALID_PARAM, M_FORBIDDEN
 */
export async function cosign(
  { signer, ownName }: { readonly signer: Signer; readonly ownName: ServerName },
  kind: 'invite' | 'join',
  { version, origin, pdu }: CosignRequest,
): Promise<Pdu> {
  if (pdu.type !== 'm.room.member' || membershipOf(pdu) !== kind)
    throw new RoomError('M_INVALID_PARAM', kind === 'invite' ? 'not an invite' : 'not a join')
  const target: UserId | undefined = pdu.state_key === undefined ? undefined : parseUserId(pdu.state_key)
  if (kind === 'invite' && (target === undefined || serverOf(target) !== ownName))
    throw new RoomError('M_INVALID_PARAM', 'the invited user is not of this server')
  if (kind === 'join') {
    if (!version.joinRules.has('restricted') || authorisingServer(pdu) !== ownName)
      throw new RoomError('M_INVALID_PARAM', 'the join is not authorised by a user of this server')
    if (target !== pdu.sender) throw new RoomError('M_INVALID_PARAM', 'the sender joins somebody else')
  }
  if (serverOf(pdu.sender) !== origin || origin === ownName)
    throw new RoomError('M_FORBIDDEN', 'the sender is not of the server that asks')
  const signature = await signer.sign(signingBytes(version, pdu))
  return withSignature(pdu, ownName, signer.keyId as KeyId, encodeBase64(signature))
}

/**
 * Takes the other server's signature of an event of ours, and nothing else, from what it answered.
 * @throws CarrierError when there is no valid one.
 */
export async function withSignatureOf(
  deps: VerifyDeps,
  version: RoomVersion,
  event: EventInput,
  answer: JsonObject | undefined,
  server: ServerName,
): Promise<EventInput> {
  const signatures = answer?.['signatures']
  const theirs = isJsonObject(signatures) ? signatures[server] : undefined
  const found = await findSignature(deps, isJsonObject(theirs) ? theirs : undefined, {
    server,
    at: event.pdu.origin_server_ts,
    beyondValidity: !version.enforcesKeyValidity,
    message: signingBytes(version, event.pdu),
  })
  if (found === undefined) throw new CarrierError('refused', `${server} did not sign the event`)
  return { ...event, pdu: withSignature(event.pdu, server, found.keyId, encodeBase64(found.signature)) }
}

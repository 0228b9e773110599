import { serverOf, parseUserId, type KeyId, type ServerName } from './ids.ts'
import { eventIdOf } from './hash.ts'
import { ownValue } from './json.ts'
import type { Pdu } from './pdu.ts'
import type { RoomVersion } from './room-version.ts'

/**
 * The servers whose valid signature an event must have before it is decided; otherwise it is dropped. A third-party
 * invite needs its sender's server like any other event; the signature inside it is part of the auth rules.
 * spec: server-server-api.md "Validating hashes and signatures on received events", rooms/v12.md auth rule 5.2
 */
export function requiredSigners(version: RoomVersion, pdu: Pdu): readonly ServerName[] {
  const signers = new Set([serverOf(pdu.sender)])
  // spec: rooms/v3.md "Authorisation rules": the server that gave the event its id
  if (version.eventIds === 'field') signers.add(serverOf(eventIdOf(version, pdu)))
  const authoriser = version.joinRules.has('restricted') ? authorisingServer(pdu) : undefined
  if (authoriser !== undefined) signers.add(authoriser)
  return [...signers]
}

/** The server of `join_authorised_via_users_server`; `undefined` if the event has none that is a user id. */
export function authorisingServer(pdu: Pdu): ServerName | undefined {
  if (pdu.type !== 'm.room.member') return undefined
  const named = ownValue(pdu.content, 'join_authorised_via_users_server')
  const userId = typeof named === 'string' ? parseUserId(named) : undefined
  return userId === undefined ? undefined : serverOf(userId)
}

/** A copy with one more signature; another one of the same server and key is replaced. */
export function withSignature(pdu: Pdu, server: ServerName, keyId: KeyId, signature: string): Pdu {
  const others = Object.hasOwn(pdu.signatures, server) ? pdu.signatures[server] : undefined
  return { ...pdu, signatures: { ...pdu.signatures, [server]: { ...others, [keyId]: signature } } }
}

/**
 * Policy servers: who recommends events for a room, and whether an event is recommended.
 * spec: server-server-api.md "Policy Servers"
 */
import type { KeyId, Pdu, RoomVersion, ServerName } from '@plexus/core'
import {
  decodeBase64,
  encodeBase64,
  isJsonObject,
  parseServerName,
  serverOf,
  signingBytes,
  stateKey,
  withSignature,
} from '@plexus/core'
import { isSoundPublicKey, verifyEd25519 } from '@plexus/core/names'
import type { Federation, Log } from '../ports.ts'
import { isDecided } from './case.ts'
import type { RoomCopy } from './copy.ts'
import type { EventStore } from './event-store.ts'
import type { Room } from './room.ts'
import { RoomError } from './types.ts'
import type { CheckedEvent } from './verify.ts'

/** How long a policy server is waited for: a client, or another server, waits for it. */
const POLICY_TIMEOUT_MS = 10_000
/** Events of one transaction for which the policy server is asked anew. */
export const MAX_POLICY_ASKS = 10

const POLICY_KEY = stateKey('m.room.policy', '')
/** Always this one, whatever the server's own keys are. */
const KEY_ID = 'ed25519:policy_server' as KeyId

export type PolicyServer = { readonly server: ServerName; readonly publicKey: Uint8Array }

/** The policy server that the current state enables. spec: "Determining if a Policy Server is enabled in a room" */
export async function policyServerOf(
  events: EventStore,
  { current, joined, partial }: RoomCopy,
): Promise<PolicyServer | undefined> {
  const id = current.state.get(POLICY_KEY)
  const content = id === undefined ? undefined : (await events.working([id]))[0]?.pdu.content
  const via = content?.['via']
  const keys = content?.['public_keys']
  const key = isJsonObject(keys) ? keys['ed25519'] : undefined
  const server = typeof via === 'string' ? parseServerName(via) : undefined
  const publicKey = typeof key === 'string' ? decodeBase64(key) : undefined
  // A key that can sign nothing enables nobody, or the room could send no more events.
  if (server === undefined || publicKey === undefined || !isSoundPublicKey(publicKey)) return undefined
  const isIn =
    partial?.servers.includes(server) === true || [...joined].some((user) => serverOf(user) === server)
  return isIn ? { server, publicKey } : undefined
}

/** The same from outside of the room's queue. */
async function policyServerIn(
  { events }: Pick<AskDeps, 'events'>,
  room: Room,
): Promise<PolicyServer | undefined> {
  if (!mayHavePolicy(room)) return undefined
  return room.run(({ copy }) =>
    copy === undefined ? Promise.resolve(undefined) : policyServerOf(events, copy),
  )
}

/** False for nearly all rooms, without a turn of their queue. */
export function mayHavePolicy({ snapshot }: Room): boolean {
  return snapshot?.state.has(POLICY_KEY) === true
}

/** True for an event that carries the policy server's signature, or that needs none. */
export function isRecommended(version: RoomVersion, pdu: Pdu, { server, publicKey }: PolicyServer): boolean {
  if (isPolicy(pdu)) return true
  const text = pdu.signatures[server]?.[KEY_ID]
  const signature = text === undefined ? undefined : decodeBase64(text)
  return signature?.length === 64 && verifyEd25519(publicKey, signingBytes(version, pdu), signature)
}

function isPolicy({ type, state_key: key }: Pdu): boolean {
  return type === 'm.room.policy' && key === ''
}

type AskDeps = { readonly federation: Federation; readonly events: EventStore; readonly ownName: ServerName }

/**
 * The event with the policy server's signature; as it is where there is none to ask, or it has one. Not to be called
 * within the room's queue: the network is slow.
 * @throws FederationError with what the policy server said, CarrierError, RoomError M_FORBIDDEN for a bad signature.
 */
export async function recommend<T extends CheckedEvent>(deps: AskDeps, room: Room, event: T): Promise<T> {
  const { version } = room
  const policy = await policyServerIn(deps, room)
  if (policy === undefined || isRecommended(version, event.pdu, policy)) return event
  const { server } = policy
  if (server === deps.ownName) throw new RoomError('M_FORBIDDEN', 'this node is no policy server')
  const answer = await deps.federation.signByPolicy(server, event.pdu, { timeoutMs: POLICY_TIMEOUT_MS })
  const signatures = answer[server]
  const text = isJsonObject(signatures) ? signatures[KEY_ID] : undefined
  const bytes = typeof text === 'string' ? decodeBase64(text) : undefined
  const signed =
    bytes === undefined ? event.pdu : withSignature(event.pdu, server, KEY_ID, encodeBase64(bytes))
  if (!isRecommended(version, signed, policy))
    throw new RoomError('M_FORBIDDEN', "the room's policy server did not sign the event")
  return { ...event, pdu: signed }
}

/** New events of others, as many of them recommended as can be had: the rest is soft-failed. */
export async function recommendAll(
  deps: AskDeps & { readonly log: Log },
  room: Room,
  events: readonly CheckedEvent[],
): Promise<readonly CheckedEvent[]> {
  const policy = await policyServerIn(deps, room)
  if (policy === undefined) return events
  const known = await deps.events.working(events.map(({ id }) => id))
  let asks = 0
  const ask = async (event: CheckedEvent, index: number): Promise<CheckedEvent> => {
    if (isDecided(known[index]) || isRecommended(room.version, event.pdu, policy)) return event
    if (asks >= MAX_POLICY_ASKS) return event
    asks += 1
    return recommend(deps, room, event).catch((error: unknown) => {
      const fields = { roomId: room.roomId, eventId: event.id, error: String(error) }
      deps.log.log('info', 'the policy server does not recommend an event', fields)
      return event
    })
  }
  return Promise.all(events.map(ask))
}

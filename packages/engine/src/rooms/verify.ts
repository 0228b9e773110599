/** From bytes of the network to events whose format, hash and signatures are checked. */
import type {
  EventId,
  FormatFailure,
  JsonObject,
  JsonValue,
  Pdu,
  RoomId,
  RoomVersion,
  ServerName,
} from '@plexus/core'
import { checkFormat, decodeBase64, requiredSigners, signingBytes } from '@plexus/core'
import { keyOfName } from '@plexus/core/names'
import type { SignatureCheck, Verifier } from '../ports.ts'

/** An event that passed checks 1 to 3 of "Checks performed on receipt of a PDU". */
export type CheckedEvent = {
  readonly id: EventId
  readonly pdu: Pdu
  readonly contentHashOk: boolean
}

export type CheckResult =
  | { readonly kind: 'ok'; readonly event: CheckedEvent }
  | { readonly kind: 'drop'; readonly why: string }

/** Keys under one server's name that are tried: a copy with many useless signatures must not cost many checks. */
export const MAX_SIGNATURES_TRIED = 4

/**
 * Checks events of one room, in the order given. The signature must be by the key that is the server's name.
 * spec: server-server-api.md "Checks performed on receipt of a PDU" 1 to 3
 */
export async function checkEvents(
  verifier: Verifier,
  version: RoomVersion,
  roomId: RoomId,
  raw: readonly JsonValue[],
): Promise<readonly CheckResult[]> {
  const formats = raw.map((value) => checkFormat(version, value))
  const checks: SignatureCheck[] = []
  const keyOf = rememberKeys()
  const plans = formats.map((format): Plan | string => {
    if (format.kind === 'drop') return describe(format.why)
    if (format.roomId !== roomId) return 'event of another room'
    return planSignatures(version, format, checks, keyOf)
  })
  const valid = await verifier.verify(checks)
  return plans.map((plan): CheckResult => {
    if (typeof plan === 'string') return { kind: 'drop', why: plan }
    const unsigned = plan.signers.find(({ from, to }) => !valid.slice(from, to).includes(true))
    if (unsigned !== undefined) return { kind: 'drop', why: `no valid signature of ${unsigned.server}` }
    return { kind: 'ok', event: plan.event }
  })
}

type Plan = {
  readonly event: CheckedEvent
  /** For each required signer, its slice of the batch of checks. */
  readonly signers: readonly { readonly server: ServerName; readonly from: number; readonly to: number }[]
}

function planSignatures(
  version: RoomVersion,
  format: { readonly pdu: Pdu; readonly eventId: EventId; readonly contentHashOk: boolean },
  checks: SignatureCheck[],
  keyOf: typeof keyOfName,
): Plan {
  const { pdu, eventId, contentHashOk } = format
  const message = signingBytes(version, pdu)
  const signers = requiredSigners(version, pdu).map((server) => {
    const from = checks.length
    for (const { check } of signatureChecks(pdu.signatures[server], server, message, keyOf))
      checks.push(check)
    return { server, from, to: checks.length }
  })
  return { event: { id: eventId, pdu, contentHashOk }, signers }
}

/** The events of a batch are of few servers, and reading the key in a name is dear. */
function rememberKeys(): typeof keyOfName {
  const known = new Map<ServerName, Uint8Array | undefined>()
  return (server) => {
    if (!known.has(server)) known.set(server, keyOfName(server))
    return known.get(server)
  }
}

/** The checks that could prove that `server`, whose name is its key, signed `message`. */
export function signatureChecks(
  signatures: Readonly<Record<string, string>> | JsonObject | undefined,
  server: ServerName,
  message: Uint8Array,
  keyOf: typeof keyOfName = keyOfName,
): { readonly keyId: string; readonly check: SignatureCheck }[] {
  const publicKey = keyOf(server)
  if (publicKey === undefined || signatures === undefined) return []
  const checks: { keyId: string; check: SignatureCheck }[] = []
  for (const [keyId, text] of Object.entries(signatures).slice(0, MAX_SIGNATURES_TRIED)) {
    if (!keyId.startsWith('ed25519:') || typeof text !== 'string') continue
    const signature = decodeBase64(text)
    if (signature?.length === 64) checks.push({ keyId, check: { publicKey, message, signature } })
  }
  return checks
}

function describe(why: FormatFailure): string {
  return `${why.code}: ${why.reason}`
}

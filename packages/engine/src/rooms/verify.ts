/** From bytes of the network to events whose format, hash and signatures are checked. */
import type {
  EventId,
  FormatFailure,
  JsonObject,
  JsonValue,
  KeyId,
  Pdu,
  RoomId,
  RoomVersion,
  ServerName,
} from '@plexus/core'
import { checkFormat, decodeBase64, parseKeyId, requiredSigners, signingBytes } from '@plexus/core'
import type { LookupOptions, ServerKeys, WantedKey } from '../keys/types.ts'
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
  /** The signature cannot be checked at present: the key of `server` cannot be had. */
  | {
      readonly kind: 'unknownKey'
      readonly why: string
      readonly event: CheckedEvent
      readonly server: ServerName
    }

/** Keys under one server's name that are tried: a copy with many useless signatures must not cost many checks. */
export const MAX_SIGNATURES_TRIED = 4

export type VerifyDeps = { readonly verifier: Verifier; readonly keys: Pick<ServerKeys, 'lookup'> }

/**
 * Checks events of one room, in the order given, with one look-up of keys.
 * spec: server-server-api.md "Checks performed on receipt of a PDU" 1 to 3
 */
export async function checkEvents(
  { verifier, keys }: VerifyDeps,
  version: RoomVersion,
  roomId: RoomId,
  raw: readonly JsonValue[],
  options: LookupOptions = {},
): Promise<readonly CheckResult[]> {
  const wanted: Wanted[] = []
  const plans = raw.map((value): Plan | string => {
    const format = checkFormat(version, value)
    if (format.kind === 'drop') return describe(format.why)
    if (format.roomId !== roomId) return 'event of another room'
    return planSignatures(version, format, wanted)
  })
  const validities = await tryKeys({ verifier, keys }, wanted, options)
  return plans.map((plan): CheckResult => {
    if (typeof plan === 'string') return { kind: 'drop', why: plan }
    const { event, signers } = plan
    const verdicts = signers.map(({ from, to }) => bestOf(validities.slice(from, to)))
    const unsigned = signers[verdicts.indexOf('invalid')]
    if (unsigned !== undefined) return { kind: 'drop', why: `no valid signature of ${unsigned.server}` }
    const unknown = signers[verdicts.indexOf('unknown')]
    if (unknown === undefined) return { kind: 'ok', event }
    const { server } = unknown
    return { kind: 'unknownKey', why: `the key of ${server} cannot be had`, event, server }
  })
}

/** A key, and what it signed if the signature is valid. */
type Wanted = WantedKey & Pick<SignatureCheck, 'message' | 'signature'>

type Validity = 'valid' | 'invalid' | 'unknown'

type Plan = {
  readonly event: CheckedEvent
  /** For each required signer, its slice of what is wanted. */
  readonly signers: readonly { readonly server: ServerName; readonly from: number; readonly to: number }[]
}

function planSignatures(
  version: RoomVersion,
  format: { readonly pdu: Pdu; readonly eventId: EventId; readonly contentHashOk: boolean },
  wanted: Wanted[],
): Plan {
  const { pdu, eventId, contentHashOk } = format
  const message = signingBytes(version, pdu)
  const at = pdu.origin_server_ts
  const beyondValidity = !version.enforcesKeyValidity
  const signers = requiredSigners(version, pdu).map((server) => {
    const from = wanted.length
    for (const found of signaturesOf(pdu.signatures[server]))
      wanted.push({ ...found, server, message, at, beyondValidity })
    return { server, from, to: wanted.length }
  })
  return { event: { id: eventId, pdu, contentHashOk }, signers }
}

async function tryKeys(
  { verifier, keys }: VerifyDeps,
  wanted: readonly Wanted[],
  options: LookupOptions,
): Promise<readonly Validity[]> {
  const answers = await keys.lookup(wanted, options)
  const checks: SignatureCheck[] = []
  const places = wanted.map(({ message, signature }, index) => {
    const publicKey = answers[index]
    return publicKey instanceof Uint8Array ? checks.push({ publicKey, message, signature }) - 1 : -1
  })
  const valid = await verifier.verify(checks)
  return places.map((place, index) => {
    if (answers[index] === 'unknown') return 'unknown'
    return valid[place] === true ? 'valid' : 'invalid'
  })
}

/** One valid signature is enough, and none counts as missing while a key is unknown. */
function bestOf(validities: readonly Validity[]): Validity {
  if (validities.includes('valid')) return 'valid'
  return validities.includes('unknown') ? 'unknown' : 'invalid'
}

export type FoundSignature = { readonly keyId: KeyId; readonly signature: Uint8Array }

/** The signatures under one server's name that are worth a try. */
function signaturesOf(signatures: JsonObject | undefined): readonly FoundSignature[] {
  return Object.entries(signatures ?? {})
    .slice(0, MAX_SIGNATURES_TRIED)
    .flatMap(([id, text]) => {
      const keyId = parseKeyId(id)
      const signature = typeof text === 'string' ? decodeBase64(text) : undefined
      return keyId === undefined || signature?.length !== 64 ? [] : [{ keyId, signature }]
    })
}

/** The first valid signature of `message` by `server`. */
export async function findSignature(
  deps: VerifyDeps,
  signatures: JsonObject | undefined,
  signed: Omit<WantedKey, 'keyId'> & { readonly message: Uint8Array },
): Promise<FoundSignature | undefined> {
  const wanted = signaturesOf(signatures).map((found) => ({ ...found, ...signed }))
  return wanted[(await tryKeys(deps, wanted, {})).indexOf('valid')]
}

function describe(why: FormatFailure): string {
  return `${why.code}: ${why.reason}`
}

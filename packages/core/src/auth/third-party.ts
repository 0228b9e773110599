import { decodeBase64 } from '../base64.ts'
import { signableBytes } from '../canonical-json.ts'
import { verifyEd25519 } from '../ed25519.ts'
import { isJsonObject, ownValue, type JsonObject, type JsonValue } from '../json.ts'

/**
 * Most keys and most signatures of one invite that are tried against each other. An event can hold hundreds of
 * each, and every pair costs a verification; honest invites have one or two. Which are tried follows from the event
 * alone: keys in their order, signatures by server and key id, whatever the order in which a copy has them.
 */
export const MAX_INVITE_KEYS = 8
export const MAX_INVITE_SIGNATURES = 8
const PUBLIC_KEY_BYTES = 32
const SIGNATURE_BYTES = 64

/**
 * True if a signature in `signed` is of a public key in the content of the m.room.third_party_invite.
 * spec: rooms/v12.md auth rule 5.4.1.7
 */
export function isSignedByInviteKey(signed: JsonObject, inviteContent: JsonObject): boolean {
  const keys = decodeAll(inviteKeys(inviteContent), PUBLIC_KEY_BYTES).slice(0, MAX_INVITE_KEYS)
  const signatures = decodeAll(ed25519Signatures(signed), SIGNATURE_BYTES).slice(0, MAX_INVITE_SIGNATURES)
  const message = signableBytes(signed)
  return keys.some((key) => signatures.some((signature) => verifyEd25519(key, message, signature)))
}

function inviteKeys(content: JsonObject): readonly (JsonValue | undefined)[] {
  const listed = ownValue(content, 'public_keys')
  const entries: readonly JsonValue[] = Array.isArray(listed) ? listed : []
  return [
    ownValue(content, 'public_key'),
    ...entries.map((entry) => (isJsonObject(entry) ? ownValue(entry, 'public_key') : undefined)),
  ]
}

function ed25519Signatures(signed: JsonObject): readonly (JsonValue | undefined)[] {
  const texts: (JsonValue | undefined)[] = []
  for (const [, byKey] of sortedEntries(ownValue(signed, 'signatures'))) {
    for (const [keyId, text] of sortedEntries(byKey)) if (keyId.startsWith('ed25519:')) texts.push(text)
  }
  return texts
}

/** By code unit; none for what is no object. */
function sortedEntries(value: JsonValue | undefined): readonly (readonly [string, JsonValue | undefined])[] {
  return isJsonObject(value) ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)) : []
}

/** Those that are base64 of so many bytes. */
function decodeAll(texts: readonly (JsonValue | undefined)[], length: number): readonly Uint8Array[] {
  return texts.flatMap((text) => {
    const bytes = typeof text === 'string' ? decodeBase64(text) : undefined
    return bytes?.length === length ? [bytes] : []
  })
}

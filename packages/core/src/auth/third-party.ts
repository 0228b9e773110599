import { decodeBase64 } from '../base64.ts'
import { signableBytes } from '../canonical-json.ts'
import { verifyEd25519 } from '../ed25519.ts'
import { isJsonObject, ownValue, type JsonObject, type JsonValue } from '../json.ts'

/**
 * Most keys and most signatures of one invite that are tried against each other. An event can hold hundreds of
 * each, and every pair costs a verification; honest invites have one or two.
 */
export const MAX_INVITE_KEYS = 8
export const MAX_INVITE_SIGNATURES = 8

/**
 * True if a signature in `signed` is of a public key in the content of the m.room.third_party_invite.
 * spec: rooms/v12.md auth rule 5.4.1.7
 */
export function isSignedByInviteKey(signed: JsonObject, inviteContent: JsonObject): boolean {
  const keys = inviteKeys(inviteContent).slice(0, MAX_INVITE_KEYS)
  const signatures = ed25519Signatures(signed).slice(0, MAX_INVITE_SIGNATURES)
  const message = signableBytes(signed)
  return keys.some((key) => signatures.some((signature) => verifyEd25519(key, message, signature)))
}

function inviteKeys(content: JsonObject): Uint8Array[] {
  const listed = ownValue(content, 'public_keys')
  const entries: readonly JsonValue[] = Array.isArray(listed) ? listed : []
  const texts = [
    ownValue(content, 'public_key'),
    ...entries.map((entry) => (isJsonObject(entry) ? ownValue(entry, 'public_key') : undefined)),
  ]
  return decodeAll(texts)
}

function ed25519Signatures(signed: JsonObject): Uint8Array[] {
  const servers = ownValue(signed, 'signatures')
  if (!isJsonObject(servers)) return []
  const texts: (JsonValue | undefined)[] = []
  for (const byKey of Object.values(servers)) {
    if (!isJsonObject(byKey)) continue
    for (const [keyId, text] of Object.entries(byKey)) if (keyId.startsWith('ed25519:')) texts.push(text)
  }
  return decodeAll(texts)
}

function decodeAll(texts: readonly (JsonValue | undefined)[]): Uint8Array[] {
  return texts.flatMap((text) => (typeof text === 'string' ? (decodeBase64(text) ?? []) : []))
}

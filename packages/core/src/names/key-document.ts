/**
 * The document in which a server whose name is no key publishes its keys. Shape only: signatures are the caller's to
 * check. spec: server-server-api.md "Publishing Keys"
 */
import { decodeBase64 } from '../base64.ts'
import { canonicalJson, checkCanonical, signableBytes } from '../canonical-json.ts'
import { isSoundPublicKey } from '../ed25519.ts'
import { parseKeyId, parseServerName, type KeyId, type ServerName } from '../ids.ts'
import { isJsonObject, ownValue, type JsonObject, type JsonValue } from '../json.ts'

/** Current keys of one document. */
export const MAX_VERIFY_KEYS = 8
/** Keys of one document that its server uses no more. */
export const MAX_OLD_VERIFY_KEYS = 64
/** Canonical JSON of a document, in UTF-16 code units. */
export const MAX_KEY_DOCUMENT_LENGTH = 32_768

/** What `verify_keys` and `old_verify_keys` hold. Keys of other algorithms, and such as are no sound key, are left out. */
export type KeyDocument = {
  readonly server: ServerName
  /** Milliseconds since the epoch. */
  readonly validUntil: number
  readonly verifyKeys: readonly VerifyKey[]
  readonly oldVerifyKeys: readonly OldVerifyKey[]
  /** The document as it came. */
  readonly json: JsonObject
}

export type VerifyKey = {
  readonly keyId: KeyId
  readonly publicKey: Uint8Array
  /** The server's own signature of the document by this key; `undefined` if there is none. */
  readonly signature: Uint8Array | undefined
}

export type OldVerifyKey = {
  readonly keyId: KeyId
  readonly publicKey: Uint8Array
  /** Milliseconds since the epoch: it signs nothing that is later. */
  readonly expired: number
}

/** `undefined` for what is no key document, or beyond the bounds. */
export function parseKeyDocument(value: JsonValue | undefined): KeyDocument | undefined {
  if (!isJsonObject(value) || checkCanonical(value) !== undefined) return undefined
  if (canonicalJson(value).length > MAX_KEY_DOCUMENT_LENGTH) return undefined
  const { server_name: name, valid_until_ts: validUntil } = value
  const server = typeof name === 'string' ? parseServerName(name) : undefined
  if (server === undefined || !isTimestamp(validUntil)) return undefined
  const current = entriesOf(value['verify_keys'], MAX_VERIFY_KEYS)
  const old = entriesOf(value['old_verify_keys'] ?? {}, MAX_OLD_VERIFY_KEYS)
  if (current === undefined || old === undefined) return undefined
  return {
    server,
    validUntil,
    verifyKeys: current.map(({ keyId, publicKey }) => ({
      keyId,
      publicKey,
      signature: signatureIn(value, server, keyId),
    })),
    oldVerifyKeys: old.flatMap(({ keyId, publicKey, entry: { expired_ts: expired } }) =>
      isTimestamp(expired) ? [{ keyId, publicKey, expired }] : [],
    ),
    json: value,
  }
}

/** The bytes that a signature of a key document covers. */
export function keyDocumentBytes({ json }: KeyDocument): Uint8Array {
  return signableBytes(json)
}

/** The signature of a server under a key id, 64 bytes. */
export function signatureIn(object: JsonObject, server: ServerName, keyId: KeyId): Uint8Array | undefined {
  const { signatures } = object
  const own = isJsonObject(signatures) ? ownValue(signatures, server) : undefined
  const text = isJsonObject(own) ? ownValue(own, keyId) : undefined
  const bytes = typeof text === 'string' ? decodeBase64(text) : undefined
  return bytes?.length === 64 ? bytes : undefined
}

type Entry = { readonly keyId: KeyId; readonly publicKey: Uint8Array; readonly entry: JsonObject }

function entriesOf(value: JsonValue | undefined, max: number): readonly Entry[] | undefined {
  if (!isJsonObject(value)) return undefined
  const entries = Object.entries(value)
  if (entries.length > max) return undefined
  return entries.flatMap(([id, entry]): Entry[] => {
    const keyId = parseKeyId(id)
    const text = isJsonObject(entry) ? entry['key'] : undefined
    const publicKey = typeof text === 'string' ? decodeBase64(text) : undefined
    if (keyId === undefined || publicKey === undefined || !isJsonObject(entry)) return []
    return isSoundPublicKey(publicKey) ? [{ keyId, publicKey, entry }] : []
  })
}

function isTimestamp(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/**
 * The shapes of keys, for what clients upload and what other servers send. Signatures inside are for clients to check.
 * spec: client-server-api/modules/end_to_end_encryption.md "Key algorithms"
 */
import { decodeBase64, isJsonObject, ownValue } from '@plexus/core'
import type { JsonObject, JsonValue, UserId } from '@plexus/core'
import { arrayAt, jsonSize, objectAt, stringAt } from './read.ts'

/** JSON text of a device's keys or a cross-signing key with its signatures, in UTF-16 code units. */
export const MAX_KEY_OBJECT_LENGTH = 32_768
/** JSON text of a one-time or fallback key, in UTF-16 code units. */
const MAX_ONE_TIME_KEY_LENGTH = 4_096
/** Longest device id, in UTF-16 code units. */
const MAX_DEVICE_ID_LENGTH = 255
const ED25519_KEY_BYTES = 32

export function isDeviceId(text: string): boolean {
  return text.length > 0 && text.length <= MAX_DEVICE_ID_LENGTH && text.isWellFormed() && !text.includes('\0')
}

/** Why an object is not the device keys of this device, or `undefined`. */
export function deviceKeysFault(keys: JsonObject, userId: string, deviceId: string): string | undefined {
  if (stringAt(keys, 'user_id') !== userId) return 'user_id is of another user'
  if (stringAt(keys, 'device_id') !== deviceId) return 'device_id is of another device'
  if (arrayAt(keys, 'algorithms')?.every((algorithm) => typeof algorithm === 'string') !== true) {
    return 'algorithms must be an array of strings'
  }
  const public_ = objectAt(keys, 'keys')
  if (public_ === undefined || !allStrings(public_)) return 'keys must be an object of strings'
  if (!areSignatures(ownValue(keys, 'signatures')))
    return 'signatures must be an object of objects of strings'
  return jsonSize(keys) > MAX_KEY_OBJECT_LENGTH ? 'the object is too large' : undefined
}

export type CrossSigningUsage = 'master' | 'self_signing' | 'user_signing'

/** A cross-signing key that has the right shape. */
export type CrossSigningKey = {
  /** Unpadded base64, as in the object. */
  readonly id: string
  readonly bytes: Uint8Array
}

/** `undefined` for what is not a cross-signing key of this user and usage. */
export function parseCrossSigningKey(
  key: JsonObject,
  userId: string,
  usage: CrossSigningUsage,
): CrossSigningKey | undefined {
  if (stringAt(key, 'user_id') !== userId || arrayAt(key, 'usage')?.includes(usage) !== true) return undefined
  const signatures = ownValue(key, 'signatures')
  if (signatures !== undefined && !areSignatures(signatures)) return undefined
  const entries = Object.entries(objectAt(key, 'keys') ?? {})
  const [name, value] = entries[0] ?? []
  if (entries.length !== 1 || name === undefined || typeof value !== 'string') return undefined
  const bytes = decodeBase64(value)
  if (name !== `ed25519:${value}` || bytes?.length !== ED25519_KEY_BYTES) return undefined
  return jsonSize(key) > MAX_KEY_OBJECT_LENGTH ? undefined : { id: value, bytes }
}

/** `<algorithm>:<key id>` */
export function splitKeyName(name: string): { algorithm: string; keyId: string } | undefined {
  const colon = name.indexOf(':')
  if (colon < 1 || colon === name.length - 1 || name.length > MAX_DEVICE_ID_LENGTH || !name.isWellFormed()) {
    return undefined
  }
  return { algorithm: name.slice(0, colon), keyId: name.slice(colon + 1) }
}

/** A one-time or fallback key: a string, or an object with `key` and signatures. */
export function isOneTimeKey(key: JsonValue | undefined): key is string | JsonObject {
  if (key === undefined || jsonSize(key) > MAX_ONE_TIME_KEY_LENGTH) return false
  if (typeof key === 'string') return true
  return isJsonObject(key) && stringAt(key, 'key') !== undefined && areSignatures(ownValue(key, 'signatures'))
}

/** The Ed25519 key of a device, from its device keys. */
export function deviceSigningKey(keys: JsonObject, deviceId: string): Uint8Array | undefined {
  const text = stringAt(objectAt(keys, 'keys') ?? {}, `ed25519:${deviceId}`)
  const bytes = text === undefined ? undefined : decodeBase64(text)
  return bytes?.length === ED25519_KEY_BYTES ? bytes : undefined
}

/** The signatures of one signer, by key id. */
export function signaturesOf(object: JsonObject, signer: UserId): Readonly<Record<string, string>> {
  const own = objectAt(objectAt(object, 'signatures') ?? {}, signer) ?? {}
  return Object.fromEntries(
    Object.entries(own).flatMap(([keyId, value]) => (typeof value === 'string' ? [[keyId, value]] : [])),
  )
}

function areSignatures(value: JsonValue | undefined): boolean {
  return isJsonObject(value) && Object.values(value).every((one) => isJsonObject(one) && allStrings(one))
}

function allStrings(object: JsonObject): boolean {
  return Object.values(object).every((value) => typeof value === 'string')
}

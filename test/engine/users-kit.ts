/** What the tests of users have in common: keys as a client makes them. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { encodeBase64, signableBytes, without } from '@plexus/core'
import type { JsonObject } from '@plexus/core'
import type { Caller } from '@plexus/engine'
import type { Member } from '../kit/node.ts'

export const ALGORITHM = 'signed_curve25519'

export const callerOf = ({ user, deviceId }: Member): Caller => ({ userId: user, deviceId })

/** An Ed25519 key, the same for the same number. */
export type TestKey = { readonly secret: Uint8Array; readonly id: string }

export function testKey(number: number): TestKey {
  const secret = new Uint8Array(32).fill(number)
  return { secret, id: encodeBase64(ed25519.getPublicKey(secret)) }
}

/** The object with one more signature. */
export function signed(object: JsonObject, user: string, keyId: string, { secret }: TestKey): JsonObject {
  const signature = encodeBase64(ed25519.sign(signableBytes(object), secret))
  const before = (object['signatures'] ?? {}) as Record<string, JsonObject>
  return { ...object, signatures: { ...before, [user]: { ...before[user], [keyId]: signature } } }
}

export function deviceKeysOf(user: string, deviceId: string, key: TestKey): JsonObject {
  const object = {
    user_id: user,
    device_id: deviceId,
    algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
    keys: { [`curve25519:${deviceId}`]: key.id, [`ed25519:${deviceId}`]: key.id },
  }
  return signed(object, user, `ed25519:${deviceId}`, key)
}

export function oneTimeKeys(count: number, from = 0, algorithm: string = ALGORITHM): JsonObject {
  const names = Array.from(
    { length: count },
    (_, index) => `${algorithm}:K${String(from + index).padStart(4, '0')}`,
  )
  return Object.fromEntries(names.map((name) => [name, { key: name, signatures: {} }]))
}

export function crossSigningKey(
  user: string,
  usage: 'master' | 'self_signing' | 'user_signing',
  key: TestKey,
  master?: TestKey,
): JsonObject {
  const object = { user_id: user, usage: [usage], keys: { [`ed25519:${key.id}`]: key.id } }
  return master === undefined ? object : signed(object, user, `ed25519:${master.id}`, master)
}

/** The object with the signature of one key alone, as it is uploaded. */
export function signatureOf(object: JsonObject, user: string, keyId: string, key: TestKey): JsonObject {
  return signed(without(object, 'signatures', 'unsigned'), user, keyId, key)
}

/** Applies an EDU as the inbound does, and says whether it had any effect. */
export async function applyEdu(
  { node }: Member,
  type: 'm.direct_to_device' | 'm.device_list_update' | 'm.signing_key_update',
  origin: string,
  content: JsonObject,
): Promise<boolean> {
  const effect = await node.engine.users.edus[type](origin as Member['node']['name'], content)
  if (effect === undefined) return false
  await node.engine.committer.submit(effect)
  return true
}

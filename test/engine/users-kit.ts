/** What the tests of users have in common: keys as a client makes them. */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { encodeBase64, signableBytes, without } from '@plexus/core'
import type { JsonObject } from '@plexus/core'
import type { Caller } from '@plexus/engine'
import type { Member } from '../kit/node.ts'

export const ALGORITHM = 'signed_curve25519'

export const callerOf = ({ user, deviceId }: Member): Caller => ({ userId: user, deviceId })

/** An Ed25519 key, the same for the same number. */
export type TestKey = { readonly secret: KeyObject; readonly id: string }

/** The head of a PKCS #8 Ed25519 private key (RFC 8410); the seed follows. */
const PKCS8_HEAD = '302e020100300506032b657004220420'
/** Length of the head of an SPKI Ed25519 public key. */
const SPKI_HEAD_BYTES = 12

export function testKey(number: number): TestKey {
  const key = Buffer.concat([Buffer.from(PKCS8_HEAD, 'hex'), Buffer.alloc(32, number)])
  const secret = createPrivateKey({ key, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' })
  return { secret, id: encodeBase64(spki.subarray(SPKI_HEAD_BYTES)) }
}

/** The object with one more signature. */
export function signed(object: JsonObject, user: string, keyId: string, { secret }: TestKey): JsonObject {
  const signature = encodeBase64(sign(null, signableBytes(object), secret))
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

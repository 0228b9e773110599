/** Signer and Verifier that answer at once, so that a run depends on nothing but its seed. */
import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { nameOfKey, precheckSignature } from '@plexus/core/names'
import type { Signer, Verifier } from '@plexus/engine/ports'
import { createSeededRandom } from './seeded-random.ts'

/** What stands before the 32 bytes of an Ed25519 seed in PKCS #8, and of a public key in SPKI. RFC 8410 */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** The name key of the node with this seed. */
export function testSigner(seed: number): Signer {
  const secret = createSeededRandom(seed).bytes(32)
  const der = Buffer.concat([PKCS8_PREFIX, secret])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  const publicKey = new Uint8Array(spki.subarray(SPKI_PREFIX.length))
  return {
    name: nameOfKey(publicKey),
    publicKey,
    keyId: 'ed25519:1',
    sign: async (bytes) => new Uint8Array(sign(null, bytes, privateKey)),
  }
}

export function createTestVerifier(): Verifier {
  const keys = new Map<string, KeyObject>()
  const keyOf = (publicKey: Uint8Array): KeyObject => {
    const name = publicKey.join()
    const known = keys.get(name)
    if (known !== undefined) return known
    const der = Buffer.concat([SPKI_PREFIX, publicKey])
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
    keys.set(name, key)
    return key
  }
  return {
    verify: async (checks) =>
      checks.map(({ publicKey, message, signature }) => {
        return precheckSignature(publicKey, signature) && verify(null, message, keyOf(publicKey), signature)
      }),
  }
}

/** What begins the bytes of a record that is published. */
const RECORD = /^plexus [a-z ]+ record 1\n/

/**
 * Signatures that cost a hash: whoever knows the public key can make them. For simulations in which nobody forges, at
 * a fraction of the time that Ed25519 takes. Records have true ones, as the core checks them itself.
 */
export function quickKeys(seed: number): { readonly signer: Signer; readonly verifier: Verifier } {
  const signer = testSigner(seed)
  const { name, keyId, publicKey } = signer
  const isRecord = (bytes: Uint8Array): boolean =>
    RECORD.test(Buffer.from(bytes.subarray(0, 40)).toString('latin1'))
  return {
    signer: {
      name,
      keyId,
      publicKey,
      sign: async (bytes) => (isRecord(bytes) ? signer.sign(bytes) : quickSignature(publicKey, bytes)),
    },
    verifier: {
      verify: async (checks) =>
        checks.map(({ publicKey: key, message, signature }) =>
          quickSignature(key, message).every((byte, index) => byte === signature[index]),
        ),
    },
  }
}

function quickSignature(publicKey: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(publicKey).update(message).digest())
}

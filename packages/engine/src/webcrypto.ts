/** Signer and Verifier on WebCrypto, which Node and browsers have alike; the caller hands `subtle` in. */
import type { ServerName } from '@plexus/core'
import { keyOfName, precheckSignature, verifyEd25519 } from '@plexus/core/names'
import { createLru } from './kernel/lru.ts'
import type { SignatureCheck, Signer, Verifier } from './ports.ts'

/** The part of `SubtleCrypto` that is used. `Key` is the platform's CryptoKey. */
export interface SubtleEd25519<Key> {
  importKey(
    format: 'raw',
    key: Uint8Array<ArrayBuffer>,
    algorithm: 'Ed25519',
    extractable: boolean,
    usages: 'verify'[],
  ): Promise<Key>
  sign(algorithm: 'Ed25519', key: Key, data: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer>
  verify(
    algorithm: 'Ed25519',
    key: Key,
    signature: Uint8Array<ArrayBuffer>,
    data: Uint8Array<ArrayBuffer>,
  ): Promise<boolean>
}

/** Public keys kept imported. */
export const MAX_IMPORTED_KEYS = 1_024

/** `publicKey` need not be given for a name that is the key. @throws TypeError for another name without it. */
export function createSigner<Key>(
  subtle: SubtleEd25519<Key>,
  init: { name: ServerName; keyId: string; privateKey: Key; publicKey?: Uint8Array },
): Signer {
  const publicKey = init.publicKey ?? keyOfName(init.name)
  if (publicKey === undefined) throw new TypeError('a name that is no key does not tell the public key')
  return {
    name: init.name,
    keyId: init.keyId,
    publicKey,
    sign: async (bytes) =>
      new Uint8Array(await subtle.sign('Ed25519', init.privateKey, new Uint8Array(bytes))),
  }
}

/** Falls back to the pure verifier where WebCrypto has no Ed25519 or fails at it; answers are the same. */
export function createVerifier<Key>(subtle: SubtleEd25519<Key>): Verifier {
  const imported = createLru<string, Promise<Key | undefined>>(MAX_IMPORTED_KEYS)

  const keyOf = (publicKey: Uint8Array): Promise<Key | undefined> => {
    const name = publicKey.join()
    let key = imported.get(name)
    if (key === undefined) {
      key = subtle
        .importKey('raw', new Uint8Array(publicKey), 'Ed25519', false, ['verify'])
        .catch(() => undefined)
      imported.set(name, key)
    }
    return key
  }

  const verifyOne = async ({ publicKey, message, signature }: SignatureCheck): Promise<boolean> => {
    if (!precheckSignature(publicKey, signature)) return false
    const key = await keyOf(publicKey)
    if (key === undefined) return verifyEd25519(publicKey, message, signature)
    return subtle
      .verify('Ed25519', key, new Uint8Array(signature), new Uint8Array(message))
      .catch(() => verifyEd25519(publicKey, message, signature))
  }

  return { verify: (checks) => Promise.all(checks.map(verifyOne)) }
}

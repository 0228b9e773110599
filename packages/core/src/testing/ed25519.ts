import { hexToBytes } from '@noble/hashes/utils.js'
import { precheckSignature, verifyEd25519 } from '../ed25519.ts'

/** A line of test/vectors/ed25519.json; bytes in hexadecimal. */
export type Ed25519Case = {
  readonly name: string
  readonly publicKey: string
  readonly message: string
  readonly signature: string
  readonly valid: boolean
}

/** The part of WebCrypto's SubtleCrypto that verifies. */
export interface Subtle<Key> {
  importKey(
    format: 'raw',
    key: Uint8Array<ArrayBuffer>,
    algorithm: 'Ed25519',
    extractable: boolean,
    usages: ['verify'],
  ): Promise<Key>
  verify(
    algorithm: 'Ed25519',
    key: Key,
    signature: Uint8Array<ArrayBuffer>,
    data: Uint8Array<ArrayBuffer>,
  ): Promise<boolean>
}

export type Answers = {
  /** `verifyEd25519`. */
  readonly noble: boolean
  /** `precheckSignature`, then the platform. */
  readonly platform: boolean
  /** The platform alone. */
  readonly unchecked: boolean
}

/** What each way of verifying says about a case. A key that the platform does not import verifies nothing. */
export async function answersFor<Key>(subtle: Subtle<Key>, test: Ed25519Case): Promise<Answers> {
  const [publicKey, message, signature] = [test.publicKey, test.message, test.signature].map((text) =>
    hexToBytes(text),
  )
  if (publicKey === undefined || message === undefined || signature === undefined) throw new Error(test.name)
  const unchecked = await platformVerify(subtle, publicKey, signature, message)
  return {
    noble: verifyEd25519(publicKey, message, signature),
    platform: precheckSignature(publicKey, signature) && unchecked,
    unchecked,
  }
}

async function platformVerify<Key>(
  subtle: Subtle<Key>,
  publicKey: Uint8Array<ArrayBuffer>,
  signature: Uint8Array<ArrayBuffer>,
  message: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  try {
    const key = await subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify'])
    return await subtle.verify('Ed25519', key, signature, message)
  } catch {
    return false
  }
}

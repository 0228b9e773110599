import { ed25519 } from '@noble/curves/ed25519.js'
import { describe, expect, it } from 'vitest'
import { createVerifier, type SubtleEd25519 } from './webcrypto.ts'

const seed = (number: number): Uint8Array => new Uint8Array(32).fill(7).fill(number, 0, 4)
const message = new Uint8Array([1, 2, 3])
const check = (number: number, text = message) => ({
  publicKey: ed25519.getPublicKey(seed(number)),
  message: text,
  signature: ed25519.sign(message, seed(number)),
})

/** A platform whose keys are the bytes, and that counts what it is asked. */
function platform(fails: { import?: boolean; verify?: boolean } = {}) {
  const asked = { imports: 0, verifications: 0 }
  const subtle: SubtleEd25519<Uint8Array> = {
    importKey: async (_, key) => {
      asked.imports += 1
      if (fails.import === true) throw new Error('no Ed25519 here')
      return key
    },
    sign: () => Promise.reject(new Error('not asked')),
    verify: async (_, key, signature, data) => {
      asked.verifications += 1
      if (fails.verify === true) throw new Error('a fault of the platform')
      return ed25519.verify(signature, data, key, { zip215: false })
    },
  }
  return { subtle, asked }
}

describe('the verifier on WebCrypto', () => {
  it.each([
    ['has Ed25519', {}],
    ['has none', { import: true }],
    ['fails at it', { verify: true }],
  ])('gives the same answers where the platform %s', async (_, fails) => {
    const verifier = createVerifier(platform(fails).subtle)
    expect(await verifier.verify([check(1), check(2, new Uint8Array([9])), check(3)])).toEqual([
      true,
      false,
      true,
    ])
    expect(await verifier.verify([])).toEqual([])
  })

  it('never throws on any bytes, and asks the platform about sound ones only', async () => {
    const { subtle, asked } = platform()
    const verifier = createVerifier(subtle)
    const { publicKey, signature } = check(1)
    const bad = [
      { publicKey: new Uint8Array(0), message, signature },
      { publicKey: new Uint8Array(32), message, signature },
      { publicKey: new Uint8Array(33), message, signature },
      { publicKey, message, signature: new Uint8Array(0) },
      { publicKey, message, signature: new Uint8Array(64).fill(255) },
    ]
    expect(await verifier.verify(bad)).toEqual(bad.map(() => false))
    expect(asked).toEqual({ imports: 0, verifications: 0 })
  })

  it('imports a key once', async () => {
    const { subtle, asked } = platform()
    const verifier = createVerifier(subtle)
    await verifier.verify([check(1), check(1), check(1)])
    await verifier.verify([check(1)])
    expect(asked).toEqual({ imports: 1, verifications: 4 })
  })
})

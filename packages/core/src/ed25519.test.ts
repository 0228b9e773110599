import { readFileSync } from 'node:fs'
import { ed25519, ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isSoundPublicKey, MAX_CACHED_KEYS, precheckSignature, verifyEd25519 } from './ed25519.ts'
import { answersFor, type Ed25519Case } from './testing/ed25519.ts'

const { cases } = JSON.parse(
  readFileSync(new URL('../../../test/vectors/ed25519.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly Ed25519Case[] }
const { subtle } = globalThis.crypto
const { Point } = ed25519
const L = Point.Fn.ORDER

const fromLittleEndian = (bytes: Uint8Array): bigint => BigInt(`0x${bytesToHex(bytes.toReversed())}`)
const littleEndian = (n: bigint): Uint8Array => hexToBytes(n.toString(16).padStart(64, '0')).toReversed()

describe('Ed25519 vectors', () => {
  it.each(cases)('$name: $valid', async (test) => {
    const { noble, platform } = await answersFor(subtle, test)
    expect({ noble, platform }).toEqual({ noble: test.valid, platform: test.valid })
  })

  it('hold cases in which the libraries alone differ, and the platform alone is wrong', async () => {
    const lenient = cases.filter(
      ({ signature, publicKey, message }) =>
        signature.length === 128 &&
        publicKey.length === 64 &&
        ed25519.verify(hexToBytes(signature), hexToBytes(message), hexToBytes(publicKey)),
    )
    const answers = await Promise.all(lenient.map((test) => answersFor(subtle, test)))
    expect(answers.filter(({ unchecked }) => !unchecked).length).toBeGreaterThan(10)
    expect(answers.filter(({ unchecked, platform }) => unchecked && !platform).length).toBeGreaterThan(3)
  })
})

describe('precheckSignature', () => {
  it('refuses every point of small order as key and as R', () => {
    const key = ed25519.getPublicKey(new Uint8Array(32).fill(1))
    expect(ED25519_TORSION_SUBGROUP).toHaveLength(8)
    for (const point of ED25519_TORSION_SUBGROUP) {
      const bytes = Point.fromHex(point, true).toBytes()
      expect(isSoundPublicKey(bytes)).toBe(false)
      expect(precheckSignature(key, concatBytes(bytes, new Uint8Array(32)))).toBe(false)
    }
  })

  it('takes S up to L − 1', () => {
    const key = ed25519.getPublicKey(new Uint8Array(32).fill(1))
    expect(precheckSignature(key, concatBytes(key, littleEndian(L - 1n)))).toBe(true)
    expect(precheckSignature(key, concatBytes(key, littleEndian(L)))).toBe(false)
  })

  it('gives the same answers after its memory has turned over', () => {
    const sound = ed25519.getPublicKey(new Uint8Array(32).fill(1))
    const mixed = Point.fromBytes(sound)
      .add(Point.fromHex(ED25519_TORSION_SUBGROUP[1] ?? '', true))
      .toBytes()
    const check = (): boolean[] => [isSoundPublicKey(sound), isSoundPublicKey(mixed)]
    expect(check()).toEqual([true, false])
    const garbage = new Uint8Array(32)
    for (let i = 0; i <= MAX_CACHED_KEYS; i += 1) {
      garbage[0] = i & 0xff
      garbage[1] = i >> 8
      garbage[2] = 5
      isSoundPublicKey(garbage)
    }
    expect(check()).toEqual([true, false])
  }, 60_000)
})

describe('noble and the platform', () => {
  const point = fc.nat(7)
  const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
    fc.uint8Array({ minLength: length, maxLength: length })

  it('agree on signatures with torsion in key and R', async () => {
    let accepted = 0
    const scalar = bytes(64).map((seed) => fromLittleEndian(seed) % L || 1n)
    await fc.assert(
      fc.asyncProperty(scalar, scalar, point, point, fc.uint8Array(), async (a, r, i, j, message) => {
        const torsion = [i, j].map((k) => Point.fromHex(ED25519_TORSION_SUBGROUP[k] ?? '', true))
        const [key, nonce] = [a, r].map((n, k) =>
          Point.BASE.multiply(n)
            .add(torsion[k] ?? Point.ZERO)
            .toBytes(),
        )
        if (key === undefined || nonce === undefined) return
        const k = fromLittleEndian(sha512(concatBytes(nonce, key, message))) % L
        const test = {
          name: 'crafted',
          publicKey: bytesToHex(key),
          message: bytesToHex(message),
          signature: bytesToHex(concatBytes(nonce, littleEndian((r + k * a) % L))),
          valid: i === 0 && j === 0,
        }
        const { noble, platform } = await answersFor(subtle, test)
        expect({ noble, platform }).toEqual({ noble: test.valid, platform: test.valid })
        if (noble) accepted += 1
      }),
      { numRuns: 200, examples: [[5n, 7n, 0, 0, new Uint8Array()]] },
    )
    expect(accepted).toBeGreaterThan(0)
  }, 60_000)

  it('agree on honest signatures, and neither takes or throws on any other bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        bytes(32),
        fc.uint8Array(),
        fc.uint8Array(),
        fc.uint8Array(),
        async (seed, message, key, sig) => {
          const publicKey = ed25519.getPublicKey(seed)
          const signature = ed25519.sign(message, seed)
          const test = {
            name: '',
            publicKey: bytesToHex(publicKey),
            message: bytesToHex(message),
            valid: true,
          }
          const honest = await answersFor(subtle, { ...test, signature: bytesToHex(signature) })
          expect(honest).toEqual({ noble: true, platform: true, unchecked: true })
          expect(verifyEd25519(key, message, signature)).toBe(false)
          expect(verifyEd25519(publicKey, message, sig)).toBe(false)
        },
      ),
      { numRuns: 50 },
    )
  }, 60_000)
})

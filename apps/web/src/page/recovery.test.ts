import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deriveKeys, MAX_PHRASE_LENGTH, phraseOf, readPhrase } from './recovery.ts'

/** Vectors of BIP-39. Source: github.com/trezor/python-mnemonic, vectors.json */
const VECTORS: readonly (readonly [string, string])[] = [
  [
    '00000000000000000000000000000000',
    'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about',
  ],
  [
    '7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f',
    'legal winner thank year wave sausage worth useful legal winner thank yellow',
  ],
  [
    '80808080808080808080808080808080',
    'letter advice cage absurd amount doctor acoustic avoid letter advice cage above',
  ],
  ['ffffffffffffffffffffffffffffffff', 'zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong'],
]

/** Any code units, lone surrogates and controls among them. */
const anyText = fc
  .array(fc.nat(0x10ffff), { maxLength: 250 })
  .map((points) => String.fromCodePoint(...points))
const entropies = fc.uint8Array({ minLength: 16, maxLength: 16 })

describe('the recovery phrase', () => {
  it.each(VECTORS)('of %s is that of BIP-39', (hex, phrase) => {
    expect(phraseOf(Buffer.from(hex, 'hex'))).toBe(phrase)
    expect(readPhrase(phrase)).toEqual({ kind: 'phrase', phrase })
  })

  it('is read however it was copied', () => {
    fc.assert(
      fc.property(entropies, (entropy) => {
        const phrase = phraseOf(entropy)
        const numbered = phrase.split(' ').map((word, index) => `${index + 1}. ${word.toUpperCase()}`)
        expect(readPhrase(`  ${numbered.join('\n')} `)).toEqual({ kind: 'phrase', phrase })
      }),
    )
  })

  it.each([
    ['', 'A recovery phrase has 12 words; these are 0.'],
    ['legal winner', 'A recovery phrase has 12 words; these are 2.'],
    [
      'legal winner thank year wave sausage worth useful legal winner thank lorem',
      '“lorem” is not a word of a recovery phrase.',
    ],
    [
      'winner legal thank year wave sausage worth useful legal winner thank yellow',
      'These words do not belong together.',
    ],
    ['x'.repeat(MAX_PHRASE_LENGTH + 1), 'This is longer than a recovery phrase.'],
  ])('is refused with a reason: %s', (text, why) => {
    const reading = readPhrase(text)
    expect(reading.kind === 'wrong' && reading.why).toContain(why)
  })

  it('never throws, whatever is typed', () => {
    fc.assert(fc.property(anyText, (text) => ['phrase', 'wrong'].includes(readPhrase(text).kind)))
  })
})

describe('what the phrase derives', () => {
  /** HKDF of RFC 5869, written out with HMAC. */
  function hkdf(entropy: Buffer, purpose: string): Buffer {
    const key = createHmac('sha256', 'plexus recovery 1').update(entropy).digest()
    return createHmac('sha256', key).update(purpose).update(Uint8Array.of(1)).digest()
  }

  it('is HKDF of its entropy, and differs by purpose', () => {
    fc.assert(
      fc.property(entropies, (entropy) => {
        const keys = deriveKeys(phraseOf(entropy))
        expect(Buffer.from(keys.nameSeed)).toEqual(hkdf(Buffer.from(entropy), 'name key'))
        expect(Buffer.from(keys.exportKey)).toEqual(hkdf(Buffer.from(entropy), 'export key'))
        expect(keys.nameSeed).not.toEqual(keys.exportKey)
      }),
    )
  })
})

/**
 * The recovery phrase and what is derived from it: the name key's seed and the key that seals exports.
 * Twelve words of BIP-39 stand for 128 random bits and a checksum; HKDF-SHA-256 (RFC 5869) spreads them.
 */
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39'
import { wordlist } from '@scure/bip39/wordlists/english.js'

const PHRASE_WORDS = 12
const ENTROPY_BYTES = 16
/** Longest text that is read as a phrase. */
export const MAX_PHRASE_LENGTH = 400

const SALT = utf8ToBytes('plexus recovery 1')

export type RecoveryKeys = {
  /** 32 bytes: the seed of the Ed25519 name key. */
  readonly nameSeed: Uint8Array
  /** 32 bytes: AES-256-GCM key of exports. */
  readonly exportKey: Uint8Array
}

/** A phrase as it was typed, or what is wrong with it, in words for the user. */
export type PhraseReading =
  | { readonly kind: 'phrase'; readonly phrase: string }
  | { readonly kind: 'wrong'; readonly why: string }

/** A phrase of 16 random bytes. */
export function phraseOf(entropy: Uint8Array): string {
  if (entropy.length !== ENTROPY_BYTES) throw new RangeError('a phrase has 128 bits')
  return entropyToMnemonic(entropy, wordlist)
}

/** Takes any case and spacing, and numbers before the words, as people copy them from paper. */
export function readPhrase(text: string): PhraseReading {
  if (text.length > MAX_PHRASE_LENGTH) return { kind: 'wrong', why: 'This is longer than a recovery phrase.' }
  const words = text
    .normalize('NFKD')
    .toLowerCase()
    .split(/[^a-z]+/u)
    .filter((word) => word !== '')
  const unknown = words.find((word) => !wordlist.includes(word))
  if (unknown !== undefined) return { kind: 'wrong', why: `“${unknown}” is not a word of a recovery phrase.` }
  if (words.length !== PHRASE_WORDS) {
    return { kind: 'wrong', why: `A recovery phrase has ${PHRASE_WORDS} words; these are ${words.length}.` }
  }
  const phrase = words.join(' ')
  try {
    mnemonicToEntropy(phrase, wordlist)
  } catch {
    return { kind: 'wrong', why: 'These words do not belong together. One is wrong, or their order is.' }
  }
  return { kind: 'phrase', phrase }
}

/** @throws Error for what `readPhrase` does not give */
export function deriveKeys(phrase: string): RecoveryKeys {
  const entropy = mnemonicToEntropy(phrase, wordlist)
  const derive = (purpose: string): Uint8Array => hkdf(sha256, entropy, SALT, utf8ToBytes(purpose), 32)
  return { nameSeed: derive('name key'), exportKey: derive('export key') }
}

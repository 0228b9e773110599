/**
 * The keys of the account, in an IndexedDB database of their own: a restored or deleted message store never touches
 * them. Private keys are CryptoKeys that cannot be exported. Every write is strict: it survives a power cut.
 */
import { nameOfKey } from '@plexus/core/names'
import type { ServerName } from '@plexus/core'
import { ed25519 } from '@noble/curves/ed25519.js'
import { base64urlnopad } from '@scure/base'
import { openDB, type DBSchema, type IDBPDatabase } from 'idb'
import { deriveKeys, phraseOf, readPhrase } from '../page/recovery.ts'
import { KEYS } from '../shared/databases.ts'

const VERSION = 1
const PHRASE_ENTROPY_BYTES = 16

/** PrivateKeyInfo of an Ed25519 seed, up to the seed. RFC 8410 section 7 */
const PKCS8_PREFIX = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20)

export type Identity = {
  readonly name: ServerName
  readonly privateKey: CryptoKey
  readonly exportKey: CryptoKey
}

interface Schema extends DBSchema {
  identity: { key: 'own'; value: Identity }
  /** The words, until the user confirmed having them. */
  phrase: { key: 'own'; value: string }
  transport: { key: 'own'; value: Uint8Array }
  notes: { key: string; value: string }
}

/** What an export looks like from outside. */
export type SealedExport = {
  readonly format: 'plexus export 1'
  readonly nonce: string
  readonly sealed: string
}

export interface KeyStore {
  identity(): Promise<Identity | undefined>
  /**
   * Makes the identity of `phrase`, or of a new one when there is none. Another phrase replaces what is there, whose
   * key is lost then: not when it is `used` by an account. @throws Error then, with words for the user
   */
  makeIdentity(phrase: string | undefined, used: boolean): Promise<Identity>
  phrase(): Promise<string | undefined>
  confirmPhrase(): Promise<void>
  /** The transport key, `generated` when there is none. */
  transportKey(generated: Uint8Array): Promise<Uint8Array>
  recall(name: string): Promise<string | undefined>
  remember(name: string, text: string): Promise<void>
  seal(text: string): Promise<SealedExport>
  close(): void
}

export async function openKeyStore(): Promise<KeyStore> {
  const database = await openDB<Schema>(KEYS, VERSION, {
    upgrade(fresh) {
      for (const name of ['identity', 'phrase', 'transport', 'notes'] as const) fresh.createObjectStore(name)
    },
    // The user deletes the site's data, or a newer app upgrades.
    blocking: (_current, _blocked, event) => {
      if (event.target instanceof IDBDatabase) event.target.close()
    },
  })
  return {
    identity: () => database.get('identity', 'own'),
    makeIdentity: (phrase, used) => makeIdentity(database, phrase, used),
    phrase: () => database.get('phrase', 'own'),
    async confirmPhrase() {
      const transaction = database.transaction('phrase', 'readwrite', { durability: 'strict' })
      await Promise.all([transaction.store.delete('own'), transaction.done])
    },
    async transportKey(generated) {
      const transaction = database.transaction('transport', 'readwrite', { durability: 'strict' })
      const known = await transaction.store.get('own')
      if (known === undefined) await transaction.store.put(generated, 'own')
      await transaction.done
      return known ?? generated
    },
    recall: (name) => database.get('notes', name),
    async remember(name, text) {
      await database.put('notes', text, name)
    },
    async seal(text) {
      const identity = await database.get('identity', 'own')
      if (identity === undefined) throw new Error('there is no account to export')
      return sealText(identity.exportKey, text)
    },
    close: () => database.close(),
  }
}

async function makeIdentity(
  database: IDBPDatabase<Schema>,
  restored: string | undefined,
  used: boolean,
): Promise<Identity> {
  const phrase = restored ?? phraseOf(crypto.getRandomValues(new Uint8Array(PHRASE_ENTROPY_BYTES)))
  const made = await identityOf(phrase)
  const transaction = database.transaction(['identity', 'phrase'], 'readwrite', { durability: 'strict' })
  const known = await transaction.objectStore('identity').get('own')
  if (known !== undefined && (restored === undefined || known.name === made.name)) {
    await transaction.done
    return known
  }
  if (known !== undefined && used) {
    await transaction.done
    throw new Error('There is an account in this browser already. Reload the page to open it.')
  }
  await transaction.objectStore('identity').put(made, 'own')
  // Who typed the words has them.
  if (restored === undefined) await transaction.objectStore('phrase').put(phrase, 'own')
  else await transaction.objectStore('phrase').delete('own')
  await transaction.done
  return made
}

async function identityOf(phrase: string): Promise<Identity> {
  const { nameSeed, exportKey } = deriveKeys(phrase)
  const { subtle } = crypto
  const pkcs8 = Uint8Array.of(...PKCS8_PREFIX, ...nameSeed)
  return {
    name: nameOfKey(ed25519.getPublicKey(nameSeed)),
    privateKey: await subtle.importKey('pkcs8', pkcs8, 'Ed25519', false, ['sign']),
    exportKey: await subtle.importKey('raw', new Uint8Array(exportKey), 'AES-GCM', false, ['encrypt']),
  }
}

/** The words in their plain form. @throws Error with what is wrong with them, for the user */
export function checkPhrase(typed: string): string {
  const reading = readPhrase(typed)
  if (reading.kind === 'wrong') throw new Error(reading.why)
  return reading.phrase
}

/** The text of an export. @throws Error with words for the user */
export async function unsealText(phrase: string, file: string): Promise<string> {
  const { exportKey } = deriveKeys(phrase)
  const { nonce, sealed } = parseSealed(file)
  const key = await crypto.subtle.importKey('raw', new Uint8Array(exportKey), 'AES-GCM', false, ['decrypt'])
  try {
    const bytes = await crypto.subtle.decrypt({ name: 'AES-GCM', iv: nonce }, key, sealed)
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new Error('This file does not belong to these words, or it is damaged.', { cause })
  }
}

function parseSealed(file: string): { nonce: Uint8Array<ArrayBuffer>; sealed: Uint8Array<ArrayBuffer> } {
  try {
    const value = JSON.parse(file) as Partial<SealedExport>
    if (
      value.format !== 'plexus export 1' ||
      typeof value.nonce !== 'string' ||
      typeof value.sealed !== 'string'
    ) {
      throw new TypeError('another format')
    }
    return {
      nonce: new Uint8Array(base64urlnopad.decode(value.nonce)),
      sealed: new Uint8Array(base64urlnopad.decode(value.sealed)),
    }
  } catch (cause) {
    throw new Error('This file is not an export of Plexus.', { cause })
  }
}

async function sealText(key: CryptoKey, text: string): Promise<SealedExport> {
  const nonce = crypto.getRandomValues(new Uint8Array(12))
  const bytes = new TextEncoder().encode(text)
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce }, key, bytes))
  return {
    format: 'plexus export 1',
    nonce: base64urlnopad.encode(nonce),
    sealed: base64urlnopad.encode(sealed),
  }
}

import { keyOfName } from '@plexus/core/names'
import { deleteDB } from 'idb'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { checkPhrase, openKeyStore, unsealText, type KeyStore } from './key-store.ts'

const PHRASE = 'legal winner thank year wave sausage worth useful legal winner thank yellow'
const OTHER = 'letter advice cage absurd amount doctor acoustic avoid letter advice cage above'

let store: KeyStore

async function opened(): Promise<KeyStore> {
  store = await openKeyStore()
  return store
}

async function reopened(): Promise<KeyStore> {
  store.close()
  return opened()
}

beforeEach(opened)
afterEach(async () => {
  store.close()
  await deleteDB('plexus-keys')
})

describe('the key store', () => {
  it('is empty at first', async () => {
    expect(await store.identity()).toBeUndefined()
    expect(await store.phrase()).toBeUndefined()
    await expect(store.seal('x')).rejects.toThrow('no account')
  })

  it('signs with the key that the name is, and gives it to nobody', async () => {
    const { name, privateKey, exportKey } = await store.makeIdentity(PHRASE, false)
    const message = new TextEncoder().encode('signed here')
    const signature = await crypto.subtle.sign('Ed25519', privateKey, message)
    const publicKey = await crypto.subtle.importKey(
      'raw',
      new Uint8Array(keyOfName(name) ?? []),
      'Ed25519',
      false,
      ['verify'],
    )
    expect(await crypto.subtle.verify('Ed25519', publicKey, signature, message)).toBe(true)
    for (const key of [privateKey, exportKey]) {
      expect(key.extractable).toBe(false)
      await expect(crypto.subtle.exportKey('raw', key)).rejects.toThrow()
    }
  })

  it('makes the same identity of the same words, after a reload as well', async () => {
    const { name } = await store.makeIdentity(PHRASE, false)
    await reopened()
    expect((await store.identity())?.name).toBe(name)
    expect((await store.makeIdentity(undefined, false)).name).toBe(name)
    expect((await store.makeIdentity(PHRASE, false)).name).toBe(name)
    expect((await store.makeIdentity(OTHER, false)).name).not.toBe(name)
  })

  it('does not replace the identity of an account', async () => {
    const { name } = await store.makeIdentity(undefined, false)
    const words = await store.phrase()
    await expect(store.makeIdentity(OTHER, true)).rejects.toThrow('an account in this browser already')
    expect((await store.identity())?.name).toBe(name)
    expect(await store.phrase()).toBe(words)
    expect((await store.makeIdentity(undefined, true)).name).toBe(name)
    expect((await store.makeIdentity(words, true)).name).toBe(name)
  })

  it('keeps the words of a new identity until they are confirmed', async () => {
    const { name } = await store.makeIdentity(undefined, false)
    const words = await (await reopened()).phrase()
    expect(checkPhrase(words ?? '')).toBe(words)
    await store.confirmPhrase()
    expect(await (await reopened()).phrase()).toBeUndefined()
    expect((await store.identity())?.name).toBe(name)
  })

  it('keeps no words that the user typed', async () => {
    await store.makeIdentity(PHRASE, false)
    expect(await store.phrase()).toBeUndefined()
  })

  it('seals what only the words open', async () => {
    await store.makeIdentity(PHRASE, false)
    const sealed = JSON.stringify(await store.seal('rooms and keys 🏔️'))
    expect(sealed).not.toContain('rooms')
    expect(await unsealText(PHRASE, sealed)).toBe('rooms and keys 🏔️')
    await expect(unsealText(OTHER, sealed)).rejects.toThrow('does not belong to these words')
    await expect(
      unsealText(
        PHRASE,
        sealed.replace(/.(?="\}$)/, (last) => (last === 'A' ? 'Q' : 'A')),
      ),
    ).rejects.toThrow()
    for (const file of ['', '{}', '[]', 'null', '{"format":"plexus export 1","nonce":"!","sealed":"!"}']) {
      await expect(unsealText(PHRASE, file)).rejects.toThrow('not an export of Plexus')
    }
  })

  it('keeps the first transport key, and notes', async () => {
    expect(await store.transportKey(Uint8Array.of(1, 2))).toEqual(Uint8Array.of(1, 2))
    expect(await store.transportKey(Uint8Array.of(3))).toEqual(Uint8Array.of(1, 2))
    await store.remember('peers', 'a')
    await store.remember('peers', 'b')
    await reopened()
    expect(await store.recall('peers')).toBe('b')
    expect(await store.recall('other')).toBeUndefined()
    expect(await store.transportKey(Uint8Array.of(4))).toEqual(Uint8Array.of(1, 2))
  })
})

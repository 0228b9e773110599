import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keyOfName } from '@plexus/core/names'
import { StartError } from '@plexus/daemon'
import { createVerifier } from '@plexus/engine'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadIdentity, loadRegistrationToken, registrationTokenFile } from './identity.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-identity-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const keptFile = (): string => join(folder, 'identity.json')

describe('the identity', () => {
  it('is made once, with a name that is its key, for its owner only', async () => {
    const first = await loadIdentity(folder, undefined)
    const again = await loadIdentity(folder, undefined)
    expect(again.signer.name).toBe(first.signer.name)
    expect(again.transportKey).toEqual(first.transportKey)
    expect(statSync(keptFile()).mode & 0o777).toBe(0o600)
    const message = Uint8Array.of(1, 2, 3)
    const publicKey = keyOfName(first.signer.name) ?? new Uint8Array()
    const signature = await again.signer.sign(message)
    expect(await createVerifier(crypto.subtle).verify([{ publicKey, message, signature }])).toEqual([true])
  })

  it('gives the key of a DNS name an id that no other key has', async () => {
    const { signer } = await loadIdentity(folder, 'a.example')
    expect(signer.keyId).toMatch(/^ed25519:[0-9a-f]{8}$/)
    expect((await loadIdentity(folder, undefined)).signer.keyId).toBe(signer.keyId)
    rmSync(keptFile())
    expect((await loadIdentity(folder, 'a.example')).signer.keyId).not.toBe(signer.keyId)
  })

  it('puts a name that is its key under a domain, for ever', async () => {
    const { signer } = await loadIdentity(folder, undefined, 'gw.example.org')
    expect(signer.name).toMatch(/^k[0-9a-z]{61}\.gw\.example\.org$/)
    expect(keyOfName(signer.name)).toEqual(signer.publicKey)
    expect((await loadIdentity(folder, undefined)).signer.name).toBe(signer.name)
    expect((await loadIdentity(folder, undefined, 'gw.example.org')).signer.name).toBe(signer.name)
    await expect(loadIdentity(folder, undefined, 'other.example.org')).rejects.toThrow(/is of .*, not of/)
    await expect(loadIdentity(folder, 'a.example', 'gw.example.org')).rejects.toThrow(/exclude each other/)
    rmSync(keptFile())
    await expect(loadIdentity(folder, undefined, 'x'.repeat(200))).rejects.toThrow(
      /--name-suffix .* too long/,
    )
  })

  it('keeps a name that was asked for, and refuses another', async () => {
    expect((await loadIdentity(folder, 'a.example')).signer.name).toBe('a.example')
    expect((await loadIdentity(folder, undefined)).signer.name).toBe('a.example')
    await expect(loadIdentity(folder, 'b.example')).rejects.toThrow(StartError)
    await expect(loadIdentity(folder, 'b.example')).rejects.toThrow(
      /is of a\.example, not of b\.example.*--data/,
    )
  })

  it.each(['', '{', 'null', '{"serverName":"a.example"}'])(
    'refuses damage without quoting it: %j',
    async (text) => {
      writeFileSync(keptFile(), text)
      await expect(loadIdentity(folder, undefined)).rejects.toThrow(StartError)
      await expect(loadIdentity(folder, undefined)).rejects.toThrow(/identity\.json is damaged/)
      expect(readFileSync(keptFile(), 'utf8')).toBe(text)
    },
  )

  it('refuses a seed of another length, a name that is none and a key that is none', async () => {
    await loadIdentity(folder, undefined)
    const good = JSON.parse(readFileSync(keptFile(), 'utf8')) as Record<string, string>
    for (const change of [{ nameSeed: 'AAAA' }, { serverName: '@' }, { transportKey: 'AAAA' }]) {
      writeFileSync(keptFile(), JSON.stringify({ ...good, ...change }))
      await expect(loadIdentity(folder, undefined)).rejects.toThrow(/is damaged/)
    }
  })
})

describe('the registration token', () => {
  it('is made once, and can be another', () => {
    const token = loadRegistrationToken(folder)
    expect(token).toMatch(/^[\w-]{24}$/)
    expect(loadRegistrationToken(folder)).toBe(token)
    expect(statSync(registrationTokenFile(folder)).mode & 0o777).toBe(0o600)
    writeFileSync(registrationTokenFile(folder), 'welcome\n')
    expect(loadRegistrationToken(folder)).toBe('welcome')
  })

  it.each(['', 'two words', 'x'.repeat(65)])('is refused when it is none: %j', (text) => {
    writeFileSync(registrationTokenFile(folder), text)
    expect(() => loadRegistrationToken(folder)).toThrow(StartError)
  })
})

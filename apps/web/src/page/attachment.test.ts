import { createCipheriv, createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decryptAttachment, encryptAttachment, parseEncryptedFile } from './attachment.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const keyOf = (info: Awaited<ReturnType<typeof encryptAttachment>>['info']) => ({
  key: info.key.k,
  iv: info.iv,
  sha256: info.hashes.sha256,
})

describe('encrypted attachments', () => {
  it('come back as they were', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        const { encrypted, info } = await encryptAttachment(bytes)
        expect(await decryptAttachment(encrypted, keyOf(info))).toEqual(bytes)
      }),
      { numRuns: 30 },
    )
  })

  it('are AES-256-CTR as another implementation computes it', async () => {
    const plain = bytesOf('the quick brown fox')
    const { encrypted, info } = await encryptAttachment(plain)
    const cipher = createCipheriv(
      'aes-256-ctr',
      Buffer.from(info.key.k, 'base64url'),
      Buffer.from(info.iv, 'base64'),
    )
    expect(Buffer.from(encrypted)).toEqual(Buffer.concat([cipher.update(plain), cipher.final()]))
    const hash = createHash('sha256').update(encrypted).digest('base64').replace(/=+$/u, '')
    expect(info.hashes.sha256).toBe(hash)
  })

  it('have a counter whose lower half starts at zero', async () => {
    const { info } = await encryptAttachment(bytesOf('x'))
    expect([...Buffer.from(info.iv, 'base64').subarray(8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
  })

  it('are refused when a bit of them differs', async () => {
    const { encrypted, info } = await encryptAttachment(bytesOf('a picture'))
    for (let index = 0; index < encrypted.length; index += 1) {
      const changed = encrypted.with(index, (encrypted[index] ?? 0) ^ 1)
      await expect(decryptAttachment(changed, keyOf(info))).rejects.toThrow('its hash is wrong')
    }
  })

  it('take base64 in either alphabet, padded or not', async () => {
    const { encrypted, info } = await encryptAttachment(bytesOf('hello'))
    const key = keyOf(info)
    const padded = { key: `${key.key}=`, iv: `${key.iv}==`, sha256: `${key.sha256}=` }
    const url = { key: key.key, iv: key.iv, sha256: key.sha256.replaceAll('+', '-').replaceAll('/', '_') }
    expect(await decryptAttachment(encrypted, padded)).toEqual(bytesOf('hello'))
    expect(await decryptAttachment(encrypted, url)).toEqual(bytesOf('hello'))
  })

  it.each([
    ['a short key', { key: 'AAAA' }],
    ['a short counter', { iv: 'AAAA' }],
    ['what is no base64', { key: '!!!' }],
  ])('are refused with %s', async (_what, change) => {
    const { encrypted, info } = await encryptAttachment(bytesOf('hello'))
    await expect(decryptAttachment(encrypted, { ...keyOf(info), ...change })).rejects.toMatchObject({
      name: 'AttachmentError',
    })
  })
})

describe('the key of an encrypted file', () => {
  it('is read from an event', async () => {
    const { info } = await encryptAttachment(bytesOf('x'))
    expect(parseEncryptedFile({ url: 'mxc://a/b', ...info })).toEqual({ url: 'mxc://a/b', ...keyOf(info) })
  })

  it('is undefined for any other shape', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(parseEncryptedFile(value)).toBeUndefined()
      }),
    )
    expect(parseEncryptedFile({ v: 'v1', url: 'mxc://a/b', iv: '', key: {}, hashes: {} })).toBeUndefined()
    expect(parseEncryptedFile(null)).toBeUndefined()
  })
})

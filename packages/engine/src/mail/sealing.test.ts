import { encodeBase64 } from '@plexus/core'
import type { ServerName } from '@plexus/core'
import { mailInfo } from '@plexus/core/names'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EnvelopedRequest } from '../ports.ts'
import { createSealer } from './hpke.ts'
import { MAIL_BUCKETS, openMail, padded, sealMail, unpadded } from './sealing.ts'

const NAME = 'k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r' as ServerName
const OTHER = 'other.example.org' as ServerName
const SIGNATURE = encodeBase64(new Uint8Array(64))
const expires = 1_000

const enveloped = (text = ''): EnvelopedRequest => ({
  request: {
    method: 'PUT',
    uri: '/_matrix/federation/v1/send/1',
    origin: OTHER,
    destination: NAME,
    content: { text },
    signatures: { [OTHER]: { 'ed25519:1': SIGNATURE } },
  },
  envelope: { requestHash: 'a'.repeat(43), incarnation: 'b'.repeat(22), expires },
  signature: SIGNATURE,
})

describe('padding', () => {
  it('fills up to a bucket, and gives back any text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), (text) => {
        const bytes = padded(text)
        expect(MAIL_BUCKETS).toContain(bytes.length)
        expect(unpadded(bytes)).toEqual(text)
      }),
    )
    expect(padded(new Uint8Array(1020)).length).toBe(1024)
    expect(padded(new Uint8Array(1021)).length).toBe(4096)
    expect(() => padded(new Uint8Array(1024 * 1024))).toThrow(RangeError)
  })

  it('is told from bytes that say another length than they have', () => {
    expect(unpadded(new Uint8Array(3))).toBeUndefined()
    expect(unpadded(new Uint8Array([0, 0, 0, 1]))).toBeUndefined()
    expect(unpadded(new Uint8Array([255, 255, 255, 255, 0]))).toBeUndefined()
  })
})

describe('a sealed mail', async () => {
  const sealer = createSealer()
  const pair = await sealer.makeKey()
  const key = { id: 'k1', publicKey: encodeBase64(pair.publicKey), expires: 2_000 }
  const mail = await sealMail(sealer, enveloped('hello'), { lane: 'events', key, expires })

  it('is a bucket and what HPKE adds, with the text nowhere in it', () => {
    expect(mail).toMatchObject({ recipient: NAME, lane: 'events', keyId: 'k1', expires })
    expect(mail.bytes.length).toBe(1024 + 48)
    expect(Buffer.from(mail.bytes).includes('hello')).toBe(false)
  })

  it('opens to the request', async () => {
    expect(await openMail(sealer, pair, mail)).toEqual(enveloped('hello'))
  })

  it('does not open for another recipient, key or expiry', async () => {
    expect(await openMail(sealer, pair, { ...mail, recipient: OTHER })).toBeUndefined()
    expect(await openMail(sealer, pair, { ...mail, keyId: 'k2' })).toBeUndefined()
    expect(await openMail(sealer, pair, { ...mail, expires: expires + 1 })).toBeUndefined()
    expect(await openMail(sealer, await sealer.makeKey(), mail)).toBeUndefined()
  })

  it('never throws, whatever was sealed', async () => {
    const texts = ['', '{', '[]', 'null', '{"request":{},"envelope":{},"signature":""}', '"'.repeat(900)]
    const bodies = [...texts.map((text) => padded(Buffer.from(text))), new Uint8Array(1024).fill(255)]
    for (const body of bodies) {
      const bytes = await sealer.seal(pair.publicKey, mailInfo(mail), body)
      expect(await openMail(sealer, pair, { ...mail, bytes })).toBeUndefined()
    }
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1072, maxLength: 1072 }), async (bytes) => {
        expect(await openMail(sealer, pair, { ...mail, bytes })).toBeUndefined()
      }),
      { numRuns: 20 },
    )
  })
})

import { Aes128Gcm } from '@hpke/core'
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import { createSealer, createSuite } from './hpke.ts'

/** RFC 9180 appendix A.1.1, base mode; the first encryption. */
const VECTOR = {
  info: '4f6465206f6e2061204772656369616e2055726e',
  privateKey: '4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8',
  publicKey: '3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d',
  enc: '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431',
  text: '4265617574792069732074727574682c20747275746820626561757479',
  aad: '436f756e742d30',
  ciphertext: 'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a',
}

const info = utf8ToBytes('info')

describe('HPKE', () => {
  it('is that of RFC 9180, which has vectors for AES-128 alone', async () => {
    const suite = createSuite(new Aes128Gcm())
    const { kem } = suite
    const publicKey = await kem.deserializePublicKey(hexToBytes(VECTOR.publicKey))
    const privateKey = await kem.deserializePrivateKey(hexToBytes(VECTOR.privateKey))
    const recipient = {
      recipientKey: { publicKey, privateKey },
      enc: hexToBytes(VECTOR.enc),
      info: hexToBytes(VECTOR.info),
    }
    const text = await suite.open(recipient, hexToBytes(VECTOR.ciphertext), hexToBytes(VECTOR.aad))
    expect(bytesToHex(new Uint8Array(text))).toBe(VECTOR.text)
  })

  it('opens what it sealed, and seals the same text to other bytes each time', async () => {
    const sealer = createSealer()
    const pair = await sealer.makeKey()
    const text = utf8ToBytes('text')
    const sealed = await sealer.seal(pair.publicKey, info, text)
    expect(sealed.length).toBe(text.length + 48)
    expect(await sealer.open(pair, info, sealed)).toEqual(text)
    expect(await sealer.seal(pair.publicKey, info, text)).not.toEqual(sealed)
  })

  it('opens nothing that was altered, cut, sealed to another key or with another info', async () => {
    const sealer = createSealer()
    const pair = await sealer.makeKey()
    const sealed = await sealer.seal(pair.publicKey, info, utf8ToBytes('text'))
    for (let index = 0; index < sealed.length; index += 1) {
      const altered = sealed.map((byte, at) => (at === index ? byte ^ 1 : byte))
      expect(await sealer.open(pair, info, altered)).toBeUndefined()
    }
    for (const length of [0, 1, 31, 32, 33, 47, 48, sealed.length - 1])
      expect(await sealer.open(pair, info, sealed.subarray(0, length))).toBeUndefined()
    expect(await sealer.open(await sealer.makeKey(), info, sealed)).toBeUndefined()
    expect(await sealer.open(pair, utf8ToBytes('other'), sealed)).toBeUndefined()
  })

  it('opens nothing that was sealed to a point without a secret', async () => {
    const sealer = createSealer()
    const pair = await sealer.makeKey()
    await expect(sealer.seal(new Uint8Array(32), info, new Uint8Array(1))).rejects.toThrow()
    expect(await sealer.open(pair, info, new Uint8Array(80))).toBeUndefined()
  })
})

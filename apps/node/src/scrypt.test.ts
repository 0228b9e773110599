import { expect, it } from 'vitest'
import { scrypt } from './scrypt.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

// The third vector of RFC 7914 section 12.
it('is the scrypt of RFC 7914', async () => {
  const key = await scrypt('pleaseletmein', utf8('SodiumChloride'), { cost: 14, r: 8, p: 1, bytes: 64 })
  expect(Buffer.from(key).toString('hex')).toBe(
    '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2' +
      'd5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
  )
})

// Made with the portable one, @noble/hashes: either checks what the other made.
it('has room for the cost of passwords, and reads them as UTF-8', async () => {
  const key = await scrypt('Grüße, 世界', utf8('salt'), { cost: 15, r: 8, p: 3, bytes: 32 })
  expect(Buffer.from(key).toString('hex')).toBe(
    '60f51a774ad934fdb37a29984af28ec7b25092334b08ab226808adf89ff94c96',
  )
})

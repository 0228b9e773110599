import { ed25519, ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519.js'
import { base36 } from '@scure/base'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseServerName, type ServerName } from '../ids.ts'
import { canMeet, isKeyName, KEY_LABEL_LENGTH, keyOfName, nameOfKey } from './names.ts'

const publicKey = ed25519.getPublicKey(new Uint8Array(32).fill(9))
const name = nameOfKey(publicKey)
const server = (text: string): ServerName => {
  const parsed = parseServerName(text)
  if (parsed === undefined) throw new Error(`${text} is no server name`)
  return parsed
}
const label = (...bytes: number[]): string => `k${base36.encode(Uint8Array.from(bytes))}`

/** What a key's label begins with. */
const PREFIX = [0x01, 0x72, 0x00, 0x24, 0x08, 0x01, 0x12, 0x20]

describe('names of keys', () => {
  it('are one label of 62 characters, and lead back to the key', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
        const key = ed25519.getPublicKey(seed)
        const made = nameOfKey(key)
        expect(made).toMatch(/^k51qzi5uqu5d[0-9a-z]{50}$/)
        expect(made).toHaveLength(KEY_LABEL_LENGTH)
        expect(keyOfName(made)).toEqual(key)
      }),
      { numRuns: 30 },
    )
  })

  it('keep the key under a suffix and with a port', () => {
    const long = nameOfKey(publicKey, 'gw.example.org')
    expect(long).toBe(`${name}.gw.example.org`)
    expect(keyOfName(long)).toEqual(publicKey)
    expect(keyOfName(server(`${name}:8448`))).toEqual(publicKey)
    expect(keyOfName(nameOfKey(publicKey, 'gw.example.org:8448'))).toEqual(publicKey)
  })

  it('are not DNS names', () => {
    for (const text of ['example.org', 'k51qzi5uqu5d', '[::1]', `www.${name}`, `x${name}`, `${name}x`]) {
      expect(isKeyName(server(text))).toBe(false)
    }
    expect(isKeyName(name)).toBe(true)
  })

  it('have one spelling', () => {
    expect(keyOfName(server(name.toUpperCase()))).toBeUndefined()
    expect(keyOfName(server(`K${name.slice(1)}`))).toBeUndefined()
    expect(keyOfName(server(`z${name.slice(1)}`))).toBeUndefined()
    for (let i = 0; i < name.length; i += 1) {
      const upper = name.slice(0, i) + name.charAt(i).toUpperCase() + name.slice(i + 1)
      if (upper !== name) expect(keyOfName(server(upper))).toBeUndefined()
    }
  })

  it('are no other kind of CID', () => {
    const rest = [...publicKey]
    expect(label(...PREFIX, ...rest)).toBe(name)
    for (let i = 0; i < PREFIX.length; i += 1) {
      const other = PREFIX.map((byte, j) => (i === j ? byte + 1 : byte))
      const text = parseServerName(label(...other, ...rest))
      expect(text === undefined ? undefined : keyOfName(text)).toBeUndefined()
    }
    expect(keyOfName(server(label(...PREFIX, ...rest.slice(1))))).toBeUndefined()
    // 62 characters whose number does not fit the 40 bytes
    expect(keyOfName(server(`k${'z'.repeat(61)}`))).toBeUndefined()
    expect(keyOfName(server(`k0${name.slice(2)}`))).toBeUndefined()
  })

  it('are made of sound keys only', () => {
    const identity = new Uint8Array(32)
    identity[0] = 1
    const torsion = ed25519.Point.fromHex(ED25519_TORSION_SUBGROUP[1] ?? '', true)
    const mixed = ed25519.Point.fromBytes(publicKey).add(torsion).toBytes()
    for (const key of [identity, mixed, publicKey.subarray(1)]) {
      expect(() => nameOfKey(key)).toThrow(TypeError)
      const text = parseServerName(label(...PREFIX, ...key))
      expect(text === undefined ? undefined : keyOfName(text)).toBeUndefined()
    }
    expect(() => nameOfKey(publicKey, 'not a suffix')).toThrow(TypeError)
    expect(() => nameOfKey(publicKey, 'x'.repeat(200))).toThrow(TypeError)
  })

  it('parsing is total on server names', () => {
    const chars = fc.constantFrom(...'k51qzi0123456789abcdefghijklmnopqrstuvwxyzABC.-:'.split(''))
    fc.assert(
      fc.property(fc.string({ unit: chars, maxLength: 80 }), (text) => {
        for (const candidate of [text, `k${text}`, name.slice(0, 40) + text]) {
          const parsed = parseServerName(candidate)
          if (parsed === undefined) continue
          const key = keyOfName(parsed)
          if (key !== undefined) expect(parsed.startsWith(nameOfKey(key))).toBe(true)
        }
      }),
    )
  })

  it('keep apart from ordinary homeservers unless they have a suffix', () => {
    const long = nameOfKey(publicKey, 'gw.example.org')
    const stock = server('localhost:8448')
    expect([name, long, stock].map(canMeet(name))).toEqual([true, true, false])
    expect([name, long, stock].map(canMeet(long))).toEqual([true, true, true])
    expect([name, long, stock].map(canMeet(stock))).toEqual([false, true, true])
  })
  it('can be met by their form, whatever the key', () => {
    const edges = [0, 255].map((byte) => server(label(...PREFIX, ...new Uint8Array(32).fill(byte))))
    expect(edges.map(isKeyName)).toEqual([false, false])
    expect(edges.map(canMeet(name))).toEqual([true, true])
    expect(edges.map(canMeet(server('localhost:8448')))).toEqual([false, false])
  })
})

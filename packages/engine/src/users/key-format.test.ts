import type { JsonObject } from '@plexus/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  MAX_KEY_OBJECT_LENGTH,
  deviceKeysFault,
  isDeviceId,
  isOneTimeKey,
  parseCrossSigningKey,
  splitKeyName,
} from './key-format.ts'

const USER = '@alice:example.com'
const KEY = 'nqOvzeuGWT/sRx3h7+MHoInYj3Uk2LD/unI9kDYcHwk'

const device: JsonObject = {
  user_id: USER,
  device_id: 'D',
  algorithms: ['m.olm.v1.curve25519-aes-sha2'],
  keys: { 'ed25519:D': KEY },
  signatures: { [USER]: { 'ed25519:D': 'x' } },
}

const master: JsonObject = { user_id: USER, usage: ['master'], keys: { [`ed25519:${KEY}`]: KEY } }

describe('device keys', () => {
  it('pass when they are of the device', () => {
    expect(deviceKeysFault(device, USER, 'D')).toBeUndefined()
  })

  it.each([
    ['user', { user_id: '@eve:example.com' }],
    ['device', { device_id: 'E' }],
    ['algorithms', { algorithms: [1] }],
    ['keys', { keys: { a: 1 } }],
    ['keys missing', { keys: undefined }],
    ['signatures', { signatures: { a: 'b' } }],
    ['size', { extra: 'x'.repeat(MAX_KEY_OBJECT_LENGTH) }],
  ])('fail for another %s', (_, change) => {
    expect(deviceKeysFault({ ...device, ...change }, USER, 'D')).toBeTypeOf('string')
  })
})

describe('a cross-signing key', () => {
  it('has one key, named after itself', () => {
    expect(parseCrossSigningKey(master, USER, 'master')).toMatchObject({ id: KEY })
  })

  it.each([
    ['usage', { usage: ['self_signing'] }],
    ['user', { user_id: '@eve:example.com' }],
    ['name of the key', { keys: { 'ed25519:D': KEY } }],
    ['second key', { keys: { [`ed25519:${KEY}`]: KEY, 'ed25519:x': 'x' } }],
    ['length', { keys: { 'ed25519:AAAA': 'AAAA' } }],
    ['signatures', { signatures: [] }],
  ])('fails for another %s', (_, change) => {
    expect(parseCrossSigningKey({ ...master, ...change }, USER, 'master')).toBeUndefined()
  })
})

describe('names and one-time keys', () => {
  it('split at the first colon', () => {
    expect(splitKeyName('signed_curve25519:AAAA')).toEqual({ algorithm: 'signed_curve25519', keyId: 'AAAA' })
    for (const name of ['', ':', 'a:', ':a', 'a', `a:${'b'.repeat(300)}`, 'a:\ud800']) {
      expect(splitKeyName(name)).toBeUndefined()
    }
  })

  it('are strings or signed objects', () => {
    expect(isOneTimeKey('abc')).toBe(true)
    expect(isOneTimeKey({ key: 'abc', signatures: { [USER]: { 'ed25519:D': 'x' } } })).toBe(true)
    for (const key of [{ key: 'abc' }, { signatures: {} }, 7, null, undefined, [], 'x'.repeat(5_000)]) {
      expect(isOneTimeKey(key)).toBe(false)
    }
  })

  it('bound device ids', () => {
    expect(isDeviceId('JLAFKJWSCS')).toBe(true)
    for (const text of ['', 'x'.repeat(256), '\ud800', 'a\0b']) expect(isDeviceId(text)).toBe(false)
  })

  it('are judged without a throw, whatever comes', () => {
    const json = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }))
    fc.assert(
      fc.property(json, (value) => {
        deviceKeysFault(value, USER, 'D')
        parseCrossSigningKey(value, USER, 'master')
        isOneTimeKey(value)
      }),
    )
  })
})

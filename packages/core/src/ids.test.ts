import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  isValidNewLocalpart,
  localpartOf,
  parseEventId,
  parseKeyId,
  parseRoomAlias,
  parseRoomId,
  parseServerName,
  parseUserId,
  serverOf,
  utf8Length,
  type UserId,
} from './ids.ts'

const hash = 'Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg'

describe('parseServerName', () => {
  it.each([
    'matrix.org',
    'matrix.org:8888',
    '1.2.3.4',
    '1.2.3.4:1234',
    '[1234:5678::abcd]',
    '[1234:5678::abcd]:5678',
    'a',
    'UPPER.case',
    'a'.repeat(230),
  ])('takes %s', (name) => {
    expect(parseServerName(name)).toBe(name)
  })

  it.each([
    '',
    ':80',
    'a:',
    'a:123456',
    'a:b',
    'a b',
    'a_b',
    'é',
    '[::1',
    '[]',
    'a/b',
    'a\n',
    'a'.repeat(231),
  ])('refuses %j', (name) => {
    expect(parseServerName(name)).toBeUndefined()
  })
})

describe('parseUserId', () => {
  it.each(['@a:b', '@:b', '@A b\u{1f600}!:b:80', `@${'a'.repeat(252)}:b`])('takes %s', (id) => {
    expect(parseUserId(id)).toBe(id)
  })

  it.each([
    '',
    'a:b',
    '@a',
    '@a:',
    '@a:b:c',
    '@a\0:b',
    '@\ud800:b',
    `@${'a'.repeat(253)}:b`,
    `@${'é'.repeat(127)}:b`,
  ])('refuses %j', (id) => {
    expect(parseUserId(id)).toBeUndefined()
  })

  it('splits at the first colon', () => {
    const id = '@x:server:8448' as UserId
    expect([localpartOf(id), serverOf(id)]).toEqual(['x', 'server:8448'])
  })
})

describe('isValidNewLocalpart', () => {
  it('takes the characters of the grammar only', () => {
    expect(isValidNewLocalpart('a-z.0_9=/+')).toBe(true)
    for (const bad of ['', 'A', 'a b', 'é', 'a:b', 'a\n']) expect(isValidNewLocalpart(bad)).toBe(false)
  })
})

const unit = fc.oneof(fc.constantFrom(0x3a, 0x61, 0x41), fc.nat(0x7f), fc.nat(0xffff))

describe('other identifiers', () => {
  it('room ids come in two forms', () => {
    expect(parseRoomId(`!${hash}`)).toBe(`!${hash}`)
    expect(parseRoomId('!abc:server')).toBe('!abc:server')
    for (const bad of ['!', '!abc', `!${hash}x`, `$${hash}`, '!a:b c', `!${hash.slice(1)}=`]) {
      expect(parseRoomId(bad)).toBeUndefined()
    }
  })

  it('event ids come in three forms', () => {
    const plain = hash.replaceAll('-', '+').replaceAll('_', '/')
    const forms = { base64url: `$${hash}`, base64: `$${plain}`, field: '$a:server' } as const
    expect(new Set(Object.values(forms)).size).toBe(3)
    for (const [form, id] of Object.entries(forms)) {
      expect(parseEventId(id)).toBe(id)
      for (const other of ['base64url', 'base64', 'field'] as const) {
        expect(parseEventId(id, other)).toBe(other === form ? id : undefined)
      }
    }
    for (const bad of ['$', '$a', `!${hash}`, `$${hash}a`, `$${hash.slice(1)}=`, '$a:b c', '!a:server']) {
      expect(parseEventId(bad)).toBeUndefined()
    }
  })

  it('aliases and key ids', () => {
    expect(parseRoomAlias('#räum:server')).toBe('#räum:server')
    expect(parseRoomAlias('#room')).toBeUndefined()
    expect(parseKeyId('ed25519:a_1')).toBe('ed25519:a_1')
    for (const bad of ['ed25519:', 'ed25519:a b', 'rsa:1', 'ed25519:é'])
      expect(parseKeyId(bad)).toBeUndefined()
  })

  it('every parser is total', () => {
    fc.assert(
      fc.property(fc.array(unit), fc.constantFrom('@', '!', '$', '#', ''), (units, sigil) => {
        const text = String.fromCharCode(...units)
        const parsers = [parseServerName, parseUserId, parseRoomId, parseEventId, parseRoomAlias, parseKeyId]
        for (const parse of parsers) expect([undefined, sigil + text]).toContain(parse(sigil + text))
      }),
    )
  })
})

describe('utf8Length', () => {
  it('is the length of the encoded bytes, lone surrogates included', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff })), (units) => {
        const text = String.fromCharCode(...units)
        expect(utf8Length(text)).toBe(new TextEncoder().encode(text).length)
      }),
      {
        examples: [
          [[0xd800, 0xdc00, 0xdbff, 0xdfff]],
          [[0x7f, 0x80, 0x7ff, 0x800, 0xffff]],
          [[0xd800, 0xdbff, 0xdc00]],
        ],
      },
    )
  })
})

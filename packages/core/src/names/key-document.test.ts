import { ed25519 } from '@noble/curves/ed25519.js'
import { describe, expect, it } from 'vitest'
import { encodeBase64 } from '../base64.ts'
import type { JsonObject } from '../json.ts'
import { keyDocumentBytes, MAX_KEY_DOCUMENT_LENGTH, parseKeyDocument } from './key-document.ts'

const key = encodeBase64(ed25519.getPublicKey(new Uint8Array(32).fill(5)))
const signature = encodeBase64(new Uint8Array(64).fill(6))
const document: JsonObject = {
  server_name: 'example.org',
  verify_keys: { 'ed25519:abc123': { key } },
  old_verify_keys: { 'ed25519:0ldk3y': { expired_ts: 1532645052628, key } },
  signatures: { 'example.org': { 'ed25519:abc123': signature } },
  valid_until_ts: 1652262000000,
}

describe('parseKeyDocument', () => {
  it('reads the fields of the specification', () => {
    expect(parseKeyDocument(document)).toEqual({
      server: 'example.org',
      validUntil: 1652262000000,
      verifyKeys: [
        {
          keyId: 'ed25519:abc123',
          publicKey: expect.any(Uint8Array) as Uint8Array,
          signature: expect.any(Uint8Array) as Uint8Array,
        },
      ],
      oldVerifyKeys: [
        {
          keyId: 'ed25519:0ldk3y',
          publicKey: expect.any(Uint8Array) as Uint8Array,
          expired: 1532645052628,
        },
      ],
      json: document,
    })
  })

  it('leaves the signatures out of what is signed', () => {
    const parsed = parseKeyDocument(document)
    const text = parsed === undefined ? '' : new TextDecoder().decode(keyDocumentBytes(parsed))
    expect(text.startsWith('{"old_verify_keys":')).toBe(true)
    expect(text).not.toContain('signatures')
  })

  // spec: data/api/server-server/examples/server_key.json, whose key is a text and no point
  it.each([
    ['of another algorithm', { 'rsa:1': { key } }],
    ['that is no point', { 'ed25519:a': { key: 'VGhpcyBzaG91bGQgYmUgYSByZWFsIGVkMjU1MTkgcGF5bG9hZA' } }],
    ['of a wrong length', { 'ed25519:a': { key: 'AAAA' } }],
    ['that is no object', { 'ed25519:a': key }],
    ['under a name that every object has', JSON.parse(`{"__proto__":{"key":"${key}"}}`) as JsonObject],
  ])('leaves out a key %s', (_, keys) => {
    expect(parseKeyDocument({ ...document, verify_keys: keys })?.verifyKeys).toEqual([])
  })

  it.each<[string, JsonObject]>([
    ['no server name', { server_name: 'a b' }],
    ['no keys', { verify_keys: [] }],
    ['a time that is no integer', { valid_until_ts: 0.5 }],
    ['a time before the epoch', { valid_until_ts: -1 }],
    ['no time', { valid_until_ts: null }],
    ['too much text', { more: 'x'.repeat(MAX_KEY_DOCUMENT_LENGTH) }],
  ])('is undefined for a document with %s', (_, change) => {
    expect(parseKeyDocument({ ...document, ...change })).toBeUndefined()
  })

  it.each([[null], [[]], ['text'], [undefined]])('is undefined for %j', (value) => {
    expect(parseKeyDocument(value)).toBeUndefined()
  })
})

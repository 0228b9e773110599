import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { signableBytes } from '../canonical-json.ts'
import type { ServerName } from '../ids.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import {
  MAX_REQUEST_SIGNATURES,
  MAX_REQUEST_URI_LENGTH,
  parseSignedRequest,
  requestBytes,
  requestHash,
  type SignedRequest,
} from './request.ts'

const signature = 'A'.repeat(86)
const request: SignedRequest = {
  method: 'PUT',
  uri: '/_matrix/federation/v1/send/1?a=%20b',
  origin: 'origin.hs.example.com' as ServerName,
  destination: 'destination.hs.example.com' as ServerName,
  content: { b: 1, a: ['x'] },
  signatures: { 'origin.hs.example.com': { 'ed25519:key1': signature } },
}
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

describe('signed requests', () => {
  it('sign the JSON of the specification', () => {
    expect(text(requestBytes(request))).toBe(
      '{"content":{"a":["x"],"b":1},"destination":"destination.hs.example.com","method":"PUT",' +
        '"origin":"origin.hs.example.com","uri":"/_matrix/federation/v1/send/1?a=%20b"}',
    )
    const { content: _content, ...bare } = request
    expect(text(requestBytes({ ...bare, method: 'GET' }))).toBe(
      '{"destination":"destination.hs.example.com","method":"GET",' +
        '"origin":"origin.hs.example.com","uri":"/_matrix/federation/v1/send/1?a=%20b"}',
    )
    expect(requestBytes(request)).toEqual(signableBytes(request))
  })

  it('have a hash of what is signed', () => {
    expect(requestHash(request)).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(requestHash({ ...request, uri: '/' })).not.toBe(requestHash(request))
    expect(requestHash({ ...request, content: null })).not.toBe(requestHash(request))
  })

  it('parse as they were made, without unknown keys', () => {
    const wire = JSON.parse(JSON.stringify({ ...request, extra: 1 })) as JsonValue
    expect(parseSignedRequest(wire)).toEqual(request)
    const { content: _content, ...bare } = request
    expect(parseSignedRequest(bare)).toEqual(bare)
    expect(parseSignedRequest({ ...bare, content: null })).toEqual({ ...bare, content: null })
  })

  const many = (count: number): JsonObject => ({
    [request.origin]: Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`ed25519:k${i}`, signature]),
    ),
  })

  it('have up to MAX_REQUEST_SIGNATURES signatures', () => {
    expect(parseSignedRequest({ ...request, signatures: many(MAX_REQUEST_SIGNATURES) })).toBeDefined()
  })

  it.each<[string, JsonObject]>([
    ['a method in lower case', { method: 'put' }],
    ['no method', { method: null }],
    ['a uri that is no path', { uri: 'https://x/' }],
    ['a uri with a space', { uri: '/a b' }],
    ['a uri with a line break', { uri: '/a\r\nb' }],
    ['a uri beyond ASCII', { uri: '/é' }],
    ['a uri too long', { uri: `/${'a'.repeat(MAX_REQUEST_URI_LENGTH)}` }],
    ['a bad origin', { origin: 'a b' }],
    ['no destination', { destination: 1 }],
    ['no signatures', { signatures: {} }],
    ['no signature of the origin', { signatures: { 'other.example.com': { 'ed25519:key1': signature } } }],
    ['a signature of another', { signatures: { ...request.signatures, x: { 'ed25519:1': signature } } }],
    ['no keys', { signatures: { [request.origin]: {} } }],
    ['too many signatures', { signatures: many(MAX_REQUEST_SIGNATURES + 1) }],
    ['a bad key id', { signatures: { [request.origin]: { 'rsa:1': signature } } }],
    ['a signature of another length', { signatures: { [request.origin]: { 'ed25519:1': 'A' } } }],
    ['a signature that is no text', { signatures: { [request.origin]: { 'ed25519:1': 1 } } }],
    ['content that has no canonical form', { content: { a: 0.5 } }],
  ])('with %s do not parse', (_what, change) => {
    expect(parseSignedRequest({ ...request, ...change })).toBeUndefined()
  })

  it('parsing is total', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(request)), (value, key) => {
        const changed = { ...request, [key]: value } as JsonValue
        expect([undefined, 'object']).toContain(
          typeof parseSignedRequest(changed) === 'object' ? 'object' : undefined,
        )
        expect(parseSignedRequest(value as JsonValue)).toBeUndefined()
      }),
    )
  })
})

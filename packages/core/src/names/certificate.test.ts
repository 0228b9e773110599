import { ed25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../json.ts'
import type { ServerName } from '../ids.ts'
import {
  certificateBytes,
  checkCertificate,
  MAX_CERTIFICATE_MS,
  MAX_CLOCK_SKEW_MS,
  parseCertificate,
  type Certificate,
} from './certificate.ts'
import { envelopeBytes, parseEnvelope } from './envelope.ts'
import { nameOfKey } from './names.ts'
import { requestBytes } from './request.ts'

const seed = new Uint8Array(32).fill(3)
const name = nameOfKey(ed25519.getPublicKey(seed))
const NOW = 1_800_000_000_000
const certificate: Certificate = {
  name,
  peerId: '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu',
  notBefore: NOW - 1000,
  expires: NOW + 1000,
}
const sign = (bytes: Uint8Array): Uint8Array => ed25519.sign(bytes, seed)

describe('certificates', () => {
  it('count while they are valid', () => {
    const signature = sign(certificateBytes(certificate))
    expect(parseCertificate(JSON.parse(JSON.stringify(certificate)) as JsonValue)).toEqual(certificate)
    const at = (now: number): unknown => checkCertificate(certificate, signature, now)
    expect(at(NOW)).toBeUndefined()
    expect(at(certificate.notBefore - MAX_CLOCK_SKEW_MS)).toBeUndefined()
    expect(at(certificate.notBefore - MAX_CLOCK_SKEW_MS - 1)).toBe('not valid yet')
    expect(at(certificate.expires - 1)).toBeUndefined()
    expect(at(certificate.expires)).toBe('expired')
  })

  it('cover each field', () => {
    const signature = sign(certificateBytes(certificate))
    const other = nameOfKey(ed25519.getPublicKey(new Uint8Array(32).fill(4)))
    const changes: Partial<Certificate>[] = [
      { name: other },
      { name: nameOfKey(ed25519.getPublicKey(seed), 'gw.example.org') },
      { peerId: certificate.peerId.replace('H', 'J') },
      { notBefore: certificate.notBefore - 1 },
      { expires: certificate.expires + 1 },
    ]
    for (const change of changes) {
      expect(checkCertificate({ ...certificate, ...change }, signature, NOW)).toBe('bad signature')
    }
  })

  it('are of names that are keys, for a bounded time', () => {
    const dns = { ...certificate, name: 'example.org' as ServerName }
    expect(checkCertificate(dns, sign(certificateBytes(dns)), NOW)).toBe('not a key name')
    const long = { ...certificate, expires: certificate.notBefore + MAX_CERTIFICATE_MS + 1 }
    expect(checkCertificate(long, sign(certificateBytes(long)), NOW)).toBe('validity too long')
    const longest = { ...certificate, expires: certificate.notBefore + MAX_CERTIFICATE_MS }
    expect(checkCertificate(longest, sign(certificateBytes(longest)), NOW)).toBeUndefined()
    expect(checkCertificate(certificate, new Uint8Array(3), NOW)).toBe('bad signature')
  })

  it.each<[string, JsonObject]>([
    ['no name', { name: undefined }],
    ['a bad name', { name: 'a b' }],
    ['no peer id', { peerId: 5 }],
    ['a bad peer id', { peerId: '12D3KooW0' }],
    ['a time that is no integer', { expires: 1.5 }],
    ['a negative time', { notBefore: -1 }],
    ['a time as text', { expires: '5' }],
  ])('with %s do not parse', (_what, change) => {
    expect(parseCertificate({ ...certificate, ...change })).toBeUndefined()
  })
})

const envelope = { requestHash: 'h'.repeat(43), incarnation: 'i'.repeat(22), sequence: 1, expires: NOW }

describe('envelopes', () => {
  it('parse with and without a sequence, and drop what they do not know', () => {
    expect(parseEnvelope({ ...envelope, extra: 1 })).toEqual(envelope)
    const { sequence: _sequence, ...plain } = envelope
    expect(parseEnvelope(plain)).toEqual(plain)
    expect(envelopeBytes(plain)).not.toEqual(envelopeBytes(envelope))
  })

  it.each<[string, JsonValue]>([
    ['a short hash', { ...envelope, requestHash: 'h' }],
    ['a long incarnation', { ...envelope, incarnation: 'i'.repeat(23) }],
    ['sequence 0', { ...envelope, sequence: 0 }],
    ['a sequence of null', { ...envelope, sequence: null }],
    ['no expiry', { requestHash: envelope.requestHash, incarnation: envelope.incarnation }],
    ['an array', []],
  ])('with %s do not parse', (_what, value) => {
    expect(parseEnvelope(value)).toBeUndefined()
  })
})

describe('domain separation', () => {
  it('no bytes of one kind are bytes of another', () => {
    const request = { method: 'GET', uri: '/', origin: name, destination: name }
    const kinds = [certificateBytes(certificate), envelopeBytes(envelope), requestBytes(request)]
    const starts = kinds.map((bytes) => new TextDecoder().decode(bytes.subarray(0, 10)))
    expect(new Set(starts).size).toBe(3)
    expect(starts.filter((start) => start.startsWith('{'))).toHaveLength(1)
  })

  it('parsing is total', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(parseCertificate(value as JsonValue)).toBeUndefined()
        expect(parseEnvelope(value as JsonValue)).toBeUndefined()
      }),
    )
  })
})

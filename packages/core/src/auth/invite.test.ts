/** What an invite by a third party is checked with; the rules are in test/vectors/auth.json. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { expect, it } from 'vitest'
import { encodeBase64 } from '../base64.ts'
import { signableBytes } from '../canonical-json.ts'
import type { JsonObject } from '../json.ts'
import { BOB, CAROL, membership, verdict, type Event, type Setting } from '../testing/auth-cases.ts'
import { MAX_INVITE_KEYS, MAX_INVITE_SIGNATURES } from './third-party.ts'

const seed = new Uint8Array(32).fill(7)
const inviteKey = encodeBase64(ed25519.getPublicKey(seed))
const otherKey = encodeBase64(ed25519.getPublicKey(new Uint8Array(32).fill(8)))
const sign = (fields: JsonObject): JsonObject => ({
  ...fields,
  signatures: { magic: { 'ed25519:0': encodeBase64(ed25519.sign(signableBytes(fields), seed)) } },
})
const signed = sign({ mxid: CAROL, token: 't' })
const thirdParty = (value: JsonObject): Event =>
  membership(BOB, CAROL, 'invite', { third_party_invite: value })
const withToken = (content: JsonObject): Setting => ({ tokens: { t: { sender: BOB, content } } })
const many = (count: number): JsonObject[] => Array.from({ length: count }, () => ({ public_key: otherKey }))

it('passes over what are no Ed25519 signatures', () => {
  const good = signed['signatures'] as JsonObject
  const odd = { a: 'x', b: { 'ed25519:1': 5, 'ed25519:2': '!' }, c: { 'rsa:1': inviteKey } }
  const setting = withToken({
    public_keys: [5, { public_key: 5 }, { public_key: '!' }, { public_key: inviteKey }],
  })
  expect(verdict(setting, thirdParty({ signed: { ...signed, signatures: { ...odd, ...good } } }))).toBe(
    'allowed',
  )
  expect(verdict(setting, thirdParty({ signed: { ...signed, signatures: odd } }))).toBe('5.4.1.8')
  const magic = (good['magic'] as JsonObject)['ed25519:0']
  const renamed = { magic: { 'other:0': magic } }
  expect(verdict(setting, thirdParty({ signed: { ...signed, signatures: renamed } }))).toBe('5.4.1.8')
})

it('tries a bounded number of keys', () => {
  const behind = (count: number): Setting =>
    withToken({ public_keys: [...many(count), { public_key: inviteKey }] })
  expect(verdict(behind(MAX_INVITE_KEYS - 1), thirdParty({ signed }))).toBe('allowed')
  expect(verdict(behind(MAX_INVITE_KEYS), thirdParty({ signed }))).toBe('5.4.1.8')
})

it('tries a bounded number of signatures of a third-party invite, the same in every copy', () => {
  const good = (signed['signatures'] as JsonObject)['magic'] as JsonObject
  const bad = (prefix: string, count: number): JsonObject =>
    Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`ed25519:${prefix}${i}`, encodeBase64(new Uint8Array(64))]),
    )
  const setting = withToken({ public_key: inviteKey })
  const of = (...parts: readonly JsonObject[]): string => {
    const magic = Object.assign({}, ...parts) as JsonObject
    return verdict(setting, thirdParty({ signed: { ...signed, signatures: { magic } } }))
  }
  // The good one is `ed25519:0`: by key id some stand before it, and others after it.
  const after = bad('x', MAX_INVITE_SIGNATURES)
  expect(of(good, after)).toBe('allowed')
  expect(of(after, good)).toBe('allowed')
  const before = bad('-', MAX_INVITE_SIGNATURES)
  expect(of(good, before)).toBe('5.4.1.8')
  expect(of(before, good)).toBe('5.4.1.8')
  expect(of(good, bad('-', MAX_INVITE_SIGNATURES - 1))).toBe('allowed')
})

it('counts nothing that cannot be a key or a signature', () => {
  const good = (signed['signatures'] as JsonObject)['magic'] as JsonObject
  const short = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`ed25519:-${i}`, 'AAAA']))
  const keys = Array.from({ length: 20 }, () => ({ public_key: 'AAAA' }))
  const setting = withToken({ public_keys: [...keys, { public_key: inviteKey }] })
  const magic = { ...short, ...good }
  expect(verdict(setting, thirdParty({ signed: { ...signed, signatures: { magic } } }))).toBe('allowed')
})

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

it('tries a bounded number of signatures of a third-party invite', () => {
  const good = (signed['signatures'] as JsonObject)['magic'] as JsonObject
  const bad = Object.fromEntries(
    Array.from({ length: MAX_INVITE_SIGNATURES }, (_, i) => [
      `ed25519:x${i}`,
      encodeBase64(new Uint8Array(64)),
    ]),
  )
  const setting = withToken({ public_key: inviteKey })
  const before = { ...signed, signatures: { magic: { ...good, ...bad } } }
  const behind = { ...signed, signatures: { magic: { ...bad, ...good } } }
  expect(verdict(setting, thirdParty({ signed: before }))).toBe('allowed')
  expect(verdict(setting, thirdParty({ signed: behind }))).toBe('5.4.1.8')
})

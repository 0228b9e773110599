import { ed25519 } from '@noble/curves/ed25519.js'
import { describe, expect, it } from 'vitest'
import { encodeBase64 } from '../base64.ts'
import { signableBytes } from '../canonical-json.ts'
import type { JsonObject } from '../json.ts'
import {
  ALICE,
  BOB,
  CAROL,
  joined,
  membership,
  verdict,
  type Case,
  type Event,
  type Setting,
} from '../testing/auth-cases.ts'
import { MAX_INVITE_KEYS, MAX_INVITE_SIGNATURES } from './third-party.ts'

function check(name: string, cases: readonly Case[]): void {
  describe(name, () => {
    it.each(cases)('%s: %s', (expected, _about, setting, event) => {
      expect(verdict(setting, event)).toBe(expected)
    })
  })
}

const invite = membership(BOB, CAROL, 'invite')
check('rule 5.4, invite', [
  ['5.4.2', 'sender not joined', {}, invite],
  ['5.4.3', 'target joined', { members: joined }, invite],
  ['5.4.3', 'target banned', { members: { [BOB]: 'join', [CAROL]: 'ban' } }, invite],
  ['allowed', 'target knocking', { members: { [BOB]: 'join', [CAROL]: 'knock' } }, invite],
  [
    'allowed',
    'at the invite level',
    { members: { [BOB]: 'join' }, levels: { invite: 10, users: { [BOB]: 10 } } },
    invite,
  ],
  [
    '5.4.5',
    'below the invite level',
    { members: { [BOB]: 'join' }, levels: { invite: 10, users: { [BOB]: 9 } } },
    invite,
  ],
  [
    'allowed',
    'by users_default',
    { members: { [BOB]: 'join' }, levels: { invite: 10, users_default: 10 } },
    invite,
  ],
  ['allowed', 'level 0 if nobody says', { members: { [BOB]: 'join' } }, invite],
])

const seed = new Uint8Array(32).fill(7)
const inviteKey = encodeBase64(ed25519.getPublicKey(seed))
const otherKey = encodeBase64(ed25519.getPublicKey(new Uint8Array(32).fill(8)))
const sign = (fields: JsonObject): JsonObject => ({
  ...fields,
  signatures: { magic: { 'ed25519:0': encodeBase64(ed25519.sign(signableBytes(fields), seed)) } },
})
const signed = sign({ mxid: CAROL, token: 't' })
const thirdParty = (value: JsonObject | string): Event =>
  membership(BOB, CAROL, 'invite', { third_party_invite: value })
const withToken = (content: JsonObject, sender: string = BOB): Setting => ({
  tokens: { t: { sender, content } },
})
const many = (count: number): JsonObject[] => Array.from({ length: count }, () => ({ public_key: otherKey }))

check('rule 5.4.1, third-party invite', [
  [
    '5.4.1.1',
    'target banned',
    { ...withToken({ public_key: inviteKey }), members: { [CAROL]: 'ban' } },
    thirdParty({ signed }),
  ],
  ['5.4.1.2', 'no signed', withToken({ public_key: inviteKey }), thirdParty({})],
  ['5.4.1.2', 'not an object', withToken({ public_key: inviteKey }), thirdParty('x')],
  [
    '5.4.1.3',
    'no token',
    withToken({ public_key: inviteKey }),
    thirdParty({ signed: sign({ mxid: CAROL }) }),
  ],
  ['5.4.1.3', 'no mxid', withToken({ public_key: inviteKey }), thirdParty({ signed: sign({ token: 't' }) })],
  [
    '5.4.1.4',
    'for another user',
    withToken({ public_key: inviteKey }),
    thirdParty({ signed: sign({ mxid: BOB, token: 't' }) }),
  ],
  ['5.4.1.5', 'token unknown', {}, thirdParty({ signed })],
  ['5.4.1.6', 'another sender', withToken({ public_key: inviteKey }, ALICE), thirdParty({ signed })],
  ['allowed', 'signed by public_key', withToken({ public_key: inviteKey }), thirdParty({ signed })],
  [
    'allowed',
    'signed by one of public_keys',
    withToken({ public_keys: [{ public_key: otherKey }, { public_key: inviteKey }] }),
    thirdParty({ signed }),
  ],
  ['5.4.1.8', 'signed by another key', withToken({ public_key: otherKey }), thirdParty({ signed })],
  ['5.4.1.8', 'emptied after use', withToken({}), thirdParty({ signed })],
  [
    '5.4.1.8',
    'changed after signing',
    withToken({ public_key: inviteKey }),
    thirdParty({ signed: { ...signed, x: 1 } }),
  ],
  [
    '5.4.1.8',
    'no signatures',
    withToken({ public_key: inviteKey }),
    thirdParty({ signed: { mxid: CAROL, token: 't' } }),
  ],
  [
    'allowed',
    `key number ${MAX_INVITE_KEYS}`,
    withToken({ public_keys: [...many(MAX_INVITE_KEYS - 1), { public_key: inviteKey }] }),
    thirdParty({ signed }),
  ],
  [
    '5.4.1.8',
    `key number ${MAX_INVITE_KEYS + 1}`,
    withToken({ public_keys: [...many(MAX_INVITE_KEYS), { public_key: inviteKey }] }),
    thirdParty({ signed }),
  ],
])

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

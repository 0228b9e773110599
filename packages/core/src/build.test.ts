import { ed25519 } from '@noble/curves/ed25519.js'
import { describe, expect, it } from 'vitest'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { buildEvent } from './build.ts'
import { verifyEd25519 } from './ed25519.ts'
import { checkFormat, MAX_DEPTH } from './format.ts'
import { signingBytes } from './hash.ts'
import type { EventId, KeyId, RoomId, ServerName, UserId } from './ids.ts'
import type { JsonObject } from './json.ts'
import { authorisingServer, requiredSigners, withSignature } from './sign.ts'
import type { Pdu } from './pdu.ts'
import type { RoomVersion } from './room-version.ts'
import { requireVersion } from './testing/rooms.ts'

const V12 = requireVersion('12')
const sender = '@alice:a' as UserId
const roomId = `!${'r'.repeat(43)}` as RoomId
const [first, second] = ['1', '2'].map((n) => `$${n.repeat(43)}` as EventId) as [EventId, EventId]
const template = { type: 'm.room.topic', sender, stateKey: '', content: { topic: 'x' } }
const prevEvents = [
  { reference: first, depth: 5 },
  { reference: second, depth: 3 },
]

describe('buildEvent', () => {
  it('makes an event that has the format', () => {
    const pdu = buildEvent(V12, { template, roomId, prevEvents, authEvents: [first], now: 1000 })
    expect(pdu).toMatchObject({
      type: 'm.room.topic',
      sender,
      state_key: '',
      room_id: roomId,
      content: { topic: 'x' },
      origin_server_ts: 1000,
      depth: 6,
      prev_events: [first, second],
      auth_events: [first],
      signatures: {},
    })
    expect(checkFormat(V12, pdu)).toMatchObject({ kind: 'ok', contentHashOk: true, roomId })
  })

  it('leaves room_id out of the create event', () => {
    const create = { type: 'm.room.create', sender, stateKey: '', content: { room_version: '12' } }
    const pdu = buildEvent(V12, { template: create, roomId, prevEvents: [], authEvents: [], now: 1 })
    expect(Object.keys(pdu)).not.toContain('room_id')
    expect(pdu.depth).toBe(1)
  })

  it('stays at the greatest depth', () => {
    const deep = [{ reference: first, depth: MAX_DEPTH }]
    expect(buildEvent(V12, { template, roomId, prevEvents: deep, authEvents: [], now: 1 }).depth).toBe(
      MAX_DEPTH,
    )
  })

  it('puts the target of a redaction where the version wants it', () => {
    const redaction = { type: 'm.room.redaction', sender, content: { reason: 'spam' }, redacts: first }
    const input = { template: redaction, roomId, prevEvents, authEvents: [], now: 1 }
    expect(buildEvent(V12, input).content).toEqual({ reason: 'spam', redacts: first })
    const older: RoomVersion = { ...V12, redactsInContent: false }
    expect(buildEvent(older, input)).toMatchObject({ content: { reason: 'spam' }, redacts: first })
  })
})

describe('signing an event', () => {
  const seed = new Uint8Array(32).fill(5)
  const pdu = buildEvent(V12, { template, roomId, prevEvents, authEvents: [], now: 1 })
  const keyId = 'ed25519:1' as KeyId
  const server = 'a' as ServerName

  it('gives a signature that holds, also after redaction', () => {
    const signed = withSignature(pdu, server, keyId, encodeBase64(ed25519.sign(signingBytes(V12, pdu), seed)))
    const received = checkFormat(V12, { ...signed, content: {} })
    if (received.kind === 'drop') throw new Error(received.why.reason)
    const signature = decodeBase64(received.pdu.signatures['a']?.['ed25519:1'] ?? '') ?? new Uint8Array()
    expect(received.contentHashOk).toBe(false)
    expect(verifyEd25519(ed25519.getPublicKey(seed), signingBytes(V12, received.pdu), signature)).toBe(true)
  })

  it('keeps what others signed', () => {
    const once = withSignature(pdu, server, keyId, 'x')
    const twice = withSignature(
      withSignature(once, server, 'ed25519:2' as KeyId, 'y'),
      'b' as ServerName,
      keyId,
      'z',
    )
    expect(twice.signatures).toEqual({ a: { 'ed25519:1': 'x', 'ed25519:2': 'y' }, b: { 'ed25519:1': 'z' } })
    expect(withSignature(twice, server, keyId, 'w').signatures['a']).toEqual({
      'ed25519:1': 'w',
      'ed25519:2': 'y',
    })
    expect(pdu.signatures).toEqual({})
  })

  it('takes any server name as a key', () => {
    const odd = withSignature(pdu, '__proto__' as ServerName, keyId, 'x')
    expect(Object.keys(odd.signatures)).toEqual(['__proto__'])
    expect(JSON.stringify(odd.signatures)).toBe('{"__proto__":{"ed25519:1":"x"}}')
  })
})

describe('requiredSigners', () => {
  const member = (content: JsonObject, type = 'm.room.member'): Pdu =>
    buildEvent(V12, {
      template: { type, sender, stateKey: sender, content },
      roomId,
      prevEvents,
      authEvents: [],
      now: 1,
    })

  it.each<[string[], JsonObject]>([
    [['a'], { membership: 'join' }],
    [['a', 'b:80'], { membership: 'join', join_authorised_via_users_server: '@bob:b:80' }],
    [['a'], { membership: 'join', join_authorised_via_users_server: '@other:a' }],
    [['a'], { membership: 'join', join_authorised_via_users_server: 'bob' }],
    [['a'], { membership: 'invite', third_party_invite: { signed: { mxid: '@x:y', token: 't' } } }],
  ])('are %j', (servers, content) => {
    expect(requiredSigners(V12, member(content))).toEqual(servers)
  })

  it('ask the authorising server about memberships only', () => {
    const content = { join_authorised_via_users_server: '@bob:b' }
    expect(authorisingServer(member(content))).toBe('b')
    expect(requiredSigners(V12, member(content, 'm.room.topic'))).toEqual(['a'])
  })
})

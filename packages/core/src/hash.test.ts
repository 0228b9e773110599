import { readFileSync } from 'node:fs'
import { ed25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeBase64, encodeBase64, encodeBase64Url } from './base64.ts'
import { signableBytes } from './canonical-json.ts'
import { checkFormat } from './format.ts'
import { contentHash, eventIdOf, signingBytes } from './hash.ts'
import { isJsonObject, without, type JsonObject, type JsonValue } from './json.ts'
import type { Pdu } from './pdu.ts'
import type { RoomVersion } from './room-version.ts'
import { createTestRoom, join, message, requireVersion } from './testing/rooms.ts'
import { verifyEd25519 } from './ed25519.ts'

/** Random rooms take a while on a busy machine. */
const PROPERTY_MS = 60_000

type Pair = { readonly input: JsonObject; readonly signed: JsonObject & { readonly signatures: JsonObject } }
type Vectors = {
  readonly seed: string
  readonly server: string
  readonly keyId: string
  readonly json: readonly Pair[]
  readonly events: readonly Pair[]
  readonly base64: readonly (readonly [string, string])[]
}
const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/signing.json', import.meta.url), 'utf8'),
) as Vectors
const seed = decodeBase64(vectors.seed) ?? new Uint8Array()

/** What the specification's event examples are in: its redaction keeps `origin`. spec: rooms/v1.md "Redactions" */
const V12 = requireVersion('12')
const exampleVersion: RoomVersion = {
  ...V12,
  redaction: {
    ...V12.redaction,
    topLevel: [...V12.redaction.topLevel, 'origin', 'membership', 'prev_state'],
  },
}

function signatureIn(signed: Pair['signed']): string {
  const byKey = signed.signatures[vectors.server]
  const signature = isJsonObject(byKey) ? byKey[vectors.keyId] : undefined
  if (typeof signature !== 'string') throw new Error('the vector has no signature')
  return signature
}

describe('base64', () => {
  it.each(vectors.base64)('encodes %j as %j', (plain, encoded) => {
    const bytes = new TextEncoder().encode(plain)
    expect(encodeBase64(bytes)).toBe(encoded)
    expect(decodeBase64(encoded)).toEqual(bytes)
  })

  it('decodes both alphabets, with and without padding', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const padded = Buffer.from(bytes).toString('base64')
        for (const text of [padded, encodeBase64(bytes), encodeBase64Url(bytes)]) {
          expect(decodeBase64(text)).toEqual(bytes)
        }
      }),
    )
  })

  it('ignores bits beyond the last byte', () => {
    expect(decodeBase64('Zh')).toEqual(decodeBase64('Zg'))
    expect(decodeBase64('Zm-')).toEqual(decodeBase64('Zm8'))
    expect(decodeBase64('Zm9')).toEqual(decodeBase64('Zm8'))
  })

  it.each(['A', 'Zg=', 'Z', 'Zm8==', 'Zm 8', 'a-/b', '=', 'Zm9v=', 'é'])('refuses %j', (text) => {
    expect(decodeBase64(text)).toBeUndefined()
  })
})

describe('signing, by the vectors of the specification', () => {
  it.each(vectors.json)('signs JSON', ({ input, signed }) => {
    expect(encodeBase64(ed25519.sign(signableBytes(input), seed))).toBe(signatureIn(signed))
    const signature = decodeBase64(signatureIn(signed)) ?? new Uint8Array()
    expect(verifyEd25519(ed25519.getPublicKey(seed), signableBytes(signed), signature)).toBe(true)
  })

  it.each(vectors.events)('hashes and signs an event', ({ input, signed }) => {
    const hash = contentHash(input)
    expect({ sha256: hash }).toEqual(signed['hashes'])
    const hashed = { ...input, hashes: { sha256: hash } } as unknown as Pdu
    expect(encodeBase64(ed25519.sign(signingBytes(exampleVersion, hashed), seed))).toBe(signatureIn(signed))
  })
})

describe('event ids', () => {
  const room = createTestRoom()
  const event = room.build({ ...message('@alice:a', 'hello'), prev: [room.create] })

  it('are 43 characters of URL-safe base64, and name the room of a create event', () => {
    expect(event.id).toMatch(/^\$[A-Za-z0-9_-]{43}$/)
    expect(room.roomId).toBe(`!${eventIdOf(V12, room.create.pdu).slice(1)}`)
  })

  it('cover neither signatures nor unsigned', () => {
    const other = { ...event.pdu, signatures: { a: { 'ed25519:1': 'x' } }, unsigned: { age: 1 } }
    expect(eventIdOf(V12, other)).toBe(event.id)
    expect(contentHash(other)).toBe(contentHash(event.pdu))
  })

  it('cover redactable content by its hash alone', () => {
    const changed = { ...event.pdu, content: { body: 'other' } }
    expect(eventIdOf(V12, changed)).toBe(event.id)
    expect(contentHash(changed)).not.toBe(contentHash(event.pdu))
  })

  it(
    'a change anywhere in the signed part changes the id or breaks the hash',
    () => {
      const made = room.build({ ...join('@alice:a'), prev: [room.create] })
      const wire = JSON.stringify(without(made.pdu, 'signatures'))
      fc.assert(
        fc.property(fc.nat({ max: wire.length - 1 }), fc.integer({ min: 0x20, max: 0x7e }), (at, code) => {
          const flipped = wire.slice(0, at) + String.fromCharCode(code) + wire.slice(at + 1)
          const parsed = tryParse(flipped)
          if (!isJsonObject(parsed)) return
          const verdict = checkFormat(V12, { ...parsed, signatures: {} })
          if (verdict.kind === 'drop' || canonicallyEqual(parsed, without(made.pdu, 'signatures'))) return
          expect(verdict.eventId === made.id && verdict.contentHashOk).toBe(false)
        }),
        { numRuns: 2000 },
      )
    },
    PROPERTY_MS,
  )
})

function tryParse(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}

function canonicallyEqual(a: JsonObject, b: JsonObject): boolean {
  return encodeBase64(signableBytes(a)) === encodeBase64(signableBytes(b))
}

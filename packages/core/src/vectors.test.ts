/** Events of every room version as another implementation made them: ids, hashes, signatures, redactions. */
import { readFileSync } from 'node:fs'
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { canonicalJson, parseJson } from './canonical-json.ts'
import { verifyEd25519 } from './ed25519.ts'
import { checkFormat, MAX_PDU_BYTES } from './format.ts'
import { areCopies, contentHash, eventIdOf, referenceTo, signingBytes } from './hash.ts'
import { isJsonObject, without, type JsonObject } from './json.ts'
import type { Pdu } from './pdu.ts'
import { redact } from './redact.ts'
import { ROOM_VERSIONS, type RoomVersion } from './room-version.ts'
import { requireVersion } from './testing/rooms.ts'

type Vector = {
  readonly event: JsonObject
  readonly eventId: string
  readonly referenceHash: string
  readonly redacted: JsonObject
}
type Vectors = {
  readonly seed: string
  readonly server: string
  readonly keyId: string
  readonly rooms: readonly { readonly version: string; readonly events: readonly Vector[] }[]
}
const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/events.json', import.meta.url), 'utf8'),
) as Vectors
const seed = decodeBase64(vectors.seed) ?? new Uint8Array()

it('has a room of every version', () => {
  expect(vectors.rooms.map(({ version }) => version)).toEqual(ROOM_VERSIONS)
})

describe.each(vectors.rooms)('events of version $version', ({ version: id, events }) => {
  const version = requireVersion(id)

  it.each(events)('$event.type', ({ event, eventId, referenceHash, redacted }) => {
    const pdu = event as Pdu
    expect(contentHash(event)).toBe(pdu.hashes.sha256)
    expect(encodeBase64(sha256(signingBytes(version, pdu)))).toBe(referenceHash)
    expect(eventIdOf(version, pdu)).toBe(eventId)
    expect(checkFormat(version, event)).toMatchObject({ kind: 'ok', eventId, contentHashOk: true })
    const signature = encodeBase64(ed25519.sign(signingBytes(version, pdu), seed))
    expect(pdu.signatures).toEqual({ [vectors.server]: { [vectors.keyId]: signature } })
    expect(redact(version, pdu)).toEqual(redacted)
    const reference = referenceTo(version, { id: eventIdOf(version, pdu), pdu })
    expect(reference).toEqual(version.eventIds === 'field' ? [eventId, { sha256: referenceHash }] : eventId)
  })
})

describe('an event of which one byte was changed', () => {
  const key = ed25519.getPublicKey(seed)
  const honest = vectors.rooms.flatMap(({ version, events }) =>
    events.map(({ event, eventId }) => ({ version: requireVersion(version), event, eventId })),
  )

  function isSigned(version: RoomVersion, pdu: Pdu): boolean {
    const signature = decodeBase64(pdu.signatures[vectors.server]?.[vectors.keyId] ?? '')
    return signature !== undefined && verifyEd25519(key, signingBytes(version, pdu), signature)
  }

  it('is dropped, or kept in redacted form under its id', () => {
    const ends = { dropped: 0, unsigned: 0, redacted: 0 }
    fc.assert(
      fc.property(
        fc.constantFrom(...honest),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        ({ version, event, eventId }, place, flip) => {
          const bytes = utf8ToBytes(canonicalJson(without(event, 'signatures')))
          const at = place % bytes.length
          bytes[at] = (bytes[at] ?? 0) ^ flip
          const parsed = parseJson(bytes, { maxBytes: MAX_PDU_BYTES })
          const changed = parsed.kind === 'ok' && isJsonObject(parsed.value) ? parsed.value : undefined
          const format = checkFormat(version, { ...changed, signatures: event['signatures'] })
          if (changed === undefined || format.kind === 'drop') ends.dropped += 1
          else if (!isSigned(version, format.pdu)) ends.unsigned += 1
          else {
            ends.redacted += 1
            expect(format).toMatchObject({ contentHashOk: false, eventId })
            expect(format.pdu).toEqual(redact(version, format.pdu))
            const original = checkFormat(version, event)
            if (original.kind === 'ok') expect(areCopies(version, format.pdu, original.pdu)).toBe(true)
          }
        },
      ),
      { numRuns: 2_000 },
    )
    for (const count of Object.values(ends)) expect(count).toBeGreaterThan(20)
  }, 60_000)
})

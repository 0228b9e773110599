/** What a redaction keeps in each room version, by the table of the specification. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { eventIdOf } from './hash.ts'
import type { JsonObject } from './json.ts'
import type { Pdu } from './pdu.ts'
import { redact } from './redact.ts'
import { ROOM_VERSIONS } from './room-version.ts'
import { requireVersion } from './testing/rooms.ts'

type ByVersion = Readonly<Record<string, readonly string[]>>
type Vectors = {
  readonly topLevel: ByVersion
  readonly strippedTopLevel: readonly string[]
  readonly content: readonly {
    readonly type: string
    readonly from: ByVersion
    readonly stripped: readonly string[]
  }[]
}
const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/redaction.json', import.meta.url), 'utf8'),
) as Vectors

/** The entry of the version, or of the newest before it. */
function at(table: ByVersion, version: string): readonly string[] {
  const versions = ROOM_VERSIONS.slice(0, ROOM_VERSIONS.indexOf(version) + 1)
  return table[versions.findLast((id) => table[id] !== undefined) ?? ''] ?? []
}

const filled = (keys: Iterable<string>): JsonObject =>
  Object.fromEntries([...keys].map((key) => [key, `<${key}>`]))
const every = (table: ByVersion, more: readonly string[]): ReadonlySet<string> =>
  new Set([...Object.values(table).flat(), ...more])

describe.each(ROOM_VERSIONS)('redaction in version %s', (id) => {
  const version = requireVersion(id)

  it.each(vectors.content)('of $type', ({ type, from, stripped }) => {
    const content = filled(every(from, stripped))
    const redacted = redact(version, { type, content } as unknown as Pdu)
    expect(Object.keys(redacted.content).sort()).toEqual([...at(from, id)].sort())
    for (const [key, value] of Object.entries(redacted.content)) expect(value).toBe(content[key])
  })

  it('of the event itself', () => {
    const event = {
      ...filled(every(vectors.topLevel, vectors.strippedTopLevel)),
      type: 'm.x',
      content: {},
    } as unknown as Pdu
    expect(Object.keys(redact(version, event)).sort()).toEqual([...at(vectors.topLevel, id)].sort())
  })

  it('keeps the signed part of a third-party invite from version 11 on', () => {
    const content = { third_party_invite: { display_name: 'x', signed: { token: 't' } } }
    const kept = redact(version, { type: 'm.room.member', content } as unknown as Pdu).content
    expect(kept).toEqual(Number(id) >= 11 ? { third_party_invite: { signed: { token: 't' } } } : {})
  })

  it('is idempotent, and keeps the id', () => {
    const keys = [...new Set(vectors.content.flatMap(({ from, stripped }) => [...every(from, stripped)]))]
    fc.assert(
      fc.property(
        fc.constantFrom(...vectors.content.map(({ type }) => type)),
        fc.dictionary(fc.constantFrom(...keys), fc.oneof(fc.integer(), fc.string({ unit: 'grapheme' })), {
          maxKeys: 12,
        }),
        fc.dictionary(fc.constantFrom(...vectors.strippedTopLevel, 'membership', 'origin'), fc.integer()),
        (type, content, extra) => {
          const pdu = {
            ...extra,
            type,
            sender: '@a:b',
            room_id: '!r:b',
            event_id: '$x:b',
            content,
          } as unknown as Pdu
          const once = redact(version, pdu)
          expect(redact(version, once)).toEqual(once)
          expect(eventIdOf(version, once)).toBe(eventIdOf(version, pdu))
        },
      ),
      { numRuns: 1_000 },
    )
  })
})

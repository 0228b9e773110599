import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  canonicalJson,
  checkCanonical,
  compareCodePoints,
  MAX_DOCUMENT_DEPTH,
  MAX_JSON_DEPTH,
  parseJson,
} from './canonical-json.ts'
import type { JsonValue } from './json.ts'

type Vectors = { readonly cases: readonly { readonly json: string; readonly canonical: string }[] }
const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/canonical-json.json', import.meta.url), 'utf8'),
) as Vectors

const safeInteger = fc
  .integer({ min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })
  .map((n) => n + 0)
const codePoint = fc.oneof(fc.nat(0x7f), fc.nat(0xd7ff), fc.integer({ min: 0xe000, max: 0x10ffff }))
const text = fc.array(codePoint, { maxLength: 10 }).map((points) => String.fromCodePoint(...points))
/**
 * The engine of Node 26 reads a key that is one escaped character as "\\" once an object had that key after the same others, so
 * that what a text is depends on what was parsed before: after {"a":1,"\\":2} it takes {"a":1,"\u0041":2} for the same.
 */
const ESCAPED_KEY = /"\\(?:u[\da-f]{4}|.)":/i
const key = text.filter((each) => !ESCAPED_KEY.test(`${JSON.stringify(each)}:`))
const anyJson = fc
  .json({ maxDepth: 5 })
  .filter((json) => !ESCAPED_KEY.test(json))
  .map((json) => JSON.parse(json) as JsonValue)
const canonicalValue = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constant(null),
    fc.boolean(),
    safeInteger,
    text,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5 }),
  ),
})).value

describe('canonicalJson', () => {
  it.each(vectors.cases)('gives the form of the specification: $canonical', ({ json, canonical }) => {
    expect(canonicalJson(JSON.parse(json) as JsonValue)).toBe(canonical)
  })

  it('sorts keys by code point, not by UTF-16 unit', () => {
    expect(canonicalJson({ '\u{1f600}': 1, '\uff61': 2, a: 3 })).toBe('{"a":3,"\uff61":2,"\u{1f600}":1}')
    const edges = ['\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}']
    for (const [i, a] of edges.entries()) {
      for (const [j, b] of edges.entries()) expect(Math.sign(compareCodePoints(a, b))).toBe(Math.sign(i - j))
    }
  })

  it('escapes only what the grammar says', () => {
    expect(canonicalJson('\b\t\n\f\r"\\/\u0000\u001f\u007f\u2028')).toBe(
      String.raw`"\b\t\n\f\r\"\\/\u0000\u001f` + '\u007f\u2028"',
    )
  })

  it('throws for a number without canonical form', () => {
    expect(() => canonicalJson([Infinity])).toThrow(TypeError)
    expect(() => canonicalJson([NaN])).toThrow(TypeError)
  })

  it('parses back to the same value, and does not depend on the order of keys', () => {
    fc.assert(
      fc.property(canonicalValue, (value) => {
        const canonical = canonicalJson(value)
        const parsed = JSON.parse(canonical) as JsonValue
        expect(canonicalJson(parsed)).toBe(canonical)
        expect(canonicalJson(reversed(value))).toBe(canonical)
        expect(checkCanonical(parsed)).toBeUndefined()
      }),
      { numRuns: 1_000 },
    )
  })

  it('parses back to the same value where a version lets any number in', () => {
    fc.assert(
      fc.property(anyJson, (value) => {
        const canonical = canonicalJson(value)
        const parsed = JSON.parse(canonical) as JsonValue
        expect(canonicalJson(parsed)).toBe(canonical)
        expect(checkCanonical(parsed, { anyNumber: true })).toBeUndefined()
      }),
      { numRuns: 1_000 },
    )
  })
})

function reversed(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(reversed)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, member]) => [key, reversed(member ?? null)] as const)
  return Object.fromEntries(entries.toReversed())
}

describe('compareCodePoints', () => {
  it('orders as the arrays of code points', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareCodePoints(a, b))).toBe(Math.sign(compareLists(points(a), points(b))))
      }),
    )
  })
})

const points = (value: string): number[] => Array.from(value, (c) => c.codePointAt(0) ?? 0)

function compareLists(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((point, i) => point !== b[i])
  if (at === -1 || at >= b.length) return a.length - b.length
  return (a[at] ?? 0) - (b[at] ?? 0)
}

describe('checkCanonical', () => {
  it.each([
    ['float', 0.5],
    ['float', Number.NaN],
    ['float', Infinity],
    ['negative zero', -0],
    ['integer out of range', 2 ** 53],
    ['integer out of range', -(2 ** 53)],
    ['lone surrogate', '\ud800'],
    ['lone surrogate', { '\udc00x': 1 }],
  ] as const)('names %s', (why, value) => {
    expect(checkCanonical(value)).toBe(why)
    expect(checkCanonical([{ nested: value }])).toBe(why)
  })

  it('takes the largest integers and whole pairs of surrogates', () => {
    expect(checkCanonical([2 ** 53 - 1, 1 - 2 ** 53, '\u{1f600}', null, true])).toBeUndefined()
  })

  it(`takes MAX_JSON_DEPTH levels and no more`, () => {
    expect(checkCanonical(nested(MAX_JSON_DEPTH))).toBeUndefined()
    expect(checkCanonical(nested(MAX_JSON_DEPTH + 1))).toBe('too deep')
    expect(checkCanonical(nested(100_000))).toBe('too deep')
  })
})

const nested = (depth: number): JsonValue => {
  let value: JsonValue = []
  for (let i = 1; i < depth; i += 1) value = [value]
  return value
}

describe('parseJson', () => {
  const limits = { maxBytes: 100 }

  it('parses strings and bytes', () => {
    expect(parseJson('{"a":[1]}', limits)).toEqual({ kind: 'ok', value: { a: [1] } })
    expect(parseJson(new TextEncoder().encode('"é"'), limits)).toEqual({ kind: 'ok', value: 'é' })
  })

  it.each([
    ['too large', `"${'a'.repeat(99)}"`],
    ['too large', `"${'é'.repeat(50)}"`],
    ['too large', new Uint8Array(101)],
    ['not UTF-8', Uint8Array.of(0x22, 0xff, 0x22)],
    ['not UTF-8', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)],
    ['not JSON', ''],
    ['not JSON', '\ufeff{}'],
    ['not JSON', Uint8Array.of(0xef, 0xbb, 0xbf, 0x31)],
    ['not JSON', '{"a":1,}'],
    ['not JSON', '{} {}'],
    ['not JSON', 'NaN'],
  ] as const)('refuses: %s', (why, input) => {
    expect(parseJson(input, limits)).toEqual({ kind: 'failure', why })
  })

  it('refuses deep nesting before it parses, and counts no brackets in strings', () => {
    const wide = { maxBytes: 10_000_000, maxDepth: 3 }
    expect(parseJson('['.repeat(1_000_000), wide)).toEqual({ kind: 'failure', why: 'too deep' })
    expect(parseJson('[[[[]]]]', wide)).toEqual({ kind: 'failure', why: 'too deep' })
    expect(parseJson(String.raw`[[["[[[\"[[["]],[],[[]]]`, wide).kind).toBe('ok')
    expect(parseJson('['.repeat(MAX_JSON_DEPTH + 1), { maxBytes: 1000 })).toEqual({
      kind: 'failure',
      why: 'too deep',
    })
  })

  it('parses a document with one part nested too deep, so that the others can be used', () => {
    const deep = '['.repeat(MAX_DOCUMENT_DEPTH - 2) + ']'.repeat(MAX_DOCUMENT_DEPTH - 2)
    const parsed = parseJson(`{"pdus":[{},${deep}]}`, { maxBytes: 100_000, maxDepth: MAX_DOCUMENT_DEPTH })
    if (parsed.kind !== 'ok') throw new Error(parsed.why)
    const pdus = (parsed.value as { readonly pdus: readonly JsonValue[] }).pdus
    expect(pdus.map((pdu) => checkCanonical(pdu))).toEqual([undefined, 'too deep'])
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(text, fc.json(), fc.uint8Array()), (input) => {
        expect(['ok', 'failure']).toContain(parseJson(input, limits).kind)
      }),
      { numRuns: 1_000 },
    )
  })

  it('keeps a key named __proto__ as data', () => {
    const parsed = parseJson('{"__proto__":{"x":1}}', limits)
    if (parsed.kind !== 'ok') throw new Error(parsed.why)
    expect(canonicalJson(parsed.value)).toBe('{"__proto__":{"x":1}}')
  })
})

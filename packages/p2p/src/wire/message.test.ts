import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_FRAME_BODY } from './limits.ts'
import { createAssembly, decodeJson, encodeJson, messageBytes, messagePart, type Message } from './message.ts'

const BOUNDS = { header: 200_000, body: 200_000 }

function parts(message: Message): Uint8Array[] {
  const list: Uint8Array[] = []
  for (let offset = 0; offset < messageBytes(message); offset += MAX_FRAME_BODY)
    list.push(messagePart(message, offset))
  return list
}

const filled = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + seed) % 256)

const lengths = fc.oneof(
  fc.integer({ min: 0, max: 100 }),
  fc.integer({ min: MAX_FRAME_BODY - 20, max: MAX_FRAME_BODY + 20 }),
  fc.integer({ min: 0, max: 200_000 }),
)

describe('messages', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(lengths, lengths, (headerLength, bodyLength) => {
        const message = { header: filled(headerLength, 1), body: filled(bodyLength, 2) }
        const assembly = createAssembly(BOUNDS)
        const results = parts(message).map((part) => assembly.add(part))
        const last = results.pop()
        expect(results.every((result) => result === undefined)).toBe(true)
        expect(typeof last).toBe('object')
        const got = last as Message
        expect(Buffer.compare(got.header, message.header)).toBe(0)
        expect(Buffer.compare(got.body, message.body)).toBe(0)
      }),
      { numRuns: 40 },
    )
  })

  it('are refused before any of them is kept when they say that they are too long', () => {
    const tooLong = { header: filled(BOUNDS.header + 1, 1), body: filled(0, 2) }
    const assembly = createAssembly(BOUNDS)
    expect(assembly.add(messagePart(tooLong, 0))).toBe('message too long')
    expect(assembly.received).toBe(0)
    expect(
      createAssembly(BOUNDS).add(messagePart({ header: filled(0, 1), body: filled(200_001, 1) }, 0)),
    ).toBe('message too long')
  })

  it('come in full parts only, so that many small ones cost nothing', () => {
    const message = { header: filled(10, 1), body: filled(100_000, 2) }
    const first = messagePart(message, 0)
    expect(createAssembly(BOUNDS).add(first.subarray(0, 100))).toBe('message part has the wrong length')
    const assembly = createAssembly(BOUNDS)
    expect(assembly.add(first)).toBeUndefined()
    expect(assembly.add(Uint8Array.of(1))).toBe('message part has the wrong length')
    expect(createAssembly(BOUNDS).add(Uint8Array.of(0, 0, 0))).toBe('message too short')
  })

  it('never make the assembly throw', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (list) => {
        const assembly = createAssembly(BOUNDS)
        for (const part of list) assembly.add(part)
      }),
    )
  })
})

describe('JSON', () => {
  it('that is none is undefined, never an exception', () => {
    expect(decodeJson(encodeJson({ a: [1, 'ü'] }))).toEqual({ a: [1, 'ü'] })
    expect(decodeJson(new TextEncoder().encode('{"a":'))).toBeUndefined()
    expect(decodeJson(Uint8Array.of(0x22, 0xff, 0x22))).toBeUndefined()
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void decodeJson(bytes)))
    expect(() => decodeJson(new TextEncoder().encode('['.repeat(1_000_000)))).not.toThrow()
  })
})

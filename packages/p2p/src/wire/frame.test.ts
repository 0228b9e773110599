import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFrameReader, encodeFrame, FRAME_HEADER_BYTES, type Frame } from './frame.ts'
import { MAX_FRAME_BODY } from './limits.ts'

const frames = fc.array(
  fc.record({
    kind: fc.integer({ min: 0, max: 255 }),
    id: fc.integer({ min: 0, max: 0xffff_ffff }),
    body: fc.uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 12 },
)

function join(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]))
}

/** Cuts bytes into pieces of the lengths given, over and over. */
function* pieces(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  let offset = 0
  for (let turn = 0; offset < bytes.length; turn += 1) {
    const length = lengths[turn % lengths.length] ?? 1
    yield bytes.subarray(offset, offset + length)
    offset += length
  }
}

describe('frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (list, lengths) => {
        const bytes = join(list.map(({ kind, id, body }) => encodeFrame(kind, id, body)))
        const reader = createFrameReader()
        const read: Frame[] = []
        for (const piece of pieces(bytes, lengths)) {
          const { frames: got, fault } = reader.push(piece)
          expect(fault).toBeUndefined()
          read.push(...got)
        }
        expect(read).toEqual(list)
        expect(reader.buffered).toBe(0)
      }),
    )
  })

  it('never throw on any bytes, and keep no more than one frame', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 })), (chunks) => {
        const reader = createFrameReader()
        for (const chunk of chunks) {
          reader.push(chunk)
          expect(reader.buffered).toBeLessThan(FRAME_HEADER_BYTES + MAX_FRAME_BODY)
        }
      }),
    )
  })

  it('of the greatest length pass, and one byte more is a fault after which nothing is read', () => {
    const full = encodeFrame(7, 1, new Uint8Array(MAX_FRAME_BODY))
    expect(createFrameReader().push(full).frames).toHaveLength(1)
    expect(() => encodeFrame(7, 1, new Uint8Array(MAX_FRAME_BODY + 1))).toThrow(RangeError)
    const long = encodeFrame(7, 1, new Uint8Array(0))
    new DataView(long.buffer).setUint32(0, MAX_FRAME_BODY + 6)
    const reader = createFrameReader()
    expect(reader.push(join([encodeFrame(1, 2, Uint8Array.of(3)), long]))).toEqual({
      frames: [{ kind: 1, id: 2, body: Uint8Array.of(3) }],
      fault: 'frame too long',
    })
    expect(reader.push(encodeFrame(1, 2, new Uint8Array(0)))).toEqual({ frames: [], fault: 'frame too long' })
    expect(reader.buffered).toBe(0)
  })

  it('shorter than their own header are a fault', () => {
    expect(createFrameReader().push(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0))).toEqual({
      frames: [],
      fault: 'frame too short',
    })
  })

  it('do not change when the buffer that they came in is used again', () => {
    const bytes = encodeFrame(1, 2, Uint8Array.of(9, 9))
    const { frames: got } = createFrameReader().push(bytes)
    bytes.fill(0)
    expect(got[0]?.body).toEqual(Uint8Array.of(9, 9))
  })
})

import { describe, expect, it } from 'vitest'
import { decodeMedia, encodeMedia, type MediaPart } from './multipart.ts'

const MAX = 10_000
const random = new Uint8Array(18).fill(3)
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const roundTrip = (media: MediaPart): MediaPart | undefined => {
  const { contentType, bytes } = encodeMedia(media, random)
  return decodeMedia(contentType, bytes, MAX)
}

const MIXED = 'multipart/mixed; boundary=xyz'
const JSON_PART = '--xyz\r\nContent-Type: application/json\r\n\r\n{}\r\n'
const answer = (media: string, json = JSON_PART): Uint8Array =>
  text(`${json}--xyz\r\n${media}\r\n--xyz--\r\n`)
const PNG = 'Content-Type: image/png\r\n\r\nDATA'

describe('media answers', () => {
  it.each([
    ['text', { contentType: 'text/plain; charset=utf-8', fileName: 'a "b" \\ c.txt', bytes: text('hello') }],
    ['no name', { contentType: 'image/png', bytes: Uint8Array.of(0, 13, 10, 45, 45, 255) }],
    ['another script', { contentType: 'image/png', fileName: 'Grüße 你好.png', bytes: text('x') }],
    ['nothing in it', { contentType: 'application/pdf', fileName: 'empty.pdf', bytes: new Uint8Array(0) }],
  ])('survive the way there: %s', (_, media) => {
    expect(roundTrip(media)).toEqual(media)
  })

  it('do not let a content type or a name add headers', () => {
    const media = {
      contentType: 'text/html\r\nLocation: https://evil.example',
      fileName: 'a\r\nLocation: https://evil.example',
      bytes: text('x'),
    }
    const { bytes } = encodeMedia(media, random)
    expect(new TextDecoder().decode(bytes)).not.toMatch(/^Location/m)
    expect(roundTrip(media)?.contentType).toBe('application/octet-stream')
  })

  it('may begin on a line of their own, with a quoted boundary', () => {
    const body = text(`\r\n${JSON_PART}--xyz\r\n${PNG}\r\n--xyz--`)
    const expected = { contentType: 'image/png', bytes: text('DATA') }
    expect(decodeMedia('Multipart/Mixed; charset=x; boundary="xyz"', body, MAX)).toEqual(expected)
  })

  it.each<[string, string, Uint8Array]>([
    ['another type', 'application/json', answer(PNG)],
    ['no boundary', 'multipart/mixed', answer(PNG)],
    ['an empty boundary', 'multipart/mixed; boundary=""', answer(PNG)],
    ['a boundary that is too long', `multipart/mixed; boundary=${'x'.repeat(71)}`, answer(PNG)],
    ['nothing', MIXED, new Uint8Array(0)],
    ['a preamble', MIXED, text(`junk\r\n${new TextDecoder().decode(answer(PNG))}`)],
    ['an end that is missing', MIXED, answer(PNG).slice(0, -5)],
    ['one part', MIXED, text(`${JSON_PART}--xyz--`)],
    ['three parts', MIXED, answer(`${PNG}\r\n--xyz\r\n${PNG}`)],
    ['metadata that is not JSON', MIXED, answer(PNG, '--xyz\r\nContent-Type: application/json\r\n\r\n{\r\n')],
    [
      'metadata that is no object',
      MIXED,
      answer(PNG, '--xyz\r\nContent-Type: application/json\r\n\r\n[]\r\n'),
    ],
    ['a redirect', MIXED, answer('Location: https://evil.example\r\n\r\n')],
    [
      'headers that are not UTF-8',
      MIXED,
      new Uint8Array([...text(`${JSON_PART}--xyz\r\nA: `), 255, ...text('\r\n\r\nx\r\n--xyz--')]),
    ],
    ['headers without an end', MIXED, text(`${JSON_PART}--xyz\r\nA: ${'x'.repeat(20_000)}`)],
    ['media that is too large', MIXED, answer(`Content-Type: image/png\r\n\r\n${'x'.repeat(MAX + 1)}`)],
  ])('are refused with %s', (_, contentType, body) => {
    expect(decodeMedia(contentType, body, MAX)).toBeUndefined()
  })

  it('are read when broken at any place, or refused, and nothing else', () => {
    const { contentType, bytes } = encodeMedia({ contentType: 'image/png', bytes: text('DATA') }, random)
    for (let end = 0; end < bytes.length; end += 1) {
      const media = decodeMedia(contentType, bytes.slice(0, end), MAX)
      if (media !== undefined) expect(media.bytes).toEqual(text('DATA'))
    }
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = bytes.slice()
      changed[at] = (changed[at] ?? 0) ^ 0x20
      expect(() => decodeMedia(contentType, changed, MAX)).not.toThrow()
    }
  })
})

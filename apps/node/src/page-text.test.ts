import { describe, expect, it } from 'vitest'
import { decodePage } from './page-text.ts'

const latin = Uint8Array.from([0xe9])
const page = (head: string, ...bytes: number[]): Uint8Array =>
  Uint8Array.from([...new TextEncoder().encode(head), ...bytes])

describe('the encoding of a page', () => {
  it.each([
    ['byte order mark', Uint8Array.from([0xff, 0xfe, 0xe9, 0]), 'text/html; charset=utf-8', 'é'],
    ['Content-Type', latin, 'text/html; Charset="ISO-8859-1"', 'é'],
    ['Content-Type, Japanese', Uint8Array.from([0x83, 0x65]), 'text/html; charset=shift_jis', 'テ'],
    ['UTF-8', page('é'), 'text/html', 'é'],
    ['neither UTF-8 nor a word about it', latin, 'text/html', 'é'],
    ['a charset that nobody knows', latin, 'text/html; charset=klingon', 'é'],
  ])('is that of the %s', (_why, bytes, contentType, text) => {
    expect(decodePage(bytes, contentType)).toBe(text)
  })

  it.each(['<meta charset=koi8-r>', '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">'])(
    'is what the page says in %s',
    (meta) => {
      expect(decodePage(page(meta, 0xc1), 'text/html')).toBe(`${meta}а`)
    },
  )
})

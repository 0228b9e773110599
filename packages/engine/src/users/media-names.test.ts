import { describe, expect, it } from 'vitest'
import { MAX_FILE_NAME_LENGTH, cleanContentType, cleanFileName } from './media-names.ts'

describe('names of media', () => {
  it.each([
    ['image/png', 'image/png'],
    [' text/plain; charset=utf-8 ', 'text/plain; charset=utf-8'],
    ['text/plain; a="b c"', 'text/plain; a="b c"'],
    ['text/html\r\nSet-Cookie: a=b', undefined],
    ['text', undefined],
    ['', undefined],
    [`a/${'b'.repeat(300)}`, undefined],
    ['a/b; c="\u0000"', undefined],
    [undefined, undefined],
  ])('take the content type %j as %j', (text, expected) => {
    expect(cleanContentType(text)).toBe(expected)
  })

  it.each([
    ['photo.jpg', 'photo.jpg'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\temp\\a.txt', 'a.txt'],
    ['a\r\nb', 'ab'],
    ['\u202Egpj.exe', 'gpj.exe'],
    ['..', undefined],
    ['a/', undefined],
    ['', undefined],
    ['\ud800x', '\ufffdx'],
  ])('take the file name %j as %j', (text, expected) => {
    expect(cleanFileName(text)).toBe(expected)
  })

  it('bound the file name', () => {
    expect(cleanFileName('x'.repeat(1_000))).toHaveLength(MAX_FILE_NAME_LENGTH)
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_GLOB_TEXT, matchesGlob, matchesGlobWord } from './glob.ts'

describe('globs', () => {
  // The examples of push.md "Conditions".
  it.each([
    ['lunc?*', 'Lunch plans', true],
    ['lunc?*', 'LUNCH', true],
    ['lunc?*', ' lunch', false],
    ['lunc?*', 'lunc', false],
    ['*', '', true],
    ['', '', true],
    ['', 'a', false],
    ['a*b*c', 'axxbxxc', true],
    ['a*b*c', 'axxbxx', false],
    ['**?', 'x', true],
    ['.', 'x', false],
  ])('%j of %j: %s', (pattern, text, expected) => {
    expect(matchesGlob(pattern, text)).toBe(expected)
  })

  it.each([
    ['ex*ple', 'An example event.', true],
    ['ex*ple', 'exple', true],
    ['ex*ple', 'An exciting triple-whammy', true],
    ['ex*ple', 'examples', false],
    ['cake', 'I like CAKE!', true],
    ['cake', 'pancake', false],
    ['cake', 'cake_stand', false],
    ['c?ke', 'my c-ke', true],
    ['*', '', true],
    ['x', '', false],
    ['ü', 'ein ü da', true],
  ])('%j as words of %j: %s', (pattern, text, expected) => {
    expect(matchesGlobWord(pattern, text)).toBe(expected)
  })

  it('agree with a regular expression', () => {
    const small = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 })
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-'), maxLength: 12 })
    fc.assert(
      fc.property(small, text, (pattern, value) => {
        const source = pattern.replaceAll('*', '.*').replaceAll('?', '.')
        expect(matchesGlob(pattern, value)).toBe(new RegExp(`^(?:${source})$`).test(value))
        const boundary = '(?:^|$|(?<=[^a-z0-9_])|(?=[^a-z0-9_]))'
        const word = new RegExp(`${boundary}(?:${source})${boundary}`)
        expect(matchesGlobWord(pattern, value)).toBe(word.test(value))
      }),
    )
  })

  it('look at a bounded part of a long text, in bounded time', () => {
    const long = 'a '.repeat(50_000)
    expect(matchesGlobWord(`${'*a'.repeat(100)}b`, long)).toBe(false)
    expect(matchesGlob(`${'*a'.repeat(100)}b`, long)).toBe(false)
    expect(matchesGlobWord('end', `${'x'.repeat(MAX_GLOB_TEXT)} end`)).toBe(false)
  })
})

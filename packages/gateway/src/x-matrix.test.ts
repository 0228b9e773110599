import type { ServerName } from '@plexus/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatXMatrix, MAX_HEADER_LENGTH, parseXMatrix } from './x-matrix.ts'

const FULL = { origin: 'a.example', destination: 'b.example', key: 'ed25519:k1', signature: 'AB+/c' }
const SPEC = 'X-Matrix origin="a.example",destination="b.example",key="ed25519:k1",sig="AB+/c"'

describe('X-Matrix', () => {
  // spec: server-server-api.md "Request Authentication", the rules in the order of the text
  it.each<[string, string]>([
    ['as the specification writes it', SPEC],
    ['with more spaces after the scheme', SPEC.replace(' ', '    ')],
    ['with another case of scheme and names', SPEC.replace('X-Matrix', 'x-MATRIX').replace('key', 'KEY')],
    ['in another order', 'X-Matrix sig="AB+/c",key="ed25519:k1",destination="b.example",origin="a.example"'],
    ['with spaces and tabs around commas', SPEC.replaceAll(',', ' \t,\t ')],
    ['unquoted, colons too', 'X-Matrix origin=a.example,destination=b.example,key=ed25519:k1,sig="AB+/c"'],
    ['with spaces around the sign', SPEC.replaceAll('=', ' = ')],
    ['with empty elements', SPEC.replaceAll(',', ', ,,')],
    ['with escaped characters', SPEC.replace('a.example', 'a\\.ex\\ample')],
    ['with unknown parameters', `${SPEC},future="1, 2",other=x`],
  ])('is read %s', (_, header) => {
    expect(parseXMatrix(header)).toEqual(FULL)
  })

  it('may lack the destination', () => {
    const { destination: _, ...rest } = FULL
    expect(parseXMatrix(SPEC.replace('destination="b.example",', ''))).toEqual(rest)
  })

  it.each<[string, string]>([
    ['no origin', SPEC.replace('origin=', 'from=')],
    ['no key', SPEC.replace('key=', 'k=')],
    ['no signature', SPEC.replace('sig=', 's=')],
    ['a parameter twice', `${SPEC},origin="c.example"`],
    ['an open quote', SPEC.slice(0, -1)],
    ['no commas', SPEC.replaceAll(',', ' ')],
    ['nothing', 'X-Matrix '],
    ['too much of it', `${SPEC},x="${'y'.repeat(MAX_HEADER_LENGTH)}"`],
    ['too many parameters', SPEC + Array.from({ length: 20 }, (_, n) => `,p${n}=1`).join('')],
  ])('is malformed with %s', (_, header) => {
    expect(parseXMatrix(header)).toBe('malformed')
  })

  it('is not another scheme', () => {
    expect([parseXMatrix('Bearer abc'), parseXMatrix('X-Matrixorigin="a"'), parseXMatrix('')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  it('reads what it writes', () => {
    const origin = FULL.origin as ServerName
    const signatures = { [origin]: { [FULL.key]: FULL.signature } }
    const destination = FULL.destination as ServerName
    expect(formatXMatrix({ method: 'GET', uri: '/', origin, destination, signatures })).toBe(SPEC)
  })

  it('is read in bounded time, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const found = parseXMatrix(`X-Matrix ${text}`)
        expect(found === 'malformed' || typeof found === 'object').toBe(true)
      }),
      { numRuns: 1_000 },
    )
    const start = performance.now()
    for (let times = 0; times < 400; times++)
      for (const text of ['a="\\'.repeat(500), `,${' '.repeat(2_000)}x`, `,a=b${' '.repeat(2_000)}x`])
        parseXMatrix(`X-Matrix ${text}`)
    // Some milliseconds; seconds where a run of spaces is walked over once for each of them.
    expect(performance.now() - start).toBeLessThan(2_000)
  })
})

/** The parts of `npm run conformance` that need neither Go nor Complement. */
import { describe, expect, it } from 'vitest'
import { judge, readOutcomes } from './judge.ts'
import { addHooks } from './hooks.ts'

describe('the judgement', () => {
  const lines = (...ends: readonly (readonly [string, string])[]): string[] =>
    ends.map(([Action, Test]) => JSON.stringify({ Action, Package: 'example.org/tests/csapi', Test }))
  const outcomes = readOutcomes([
    '# a warning of the compiler',
    JSON.stringify({ Action: 'fail', Package: 'example.org/tests/csapi' }),
    ...lines(
      ['run', 'TestA'],
      ['pass', 'TestA/x'],
      ['fail', 'TestA/y/z'],
      ['fail', 'TestA/y'],
      ['fail', 'TestA'],
    ),
    ...lines(['skip', 'TestB'], ['pass', 'TestC']),
  ])

  it('counts top-level tests and leaves', () => {
    const { text } = judge(outcomes, [], true)
    expect(text).toContain('1 of 3 top-level tests pass, 2 of 4 leaves')
    expect(text).toContain('fail: csapi TestA/y/z')
    expect(text).not.toContain('fail: csapi TestA/y\n')
  })

  it('fails for a listed test that does not pass, or did not run among all', () => {
    expect(judge(outcomes, ['csapi TestA/x', 'csapi TestC'], true).failed).toBe(false)
    expect(judge(outcomes, ['csapi TestB'], true).failed).toBe(true)
    expect(judge(outcomes, ['csapi TestD'], true).failed).toBe(true)
    expect(judge(outcomes, ['csapi TestD'], false).failed).toBe(false)
  })

  it('fails when nothing ran', () => {
    expect(judge(readOutcomes([]), [], false).failed).toBe(true)
  })
})

describe('the hooks', () => {
  const source = [
    'var (',
    '\tcustomDeployer func(n int) Deployment',
    ')',
    '\tdefer testPackage.Cleanup()',
    '\treturn testPackage.OldDeploy(t, blueprint)',
    '',
  ]

  it('stand where they are asked for', () => {
    const text = addHooks(source.join('\n'))
    const places = [
      'customDeployer func',
      'customCleanup func',
      'defer customCleanup',
      'return customBlueprintDeployer(',
    ]
    const found = [...places, 'return testPackage.OldDeploy('].map((place) => text.indexOf(place))
    expect(found).not.toContain(-1)
    expect(found).toEqual(found.toSorted((a, b) => a - b))
  })

  it.each([1, 3, 4])('are refused by a file of another form (line %i)', (line) => {
    expect(() => addHooks(source.with(line, '').join('\n'))).toThrow('0 places')
    expect(() => addHooks([...source, source[line]].join('\n'))).toThrow('2 places')
  })
})

import { describe, expect, it } from 'vitest'
import { judge, type Mutant, type Survivor } from './judge.ts'

const mutant = {
  file: 'a.ts',
  line: 'if (x) y()',
  mutator: 'ConditionalExpression',
  replacement: 'true',
}
const survivor: Survivor = { ...mutant, why: 'y is idempotent' }
const alive: Mutant = { ...mutant, original: 'x', status: 'Survived' }
const killed = (count: number): Mutant[] =>
  Array.from({ length: count }, (_, n) => ({
    ...mutant,
    original: 'x',
    line: `${n}`,
    status: n % 2 === 0 ? 'Killed' : 'Timeout',
  }))

describe('the judgement of mutants', () => {
  it('passes when all are killed, or listed and few', () => {
    expect(judge(killed(3), [], true).failed).toBe(false)
    expect(judge([...killed(19), alive], [survivor], true).failed).toBe(false)
  })

  it('fails for a survivor that is not listed, also where no test comes', () => {
    expect(judge([...killed(99), alive], [], true).failed).toBe(true)
    expect(judge([...killed(99), { ...alive, status: 'NoCoverage' }], [], true).failed).toBe(true)
  })

  it('fails for too many survivors, listed or not', () => {
    expect(judge([...killed(18), alive], [survivor], true).failed).toBe(true)
  })

  it('fails for a listed one that is killed, unless only a part was mutated', () => {
    expect(judge(killed(30), [survivor], true).failed).toBe(true)
    expect(judge(killed(30), [survivor], false).failed).toBe(false)
  })

  it('leaves out what is said to people, and nothing else', () => {
    const text: Mutant = { ...alive, mutator: 'StringLiteral', original: "'is not known'" }
    expect(judge([text, ...killed(3)], [], true).failed).toBe(false)
    expect(judge([{ ...text, original: "'m.room.member'" }, ...killed(30)], [], true).failed).toBe(true)
    expect(judge([{ ...text, mutator: 'ConditionalExpression' }, ...killed(30)], [], true).failed).toBe(true)
  })

  it('leaves out what cannot run', () => {
    expect(judge([{ ...alive, status: 'CompileError' }, ...killed(3)], [], true).failed).toBe(false)
  })
})
